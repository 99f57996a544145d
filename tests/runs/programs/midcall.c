/* Threads that make calls without end, and one that kills the process while they wait for answers. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *work(void *unused)
{
    for (;;)
        syscall(SYS_getppid);
    return unused;
}

int main(void)
{
    pthread_t thread;

    for (int i = 0; i < 8; i++)
        if (pthread_create(&thread, NULL, work, NULL))
            return 3;
    for (volatile long i = 0; i < 50000000; i++)
        ;
    kill(getpid(), SIGKILL);
    return 4;
}
