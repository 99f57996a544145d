/* flood STDOUT_BYTES STDERR_BYTES: alternately 4 KiB to each until both are done; a short write is an error. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long put(int fd, long left)
{
    char block[4096];
    long now = left < (long)sizeof block ? left : (long)sizeof block;

    memset(block, fd == 1 ? 'o' : 'e', sizeof block);
    if (now > 0 && write(fd, block, (size_t)now) != now)
        _exit(9);
    return left - now;
}

int main(int argc, char **argv)
{
    long out = argc > 1 ? atol(argv[1]) : 0, err = argc > 2 ? atol(argv[2]) : 0;

    while (out > 0 || err > 0) {
        out = put(1, out);
        err = put(2, err);
    }
    return 0;
}
