/* eater heap|child|memfd|many MIB [SECONDS]: touch that much memory, then exit 0.
 *   child   a child does it, and its end is not looked at: the main process exits 0 whatever happens
 *   many    eight processes do an eighth each */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void eat(size_t bytes)
{
    char *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        _exit(8);
    memset(block, 1, bytes);
}

int main(int argc, char **argv)
{
    size_t bytes = argc > 2 ? (size_t)atol(argv[2]) << 20 : 0;

    if (argc < 3)
        return 7;
    if (!strcmp(argv[1], "heap")) {
        eat(bytes);
    } else if (!strcmp(argv[1], "child")) {
        if (fork() == 0) {
            eat(bytes);
            _exit(0);
        }
        wait(NULL);
    } else if (!strcmp(argv[1], "many")) {
        for (int i = 0; i < 8; i++)
            if (fork() == 0) {
                eat(bytes / 8);
                sleep(60);
                _exit(0);
            }
        sleep(60);
    } else if (!strcmp(argv[1], "memfd")) {
        char block[65536];
        int fd = memfd_create("hoard", 0);
        memset(block, 1, sizeof block);
        for (size_t done = 0; done < bytes; done += sizeof block)
            if (write(fd, block, sizeof block) != sizeof block)
                return 6;
    }
    return 0;
}
