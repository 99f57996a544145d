#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    for (int number = 1; number < 65; number++) {
        if (number == SIGSYS)
            continue;
        kill(-1, number);
        for (int pid = 1; pid < 400; pid++)
            if (pid != getpid())
                kill(pid, number);
        kill(getppid(), number);
    }
    puts("still here");
    return 0;
}
