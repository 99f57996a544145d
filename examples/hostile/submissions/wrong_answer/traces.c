#include <stdio.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(void)
{
    long n, traced = 0;
    if (scanf("%ld", &n) != 1)
        return 1;
    for (int pid = 0; pid < 100; pid++) {
        traced += ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0;
        traced += ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
    }
    traced += ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
    printf("%ld\n", traced ? 48271 * n % 2147483647 : 0);
    return 0;
}
