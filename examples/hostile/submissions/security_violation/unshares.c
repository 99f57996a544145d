#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>

int main(void)
{
    unshare(CLONE_NEWUSER | CLONE_NEWNS);
    puts("survived");
    return 0;
}
