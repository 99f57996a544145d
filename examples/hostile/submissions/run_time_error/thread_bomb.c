/* Is right if there may be ten thousand threads. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *sleeps(void *unused)
{
    for (;;)
        pause();
    return unused;
}

int main(void)
{
    long n;
    pthread_attr_t small;
    pthread_t thread;
    if (scanf("%ld", &n) != 1)
        return 1;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    for (int i = 0; i < 10000; i++)
        if (pthread_create(&thread, &small, sleeps, NULL))
            return 1;
    printf("%ld\n", 48271 * n % 2147483647);
    return 0;
}
