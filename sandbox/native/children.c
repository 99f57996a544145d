/* Where there is no pid namespace: a subreaper's way to end all that is below it. */
#include "child.h"

/* kill(-1) would reach the host. Whatever a dying process leaves becomes a child of ours sooner or later: kill the
 * children (but ``spared``, ``count`` of them) again and again until there are none. */
void pysb_kill_children(const pid_t *spared, int count)
{
    char list[4096];
    int file = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, list, sizeof list);
    pid_t pid = 0;

    for (ssize_t i = 0; i < length; i++) {
        if (list[i] >= '0' && list[i] <= '9') {
            pid = pid * 10 + (list[i] - '0');
            continue;
        }
        for (int k = 0; k < count; k++)
            if (spared[k] == pid)
                pid = 0;
        if (pid > 1)
            kill(pid, SIGKILL); /* a child, and nobody else waits for it: the number is its still */
        pid = 0;
    }
    if (file >= 0)
        close(file);
}
