/* bpf.c against the kernel, and against nonsense.
 *
 * bpf_harness kernel SEED ROUNDS FILE   a real filter, ROUNDS calls with numbers and arguments it cares about
 * bpf_harness random SEED ROUNDS        ROUNDS filters made at random, 200 calls each
 * bpf_harness spoilt SEED ROUNDS        ROUNDS programs that no kernel would take; for the sanitizer
 *
 * Every return of a filter is changed into an errno of its own, which tells the instruction that answered and lets no
 * call be carried out. A child loads it, makes the calls, and compares what it gets with what bpf.c says. A prologue
 * lets exit_group(2) pass with one status. Prints how many calls were compared and how many returns were reached.
 */
#include "bpf.c"

#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#else
#define NATIVE AUDIT_ARCH_AARCH64
#endif

enum { LONGEST = 4096, DONE = 77, RETURNS = 4095 };

static struct sock_filter filter[LONGEST];
static uint32_t length;
static struct {
    long compared, wrong;
    unsigned char reached[RETURNS + 1];
} *shared;
static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

static const struct sock_filter prologue[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DONE, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
};
enum { BEFORE = sizeof prologue / sizeof *prologue };

static void number_returns(void)
{
    uint32_t n = 0;

    for (uint32_t i = BEFORE; i < length; i++)
        if (filter[i].code == (BPF_RET | BPF_K))
            filter[i].k = SECCOMP_RET_ERRNO | (++n > RETURNS ? RETURNS : n);
}

/* A word that some comparison of the filter is about, or its neighbour, or anything. */
static uint32_t word(void)
{
    uint32_t k = filter[next() % length].k;

    switch (next() % 5) {
    case 0: return (uint32_t)next();
    case 1: return k + (uint32_t)(next() % 3) - 1;
    case 2: return 0;
    default: return k;
    }
}

static void draw(struct seccomp_data *data)
{
    memset(data, 0, sizeof *data);
    data->arch = NATIVE;
    data->nr = next() % 3 ? (int)(next() % 480) : (int)word();
    for (int i = 0; i < 6; i++)
        data->args[i] = next() % 2 ? word() : (uint64_t)word() << 32 | word();
}

static uint32_t kernel_says(const struct seccomp_data *data)
{
    long result = syscall(data->nr, data->args[0], data->args[1], data->args[2], data->args[3], data->args[4],
                          data->args[5]);
    return result == -1 ? SECCOMP_RET_ERRNO | (uint32_t)errno : (uint32_t)result;
}

#ifdef __x86_64__
/* The foreign call table: 32 bits of each register, its own numbers. */
static uint32_t kernel_says_32(struct seccomp_data *data)
{
    long result;

    data->arch = AUDIT_ARCH_I386;
    for (int i = 0; i < 6; i++)
        data->args[i] = i < 5 ? (uint32_t)data->args[i] : 0;
    __asm__ volatile("add $-128, %%rsp; push %%rbp; xor %%ebp, %%ebp; int $0x80; pop %%rbp; sub $-128, %%rsp"
                     : "=a"(result)
                     : "a"((long)data->nr), "b"(data->args[0]), "c"(data->args[1]), "d"(data->args[2]),
                       "S"(data->args[3]), "D"(data->args[4])
                     : "memory", "r8", "r9", "r10", "r11");
    return SECCOMP_RET_ERRNO | (uint32_t)-(int)result;
}
#endif

/* uretprobe and uprobe of x86_64 pass by every filter since Linux 6.14 (seccomp_uprobe_exception()). */
static int is_exempt(int nr)
{
    return NATIVE == AUDIT_ARCH_X86_64 && (nr == 335 || nr == 336);
}

static _Noreturn void compare(long rounds)
{
    struct sock_fprog program = {(unsigned short)length, filter};
    struct seccomp_data data;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        _exit(3);
    for (; rounds; rounds--) {
        uint32_t theirs;
        draw(&data);
        if ((data.nr == SYS_exit_group && (uint32_t)data.args[0] == DONE) || is_exempt(data.nr))
            continue;
#ifdef __x86_64__
        theirs = rounds % 16 ? kernel_says(&data) : kernel_says_32(&data);
#else
        theirs = kernel_says(&data);
#endif
        shared->compared++;
        shared->wrong += theirs != pysb_bpf(filter, length, &data);
        shared->reached[theirs & RETURNS] = 1;
    }
    for (;;)
        syscall(SYS_exit_group, DONE);
}

