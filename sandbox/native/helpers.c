/* Requests that are no run: processes that help runs, of the spawner's own.
 *
 * Theory of operation. The server of a private lxcfs (lxcfs.c) lives as long as its lxcfs; it is born here, and from
 * then on Python talks with it alone. The two visits (peel.c, tree.c) last for some system calls: a process enters a
 * sandbox that runs, does one thing, answers on the socket that came with the request, and is gone. None of them takes
 * an order, has a cgroup given by the spawner, or is made ahead.
 *
 * Each is a plain child of the spawner, which keeps its number as that of an init: to reap it, and to kill it at the
 * end. What is read here of a request is read before the child is there; it only does system calls.
 */
#include "helpers.h"

#include <string.h>

#include "parse.h"

/* Python has the server's socket already, and gets its pidfd on it. */
static pid_t start_lxcfs(const struct pysb_request *request, const int *fds, int count)
{
    static struct pysb_run run;
    struct pysb_event spawned = {.kind = PYSB_SPAWNED};
    int grouped = !!(request->flags & PYSB_REQ_CGROUP), pidfd = -1, result = -1, saved;

    if (count < 3 || (grouped && (request->cgroup_fd < 0 || request->cgroup_fd >= count - 3))) {
        errno = EBADMSG;
        return -1;
    }
    memset(&run, 0, sizeof run);
    run.report = fds[0];
    run.order = run.map_pipe = run.root_fd = run.scratch_fd = run.proc_fd = run.pty_master = run.pty_slave = -1;
    run.view_fd = run.ruleset = -1;
    memcpy(run.fds, fds + 2, ((size_t)count - 2) * sizeof(int));
    TRY(pysb_load_plan(PYSB_LXCFS_PLAN, fds[1], 0, request->setup_bytes, (uint32_t)count - 2, &run.now));
    spawned.pid = pysb_start_lxcfs(&run, grouped ? run.fds[request->cgroup_fd] : -1,
                                   grouped ? run.fds[request->cgroup_fd + 1] : -1);
    saved = errno;
    pysb_drop_plan(&run.now);
    errno = saved;
    TRY(spawned.pid);
    if ((pidfd = (int)syscall(SYS_pidfd_open, spawned.pid, 0)) >= 0)
        result = pysb_report(fds[0], &spawned, NULL, pidfd);
    saved = errno;
    if (pidfd >= 0)
        close(pidfd);
    if (result < 0)
        kill(spawned.pid, SIGKILL); /* nobody was told of it; our child, not reaped: the number is its still */
    errno = saved;
    return result < 0 ? -1 : spawned.pid;
}

/* What a visit is to look for, from its memfd. */
static int read_texts(const struct pysb_request *request, int memfd, char *texts, size_t room)
{
    uint32_t bytes = request->setup_bytes;

    if (bytes && bytes <= room && pread(memfd, texts, bytes, 0) == (ssize_t)bytes && !texts[bytes - 1])
        return 0;
    errno = EBADMSG;
    return -1;
}

static pid_t peel(const struct pysb_request *request, const int *fds, int count)
{
    static char paths[PYSB_MAX_PEEL_BYTES];
    pid_t pid;

    if (count != 4) {
        errno = EBADMSG;
        return -1;
    }
    TRY(read_texts(request, fds[1], paths, sizeof paths));
    TRY(pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (pid == 0)
        pysb_peel(fds[0], fds[2], fds[3], paths, request->setup_bytes);
    return pid;
}

static pid_t tree(const struct pysb_request *request, const int *fds, int count)
{
    static char path[4096]; /* PATH_MAX */
    pid_t pid;

    if (count != 5) {
        errno = EBADMSG;
        return -1;
    }
    TRY(read_texts(request, fds[1], path, sizeof path));
    TRY(pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (pid == 0)
        pysb_tree(fds[0], fds[2], fds[3], fds[4], path, !!(request->flags & PYSB_REQ_ALONE));
    return pid;
}

pid_t pysb_start_helper(const struct pysb_request *request, const int *fds, int count)
{
    if (request->flags & PYSB_REQ_LXCFS)
        return start_lxcfs(request, fds, count);
    return request->flags & PYSB_REQ_PEEL ? peel(request, fds, count) : tree(request, fds, count);
}
