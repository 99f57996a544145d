/* Burns CPU for ever in one of the ways that a naive meter does not see:
 *   spin one           one process
 *   spin threads N     N threads
 *   spin forks N       N chains of short-lived, double-forked processes whose parents never wait */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void burn_ms(long ms)
{
    struct timespec now;
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < ms);
}

static void *burn(void *unused)
{
    volatile unsigned long n = 0;
    for (;;)
        n++;
    return unused;
}

/* A process that works 5 ms, leaves an orphan that goes on, and ends. */
static void chain(void)
{
    for (;;) {
        burn_ms(5);
        if (fork() > 0)
            _exit(0);
    }
}

int main(int argc, char **argv)
{
    int n = argc > 2 ? atoi(argv[2]) : 1;
    pthread_t thread;

    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < n; i++) {
        if (!strcmp(argv[1], "threads"))
            pthread_create(&thread, NULL, burn, NULL);
        else if (!strcmp(argv[1], "forks") && fork() == 0)
            chain();
    }
    if (!strcmp(argv[1], "one"))
        burn(NULL);
    for (;;)
        pause();
}
