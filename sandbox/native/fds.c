/* Which file descriptors a process of ours keeps. */
#include "child.h"

static void sort(int *numbers, int count)
{
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && numbers[k - 1] > numbers[k]; k--) {
            int larger = numbers[k - 1];
            numbers[k - 1] = numbers[k];
            numbers[k] = larger;
        }
}

/* Closes all but ``kept``, which is put in order; -1 in it is none. */
int pysb_close_all_but(int *kept, int count)
{
    unsigned from = 0;

    sort(kept, count);
    for (int i = 0; i < count; i++) {
        if (kept[i] < 0)
            continue;
        if ((unsigned)kept[i] > from)
            TRY(syscall(SYS_close_range, from, (unsigned)kept[i] - 1, 0));
        from = (unsigned)kept[i] + 1;
    }
    return (int)syscall(SYS_close_range, from, ~0u, 0);
}
