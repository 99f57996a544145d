/* A private lxcfs: its birth, and the small server that gives its files out.
 *
 *   spawner --clone3--> door --clone3(CLONE_PARENT)--> server --clone--> lxcfs
 *
 * lxcfs serves /proc/meminfo and others by FUSE. Where it can be mounted and who may read it decide how
 * it is born:
 * - FUSE files can be read in the mounter's user namespace and below it (fuse_allow_current_process):
 *   so it lives in the spawner's namespace P, below which all sandboxes are.
 * - The pid of a reader is said in the pid namespace of the mounter, and lxcfs looks up that reader's init
 *   and its cgroup: so it lives in the spawner's pid namespace, which sees all sandboxes. In one of its
 *   own every reader would be pid 0.
 * - It mounts cgroup2 itself, for which P must own the cgroup namespace. The root of that is the cgroup
 *   in which it is unshared, ``around``; and as v2 has no processes beside child cgroups that have
 *   controllers, nobody may stay there: the door is born in it, unshares, has the server born in
 *   ``inside`` below it, and leaves. So nobody is ever moved, which would wait for a grace period.
 * - It binds "/" alone, which the kernel refuses while "/" has mounts that are locked: so its root is
 *   made of mounts of our own, by the steps of a plan.
 *
 * A mount cannot be cloned from another mount namespace before Linux 6.15, and a detached clone can be
 * attached once. So the server, which shares lxcfs' mount namespace, clones the asked files anew for each
 * run and hands them out over its socket. It clones what it has opened with O_PATH when lxcfs began: no
 * request goes to lxcfs then, so a hung one does not hang it.
 *
 * Who dies with whom: lxcfs with the server (PR_SET_PDEATHSIG), the server with lxcfs, with the spawner
 * (PR_SET_PDEATHSIG) and with Python (end of file). All of the cgroup is killed by whoever removes it.
 */
#include "child.h"

#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* A broken lxcfs may complain for ever: what goes into its log is cut by RLIMIT_FSIZE. */
enum { LOG = 0, LOG_BYTES = 65536 };

/* What lxcfs needs of P: to mount and to enter namespaces; to look at processes of other ids and user namespaces
 * below P, with CAP_DAC_READ_SEARCH because their /proc/PID/personality is 0400 and without it meminfo is empty;
 * to return to its own mount namespace (mntns_install() asks for CAP_SYS_CHROOT). */
static const uint32_t lxcfs_capabilities =
    1u << CAP_SYS_ADMIN | 1u << CAP_SYS_PTRACE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_SYS_CHROOT;
/* What the server needs: open_tree(2) */
static const uint32_t server_capabilities = 1u << CAP_SYS_ADMIN;

static int keep_capabilities(uint32_t kept)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct both[2];

    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (cap >= 32 || !(kept & 1u << cap))
            TRY(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0));
    memset(both, 0, sizeof both);
    both[0].effective = both[0].permitted = kept;
    TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    return (int)syscall(SYS_capset, &header, both);
}

/* ---- lxcfs' own process, until exec ---- */

static int become_lxcfs(const struct pysb_run *run)
{
    static const struct rlimit log = {LOG_BYTES, LOG_BYTES}, none = {0, 0};
    static const unsigned long ignored[4] = {1}; /* SIG_IGN: a full log is an error of write(2), not the end */
    sigset_t no_signals;

    TRY(pysb_default_signals());
    TRY(syscall(SYS_rt_sigaction, SIGXFSZ, ignored, NULL, 8));
    TRY(dup3(run->fds[LOG], 1, 0));
    TRY(dup3(run->fds[LOG], 2, 0));
    TRY(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC));
    TRY(setrlimit(RLIMIT_FSIZE, &log));
    TRY(setrlimit(RLIMIT_CORE, &none));
    TRY(keep_capabilities(lxcfs_capabilities));
    TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    TRY(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)); /* kept by exec, which gives nothing new */
    TRY(pysb_confine_lxcfs());
    umask(022);
    sigemptyset(&no_signals);
    TRY(sigprocmask(SIG_SETMASK, &no_signals, NULL));
    return execve(run->now.argv[0], run->now.argv, run->now.envp);
}

/* ---- the server ---- */

static struct {
    int exports[PYSB_MAX_EXPORTS]; /* O_PATH */
    uint32_t n;
    int report, signals, mounts;
    pid_t lxcfs;
} server;

static _Noreturn void fail(uint32_t phase, uint32_t step)
{
    struct pysb_event failed = {.kind = PYSB_FAILED, .phase = phase, .step = step, .error = errno};

    (void)!pysb_report(server.report, &failed, NULL, -1);
    _exit(125);
}

/* lxcfs' mount point is the last word of its command. Has something been mounted there? Asks no file system. */
static int is_mounted(const char *mount_point)
{
    struct statx root, found;

    TRY(syscall(SYS_statx, AT_FDCWD, "/", AT_STATX_DONT_SYNC, STATX_TYPE, &root));
    TRY(syscall(SYS_statx, AT_FDCWD, mount_point, AT_STATX_DONT_SYNC, STATX_TYPE, &found));
    return root.stx_dev_major != found.stx_dev_major || root.stx_dev_minor != found.stx_dev_minor;
}

