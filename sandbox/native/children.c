/* Where there is no pid namespace: a subreaper's way to end all that is below it. */
#include "child.h"

#include <string.h>

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

/* ---- of a program in a sandbox that others live in: it and what descends from it ---- */

enum { DEPTH = 64, BREADTH = 4096, PASSES = 3 };

struct entry { /* getdents64(2) */
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* The ``*k``-th number in a ``children`` file, or 0, and ``*k`` less as many as there are. */
static pid_t number_of(int file, int *k)
{
    char list[4096];
    ssize_t length;
    pid_t pid = 0;

    while ((length = read(file, list, sizeof list)) > 0)
        for (ssize_t i = 0; i < length; i++) {
            if (list[i] >= '0' && list[i] <= '9')
                pid = pid * 10 + (list[i] - '0');
            else if (pid && (*k)-- == 0)
                return pid;
            else
                pid = 0;
        }
    return 0;
}

/* The k-th child of all threads of this process. */
static pid_t child_of(int proc, pid_t pid, int k)
{
    union {
        struct entry first;
        char bytes[2048];
    } entries;
    char path[64];
    size_t at = pysb_decimal(path, (uint64_t)pid);
    pid_t child = 0;
    long length;
    int tasks;

    memcpy(path + at, "/task", 6);
    tasks = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks < 0)
        return 0;
    while (!child && (length = syscall(SYS_getdents64, tasks, entries.bytes, sizeof entries.bytes)) > 0)
        for (long i = 0; !child && i < length;) {
            const struct entry *entry = (const void *)(entries.bytes + i);
            size_t name = strlen(entry->name);

            i += entry->length;
            if (entry->name[0] == '.' || name > 20)
                continue;
            memcpy(path, entry->name, name);
            memcpy(path + name, "/children", 10);
            int file = openat(tasks, path, O_RDONLY | O_CLOEXEC);
            if (file < 0)
                continue;
            child = number_of(file, &k);
            close(file);
        }
    close(tasks);
    return child;
}

/* What is below ``pid``, deepest first. Each is stopped before its children are looked for, so there will be no more of
 * them; and its number is believed only if it is still that child once the pidfd holds it. */
static void kill_below(int proc, pid_t pid, int depth)
{
    for (int k = 0; depth && k < BREADTH; k++) {
        pid_t child = child_of(proc, pid, k);
        int held;

        if (!child)
            return;
        held = (int)syscall(SYS_pidfd_open, child, 0);
        if (held < 0)
            continue;
        if (child_of(proc, pid, k) == child && syscall(SYS_pidfd_send_signal, held, SIGSTOP, NULL, 0) == 0) {
            kill_below(proc, child, depth - 1);
            (void)!syscall(SYS_pidfd_send_signal, held, SIGKILL, NULL, 0);
        }
        close(held);
    }
}

void pysb_kill_joined(const struct pysb_run *run)
{
    pid_t self = getpid(), program = child_of(run->proc_fd, self, 0);

    if (program <= 1)
        return;
    kill(program, SIGSTOP); /* our child, not reaped: the number is its still */
    for (int pass = 0; pass < PASSES; pass++)
        kill_below(run->proc_fd, program, DEPTH);
    kill(-program, SIGKILL); /* its process group, also those whose parents are gone */
    kill(program, SIGKILL);
}
