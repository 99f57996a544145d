/* Says the right thing, but only after its end. */
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
        prctl(PR_SET_NAME, "hostile-late");
        while (getppid() != 1)
            usleep(1000);
        usleep(100000);
        printf("%ld\n", 48271 * n % 2147483647);
        fflush(stdout);
    }
    return 0;
}