/* Waits for lxcfs to answer the look-ups; it ends with an error if lxcfs ends. */
static void open_exports(const struct pysb_run *run)
{
    const struct pysb_step *step = run->now.steps + run->now.plan->n_init;
    struct pysb_event ready = {.kind = PYSB_READY, .pid = server.lxcfs};

    for (uint32_t i = 0; i < run->now.plan->n_program; i++, server.n++)
        if ((server.exports[i] = open(pysb_text(run, step[i].text), O_PATH | O_NOFOLLOW | O_CLOEXEC)) < 0)
            fail(PYSB_PHASE_PROGRAM, i);
    close(server.mounts);
    server.mounts = -1;
    if (pysb_report(server.report, &ready, NULL, -1) < 0)
        _exit(125);
}

static void answer(uint32_t mask)
{
    struct pysb_event event = {.kind = PYSB_CLONED};
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
    int fds[PYSB_MAX_EXPORTS], count = 0;

    for (uint32_t i = 0; i < server.n && !event.error; i++)
        if (mask & 1u << i) {
            fds[count] = (int)syscall(SYS_open_tree, server.exports[i], "", flags);
            if (fds[count++] < 0)
                event.error = errno, count--;
        }
    event.step = (uint32_t)count;
    if (event.error || !count)
        (void)!pysb_report(server.report, &event, NULL, -1);
    else
        (void)!pysb_report_fds(server.report, &event, fds, count);
    while (count)
        close(fds[--count]);
}

static void obey(void)
{
    struct pysb_command command;
    ssize_t length = recv(server.report, &command, sizeof command, MSG_DONTWAIT);

    if (length == sizeof command && command.kind == PYSB_CLONE)
        answer((uint32_t)command.number);
    else if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) {
        kill(server.lxcfs, SIGKILL);
        _exit(0);
    }
}

static void reap(void)
{
    struct pysb_event ended = {.kind = PYSB_ENDED};
    struct signalfd_siginfo ignored;
    pid_t gone;

    while (read(server.signals, &ignored, sizeof ignored) > 0) {
    }
    while ((gone = waitpid(-1, &ended.status, WNOHANG | __WALL)) > 0)
        if (gone == server.lxcfs) {
            (void)!pysb_report(server.report, &ended, NULL, -1);
            _exit(0); /* its mounts are dead now; whoever watches us takes them away (peel.c) */
        }
}

static _Noreturn void serve(struct pysb_run *run)
{
    const struct pysb_plan *plan = run->now.plan;
    const char *mount_point = run->now.argv[plan->argc - 1];
    sigset_t child;
    uint32_t step;

    server.report = run->report;
    prctl(PR_SET_NAME, "pysandbox-lxcfs", 0, 0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        _exit(125);
    for (step = 0; step < plan->n_init; step++)
        if (pysb_setup_step(run, run->now.steps + step) < 0)
            fail(PYSB_PHASE_SETUP, step);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    server.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    server.mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (server.signals < 0 || server.mounts < 0)
        fail(PYSB_PHASE_SPAWN, 0);
    server.lxcfs = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (server.lxcfs == 0) {
        (void)become_lxcfs(run);
        fail(PYSB_PHASE_PROGRAM, plan->n_program);
    }
    int kept[3] = {server.report, server.signals, server.mounts};
    if (server.lxcfs < 0 || pysb_close_all_but(kept, 3) < 0 || keep_capabilities(server_capabilities) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail(PYSB_PHASE_SPAWN, 0);
    for (;;) {
        /* POLLPRI: a mount has come or gone in this namespace (proc(5), mounts_poll) */
        struct pollfd watched[3] = {{server.report, POLLIN, 0}, {server.signals, POLLIN, 0}, {server.mounts, POLLPRI, 0}};

        if (poll(watched, 3, -1) < 0 && errno != EINTR)
            _exit(125);
        if (watched[1].revents)
            reap();
        if (server.mounts >= 0 && is_mounted(mount_point) > 0)
            open_exports(run);
        if (watched[0].revents)
            obey();
    }
}

/* ---- the birth ---- */

static int pass_the_door(struct pysb_run *run, int inside, pid_t *born)
{
    /* A network of its own: ours may be the one that is ready for the next run. */
    struct sys_clone_args args = {
        .flags = CLONE_PARENT | CLONE_PARENT_SETTID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
        .parent_tid = (uint64_t)(uintptr_t)born};
    pid_t pid;

    if (inside >= 0) {
        TRY(unshare(CLONE_NEWCGROUP));
        args.flags |= SYS_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)inside;
    }
    TRY(pid = (pid_t)syscall(SYS_clone3, &args, sizeof args));
    if (pid == 0)
        serve(run);
    return 0;
}

/* Starts the server, a child of ours. ``around`` and ``inside`` are v2 cgroups, or -1: then the steps of the
 * plan enter one. ``run`` holds the checked plan, its fds, and the server's socket as report. Its pid, or -1. */
pid_t pysb_start_lxcfs(struct pysb_run *run, int around, int inside)
{
    struct sys_clone_args args = {.exit_signal = SIGCHLD};
    pid_t *born = mmap(NULL, sizeof *born, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), door, pid;
    int status = 0;

    if (born == MAP_FAILED)
        return -1;
    if (around >= 0) {
        args.flags |= SYS_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)around;
    }
    door = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (door == 0)
        _exit(pass_the_door(run, inside, born) < 0 ? errno : 0);
    if (door > 0)
        while (waitpid(door, &status, __WALL) < 0 && errno == EINTR) {
        } /* three system calls away */
    else
        status = errno << 8; /* as a door that said so */
    pid = *born;
    munmap(born, sizeof *born);
    if (pid > 0)
        return pid;
    errno = WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : ECHILD;
    return -1;
}
