#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void)
{
    static const char *const places[] = {"/work", "/tmp", "/dev/shm"};
    long n;
    if (scanf("%ld", &n) != 1)
        return 1;
    for (int i = 0; i < 10000; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%d", places[i % 3], i);
        const int fd = open(name, O_CREAT | O_WRONLY, 0);
        if (fd >= 0)
            close(fd);
    }
    printf("%ld\n", 48271 * n % 2147483647);
    return 0;
}
