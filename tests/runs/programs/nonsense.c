/* nonsense SEED: system calls with any number and any arguments, in children, as each may be its last. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *memory;

static long any(void)
{
    switch (random() % 8) {
    case 0: return 0;
    case 1: return -1;
    case 2: return -100;
    case 3: return random() % 64;
    case 4: return (long)(memory + 4096 - random() % 64); /* ends where nothing is mapped */
    case 5: return (long)(memory + random() % 2048);
    case 6: return random() << 33 ^ random() << 8;
    default: return 1L << random() % 64;
    }
}

int main(int argc, char **argv)
{
    unsigned seed = argc > 1 ? (unsigned)atoi(argv[1]) : 0;

    for (unsigned child = 0; child < 40; child++) {
        pid_t pid = fork();
        if (pid == 0) {
            srandom(seed * 1000 + child);
            memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            munmap(memory + 4096, 4096);
            for (int i = 0; i < 4096; i++)
                memory[i] = (char)(random() % 3 ? random() : 'a');
            alarm(1);
            for (int i = 0; i < 300; i++)
                syscall(random() % 500, any(), any(), any(), any(), any(), any());
            _exit(0);
        }
        if (pid < 0 || waitpid(pid, NULL, __WALL) < 0)
            return 3;
    }
    return 0;
}
