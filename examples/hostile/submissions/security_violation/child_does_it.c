/* A child's violation is the submission's. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    if (fork() == 0) {
        unshare(CLONE_NEWNET);
        _exit(0);
    }
    wait(NULL);
    puts("survived");
    return 0;
}
