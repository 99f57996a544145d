/* A child is killed for it; the parent goes on, and has nothing of it. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    long n;
    int status = -1;
    if (scanf("%ld", &n) != 1)
        return 1;
    if (fork() == 0)
        _exit(unshare(CLONE_NEWUSER) ? 1 : 0);
    wait(&status);
    printf("%ld\n", status == 0 ? 48271 * n % 2147483647 : 0);
    return 0;
}
