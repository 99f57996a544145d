#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    long n;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    if (scanf("%ld", &n) != 1)
        return 1;
    kill(getpid(), SIGTERM);
    printf("%ld\n", 48271 * n % 2147483647);
    return 0;
}
