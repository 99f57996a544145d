/* The cost of system calls under a seccomp filter, for bench/seccomp.py.
 *
 * seccomp_calls ROUNDS CALLS DEFEAT [FILTER]
 *
 * Loads FILTER (struct sock_filter, one after the other), and with DEFEAT 1 a second one that looks at an argument
 * of every call, so that the kernel's bitmap of constant answers (Linux 5.11) skips no filter: as on an older kernel.
 * Prints the microseconds of loading, then the nanoseconds of each call below: the least of ROUNDS loops of CALLS.
 * Each call fails or answers at once, so that what is measured is entering the kernel, the filter, and little else.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const long calls[][7] = {
    {SYS_getppid},
    {SYS_openat, -1, (long)"x", 0, 0},         /* EBADF */
    {SYS_personality, 0xffffffff},             /* a query */
    {SYS_socket, 1, 0x7f, 0},                  /* AF_UNIX of an unknown type: EINVAL */
    {SYS_ioctl, -1, 0x5401, 0},                /* EBADF */
    {SYS_clone, 0x800, 0, 0, 0, 0},            /* CLONE_SIGHAND alone: EINVAL */
    {SYS_prlimit64, 0, 7, 0, 0},
    {SYS_io_uring_setup, -1, 0, 0},            /* refused by all policies */
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double load(struct sock_filter *code, size_t length)
{
    struct sock_fprog program = {(unsigned short)length, code};
    double start = now();

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) {
        perror("seccomp");
        exit(1);
    }
    return (now() - start) / 1e3;
}

int main(int argc, char **argv)
{
    static struct sock_filter code[1 << 15];
    struct sock_filter look[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    int rounds, count;
    double loading = 0;

    if (argc < 4)
        return 2;
    rounds = atoi(argv[1]), count = atoi(argv[2]);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (atoi(argv[3]))
        load(look, 2);
    if (argc > 4) {
        int file = open(argv[4], O_RDONLY);
        ssize_t length = read(file, code, sizeof code);
        if (length <= 0)
            return 2;
        loading = load(code, (size_t)length / sizeof *code);
    }
    printf("%f", loading);
    for (size_t which = 0; which < sizeof calls / sizeof *calls; which++) {
        const long *c = calls[which];
        double least = 1e18;
        for (int round = 0; round < rounds; round++) {
            double start = now(), took;
            for (int i = 0; i < count; i++)
                syscall(c[0], c[1], c[2], c[3], c[4], c[5], c[6]);
            took = (now() - start) / count;
            least = took < least ? took : least;
        }
        printf(" %f", least);
    }
    putchar('\n');
    return 0;
}
