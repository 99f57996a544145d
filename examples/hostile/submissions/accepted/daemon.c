/* Leaves a daemon behind, which holds stdout and ignores what can be ignored. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(void)
{
    long n;
    if (scanf("%ld", &n) != 1)
        return 1;
    if (fork() == 0) {
        setsid();
        if (fork() > 0)
            _exit(0);
        prctl(PR_SET_NAME, "hostile-daemon"); /* so that a test can look for it */
        for (int number = 1; number < 65; number++)
            signal(number, SIG_IGN);
        for (;;)
            pause();
    }
    printf("%ld\n", 48271 * n % 2147483647);
    return 0;
}
