/* calls THREADS CHILDREN TIMES: so many getppid(2) in each of so many threads and children, and nothing else of them. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long times;

static void *work(void *unused)
{
    for (long i = 0; i < times; i++)
        syscall(SYS_getppid);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t threads[64];
    long n = argc > 3 ? atol(argv[1]) : 0, children = argc > 3 ? atol(argv[2]) : 0, made = 0;

    times = argc > 3 ? atol(argv[3]) : 0;
    if (n > 64)
        return 2;
    for (long i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, work, NULL))
            return 3;
    for (long i = 0; i < children; i++) {
        pid_t child = fork();
        if (child < 0)
            return 4;
        if (child == 0) {
            work(NULL);
            _exit(0);
        }
    }
    for (long i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    while (wait(NULL) > 0)
        made++;
    return made == children ? 0 : 5;
}
