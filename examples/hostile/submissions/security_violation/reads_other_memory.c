#define _GNU_SOURCE
#include <stdio.h>
#include <sys/uio.h>

int main(void)
{
    char word[8];
    const struct iovec here = {word, sizeof word}, there = {(void *)0x400000, sizeof word};
    process_vm_readv(1, &here, 1, &there, 1, 0);
    puts("survived");
    return 0;
}
