/* Its own time is nothing: its children's children work, each for a moment. */
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    for (;;) {
        const pid_t child = fork();
        if (child == 0) {
            if (fork() == 0)
                for (volatile int n = 0; n < 10000000; n++)
                    ;
            _exit(0);
        }
        if (child > 0)
            waitpid(child, NULL, 0);
        usleep(1000);
    }
}
