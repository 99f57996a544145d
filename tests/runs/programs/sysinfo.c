/* Calls sysinfo(2) in every way that an answer from outside could get wrong; prints what came of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const size_t page = 65536; /* a multiple of every page size */

static int call(void *where)
{
    return syscall(SYS_sysinfo, where) < 0 ? errno : 0;
}

static char *pages(int n, int protection)
{
    char *memory = mmap(NULL, n * page, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        exit(3);
    return memory;
}

static void pointers(void)
{
    char *two = pages(2, PROT_READ | PROT_WRITE), *image = (char *)(void *)call, before;
    static const char constant[sizeof(struct sysinfo)] = "constant";

    printf("null %d\n", call(NULL));
    printf("one %d\n", call((void *)1));
    printf("kernel %d\n", call((void *)0xffffffff81000000ul));
    printf("top %d\n", call((void *)-8ul));
    printf("edge %d\n", call((void *)0x7ffffffffff0ul));
    printf("constant %d %s\n", call((void *)constant), constant);
    before = *image;
    printf("text %d %d\n", call(image), *image == before);
    printf("unaligned %d\n", call(two + 13));
    printf("straddle %d\n", call(two + page - 40));
    memset(two, 'x', 2 * page);
    mprotect(two + page, page, PROT_READ);
    printf("into read-only %d", call(two + page - 40));
    printf(" %c\n", two[page]);
    munmap(two + page, page);
    printf("into a hole %d\n", call(two + page - 40));
    mprotect(two, page, PROT_NONE);
    printf("no access %d\n", call(two));
}

static void *in_a_thread(void *where)
{
    *(int *)where = call((char *)where + 16);
    return NULL;
}

/* The stack grows down to a frame that nothing has touched yet. */
static void deep_stack(void)
{
    char frame[512 << 10];

    printf("stack %d\n", call(frame));
}

static void ways(void)
{
    char *shared = pages(1, PROT_READ | PROT_WRITE);
    pthread_t thread;
    int status;

    if (pthread_create(&thread, NULL, in_a_thread, shared) || pthread_join(thread, NULL))
        exit(3);
    printf("thread %d %d\n", *(int *)(void *)shared, ((struct sysinfo *)(void *)(shared + 16))->mem_unit);
    memset(shared, 0, page);
    if (vfork() == 0)
        _exit(call(shared));
    wait(&status);
    printf("vfork %d %d\n", WEXITSTATUS(status), ((struct sysinfo *)(void *)shared)->mem_unit);
    memset(shared, 0, page);
    if (fork() == 0)
        _exit(call(shared));
    wait(&status);
    printf("fork %d %d\n", WEXITSTATUS(status), ((struct sysinfo *)(void *)shared)->mem_unit);
    deep_stack();
}

static void ignore(int number) { (void)number; }

/* A timer every 100 us: the handler must neither end a call nor run while the answer is written. */
static void signals(void)
{
    struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 100}, {0, 100}};
    int failed = 0;

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 5000; i++) {
        struct sysinfo told;
        memset(&told, 0, sizeof told);
        failed += call(&told) != 0 || told.mem_unit != 1;
    }
    printf("failed %d\n", failed);
}

static sigjmp_buf back;

static void leave(int number)
{
    (void)number;
    siglongjmp(back, 1);
}

/* The handler leaves a call for good and its memory gets another use: an answer must not come after that. */
static void left(int n)
{
    struct sigaction action = {.sa_handler = leave};
    static char told[sizeof(struct sysinfo)], expected[sizeof told];
    static unsigned seed = 1;
    static volatile int spoilt, at;

    memset(expected, 'c', sizeof expected);
    sigaction(SIGALRM, &action, NULL);
    for (at = 0; at < n; at++) {
        struct itimerval once = {{0, 0}, {0, 20 + rand_r(&seed) % 80}};
        if (sigsetjmp(back, 1) == 0) {
            setitimer(ITIMER_REAL, &once, NULL);
            for (;;)
                call(told);
        }
        memcpy(told, expected, sizeof told);
        struct timespec pause = {0, 100000};
        nanosleep(&pause, NULL);
        spoilt += memcmp(told, expected, sizeof told) != 0;
    }
    printf("spoilt %d\n", spoilt);
}

/* n processes call m times each. */
static void flood(int n, int m)
{
    struct sysinfo told;
    int failed = 0, status;

    for (int i = 0; i < n; i++)
        if (fork() == 0) {
            for (int k = 0; k < m || m == 0; k++)
                if (call(&told))
                    _exit(1);
            _exit(0);
        }
    while (wait(&status) > 0)
        failed += status != 0;
    printf("failed %d\n", failed);
}

/* Callers that are killed wherever they are; then one that is not. */
static void killed(int n)
{
    struct sysinfo told;
    unsigned seed = 1;

    for (int i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0)
            for (;;)
                call(&told);
        struct timespec pause = {0, rand_r(&seed) % 400000};
        nanosleep(&pause, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    printf("after %d\n", call(&told));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    struct sysinfo told;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(what, "pointers"))
        pointers();
    else if (!strcmp(what, "ways"))
        ways();
    else if (!strcmp(what, "signals"))
        signals();
    else if (!strcmp(what, "left"))
        left(atoi(argv[2]));
    else if (!strcmp(what, "flood"))
        flood(atoi(argv[2]), atoi(argv[3]));
    else if (!strcmp(what, "killed"))
        killed(atoi(argv[2]));
    else if (!strcmp(what, "total") || (!strcmp(what, "undumpable") && prctl(PR_SET_DUMPABLE, 0) == 0)) {
        int failed = call(&told);
        printf("%d %lu\n", failed, told.totalram * told.mem_unit);
    } else
        return 2;
    return 0;
}