static int in_child(long rounds)
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return 0;
    if (pid == 0)
        compare(rounds);
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == DONE;
}

/* What the kernel takes: loads within the data, jumps within the program, a return at the end. */
static void make_filter(void)
{
    static const unsigned short jumps[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
    static const uint32_t values[] = {0, 1, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, 59, NATIVE};

    memcpy(filter, prologue, sizeof prologue);
    length = BEFORE + 4 + (uint32_t)(next() % 200);
    for (uint32_t i = BEFORE; i < length; i++) {
        uint32_t left = length - 1 - i, k = next() % 2 ? (uint32_t)next() : values[next() % 8];
        struct sock_filter made = BPF_STMT(BPF_RET | BPF_K, 0);
        uint64_t kind = left ? next() % 10 : 9;
        if (kind < 3) { /* the instruction pointer is not for us to know */
            uint32_t at = (uint32_t)(next() % 14) * 4;
            made = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at < 8 ? at : at + 8);
        } else if (kind < 4) {
            made = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, k);
        } else if (kind < 5) {
            made = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(next() % left));
        } else if (kind < 9) {
            uint32_t most = left < 256 ? left : 256;
            made = (struct sock_filter)BPF_JUMP((unsigned short)(BPF_JMP | BPF_K | jumps[next() % 4]), k,
                                                (unsigned char)(next() % most), (unsigned char)(next() % most));
        }
        filter[i] = made;
    }
}

static int spoilt(void)
{
    static const unsigned short codes[] = {BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_W | BPF_ABS, BPF_ALU | BPF_AND | BPF_K,
                                           BPF_JMP | BPF_JA, BPF_JMP | BPF_JEQ | BPF_K, BPF_JMP | BPF_JGT | BPF_K,
                                           BPF_JMP | BPF_JGE | BPF_K, BPF_JMP | BPF_JSET | BPF_K};
    uint32_t n = (uint32_t)(next() % 24);
    char *raw = malloc(n * 8 + 1); /* not aligned, and the sanitizer knows its end */
    struct seccomp_data *data = malloc(sizeof *data);
    int killed;

    if (!raw || !data)
        abort();
    for (uint32_t i = 0; i < n; i++) {
        struct sock_filter now = {codes[next() % 8], (unsigned char)next(), (unsigned char)next(), (uint32_t)next()};
        if (next() % 2)
            now.k %= 80;
        if (next() % 2)
            now.jt %= 4, now.jf %= 4;
        if (next() % 16 == 0)
            now.code = (unsigned short)next();
        memcpy(raw + 1 + i * 8, &now, 8);
    }
    memset(data, (int)next(), sizeof *data);
    killed = pysb_bpf(raw + 1, n, data) == SECCOMP_RET_KILL_PROCESS;
    free(raw);
    free(data);
    return killed;
}

int main(int argc, char **argv)
{
    long rounds = argc > 3 ? atol(argv[3]) : 0, killed = 0, reached = 0;

    if (argc < 4)
        return 2;
    state = strtoull(argv[2], NULL, 10) * 2654435761u + 1;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    if (!strcmp(argv[1], "spoilt")) {
        for (long i = 0; i < rounds; i++)
            killed += spoilt();
        printf("%ld %ld\n", rounds, killed);
        return 0;
    }
    if (!strcmp(argv[1], "kernel")) {
        FILE *file = argc > 4 ? fopen(argv[4], "rb") : NULL;
        if (!file)
            return 2;
        memcpy(filter, prologue, sizeof prologue);
        length = BEFORE + (uint32_t)fread(filter + BEFORE, 8, LONGEST - BEFORE, file);
        fclose(file);
        number_returns();
        if (!in_child(rounds))
            return 4;
    } else {
        for (long i = 0; i < rounds; i++) {
            make_filter();
            number_returns();
            if (!in_child(200))
                return 4;
        }
    }
    for (int i = 0; i <= RETURNS; i++)
        reached += shared->reached[i];
    printf("%ld %ld\n", shared->compared, reached);
    return shared->wrong ? 1 : 0;
}
