/* The other steps: identity, names, cgroups, and all that the program's process does before exec.
 *
 * The contract between clone and exec: no malloc, no stdio, no getenv, no string is built. Memory,
 * paths, argv and the filter were laid out before the clone; a failure is two numbers, the index of
 * the step and errno, and Python makes the sentence.
 */
#include "child.h"

#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>

/* ---- steps of the init ---- */

static int write_file(const char *path, const char *content)
{
    int file;

    TRY(file = open(path, O_WRONLY | O_CLOEXEC));
    TRY(write(file, content, strlen(content)));
    return close(file);
}

static int step_id_map(struct pysb_run *run, const struct pysb_step *step)
{
    char byte;

    if (step->flags & 1) {
        if (read(run->map_pipe, &byte, 1) != 1) {
            errno = EPIPE; /* the spawner could not write the maps and has said so itself */
            return -1;
        }
        close(run->map_pipe);
    } else {
        /* user_namespaces(7): a self-written gid map needs setgroups denied first (CVE-2014-8989) */
        TRY(write_file("/proc/self/setgroups", "deny"));
        TRY(write_file("/proc/self/uid_map", pysb_text(run, step->text)));
        TRY(write_file("/proc/self/gid_map", pysb_text(run, step->text2)));
    }
    /* Closed to ptrace and to /proc/1/{exe,fd,mem} of the sandbox (CVE-2019-5736, CVE-2016-9962). The
     * spawner is non-dumpable already; it opens a gap only for the maps, which their owner must write. */
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int step_drop_groups(struct pysb_run *run)
{
    if (syscall(SYS_setgroups, 0, NULL) == 0)
        return 0;
    if (errno != EPERM)
        return -1;
    run->notes |= PYSB_NOTE_GROUPS_KEPT; /* denied in a single-id map: no call can drop them there */
    return 0;
}

static int step_hostname(struct pysb_run *run, const struct pysb_step *step)
{
    const char *name = pysb_text(run, step->text);

    if (sethostname(name, strlen(name)) < 0) {
        if (errno != EPERM || !(step->flags & 1))
            return -1;
        /* ours by right: only a seccomp filter says no (Podman's default profile does) */
        run->notes |= PYSB_NOTE_HOSTNAME_KEPT;
        return 0;
    }
    return setdomainname("(none)", 6);
}

static int step_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int socket_fd;

    TRY(socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    TRY(ioctl(socket_fd, SIOCSIFFLAGS, &request));
    return close(socket_fd);
}

static int step_time_offsets(struct pysb_run *run, const struct pysb_step *step)
{
    int result;

    TRY(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); /* the file belongs to root while we are not dumpable */
    result = write_file("/proc/self/timens_offsets", pysb_text(run, step->text));
    TRY(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    return result;
}

/* The terminal comes from the sandbox's own devpts, and its slave by TIOCGPTPEER, not by name. Python
 * gets the master with the run's first event; it cannot be reached yet if this is made ahead. */
static int step_pty(struct pysb_run *run)
{
    struct sys_open_how how = {.flags = O_RDWR | O_NOCTTY | O_CLOEXEC, .resolve = SYS_RESOLVE_IN_ROOT};
    struct statfs kind;
    int unlock = 0;

    TRY(run->pty_master = (int)syscall(SYS_openat2, run->root_fd, "/dev/pts/ptmx", &how, sizeof how));
    /* in a sandbox that runs its program might have put something else there */
    TRY(fstatfs(run->pty_master, &kind));
    if (kind.f_type != DEVPTS_SUPER_MAGIC) {
        errno = ENODEV;
        return -1;
    }
    TRY(ioctl(run->pty_master, TIOCSPTLCK, &unlock));
    return run->pty_slave = ioctl(run->pty_master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* What lets somebody into this sandbox later: /proc closes both to everyone else, for we are not dumpable.
 * /proc is the host's still. */
static int step_namespaces(struct pysb_run *run)
{
    TRY(run->user_ns = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
    return run->mount_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
}

int pysb_setup_step(struct pysb_run *run, const struct pysb_step *step)
{
    switch (step->op) {
    case PYSB_ID_MAP: return step_id_map(run, step);
    case PYSB_DROP_GROUPS: return step_drop_groups(run);
    case PYSB_HOSTNAME: return step_hostname(run, step);
    case PYSB_LOOPBACK: return step_loopback();
    case PYSB_ATTACH: return write(run->fds[step->fd], "0", 1) == 1 ? 0 : -1;
    case PYSB_UNSHARE: return (int)syscall(SYS_unshare, (unsigned long)step->a);
    case PYSB_TIME_OFFSETS: return step_time_offsets(run, step);
    case PYSB_PTY: return step_pty(run) < 0 ? -1 : 0;
    case PYSB_NAMESPACES: return step_namespaces(run) < 0 ? -1 : 0;
    case PYSB_JOIN: return pysb_join(run, step) < 0 ? -1 : 0;
    case PYSB_HAND_OUT: return pysb_hand_out(run);
    case PYSB_LISTEN: return pysb_listen_setup(run);
    case PYSB_SYSINFO: return pysb_sysinfo_setup(run, step);
    case PYSB_GAUGE: return pysb_sysinfo_gauge(run, step);
    case PYSB_LANDLOCK: return pysb_landlock(run, step) < 0 ? -1 : 0;
    case PYSB_LANDLOCK_PATH: return pysb_landlock_path(run, step);
    default: return pysb_mount_step(run, step);
    }
}

/* ---- steps of the program's process ---- */

static int step_session(struct pysb_run *run, const struct pysb_step *step)
{
    TRY(setsid());
    if (!(step->flags & 1))
        return 0;
    /* Before it is anybody's terminal: no SIGWINCH for a size that has never been another. */
    if (step->a) {
        struct winsize size = {.ws_row = (unsigned short)step->a, .ws_col = (unsigned short)step->b};
        TRY(ioctl(run->pty_slave, TIOCSWINSZ, &size));
    }
    return ioctl(run->pty_slave, TIOCSCTTY, 0);
}

/* What the plan names lies above all numbers that the program is given (init.c, make_room). */
static int step_stream(struct pysb_run *run, const struct pysb_step *step)
{
    int target = (int)step->a, source = step->fd >= 0 ? run->fds[step->fd] : run->pty_slave;

    if (source < 0 && step->fd < 0) {
        TRY(source = open("/dev/null", O_RDWR | O_CLOEXEC));
        if (source == target)
            return fcntl(target, F_SETFD, 0);
        TRY(dup3(source, target, 0));
        return close(source);
    }
    TRY(dup3(source, target, 0));
    return step->fd >= 0 && run->ruleset >= 0 ? pysb_landlock_handed(run, target) : 0;
}

/* The kernel says "(unreachable)" where the directory is not below the root: a link of a foreign root into
 * /proc/self/fd may lead anywhere (CVE-2024-21626). */
static int step_chdir(const char *path)
{
    char here[4096];

    TRY(chdir(path));
    TRY(syscall(SYS_getcwd, here, sizeof here));
    if (here[0] == '/')
        return 0;
    errno = EXDEV;
    return -1;
}

static int step_keyring(void)
{
    /* ENOSYS: a kernel without keyrings has none to share */
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 && errno != ENOSYS)
        return -1;
    return 0;
}

static int step_rlimit(const struct pysb_step *step)
{
    struct {
        uint64_t soft, hard;
    } limit = {step->b, step->c}, ours;

    if (step->flags & 1) {
        TRY(syscall(SYS_prlimit64, 0, (unsigned)step->a, NULL, &ours));
        limit.hard = limit.hard < ours.hard ? limit.hard : ours.hard;
        limit.soft = limit.soft < limit.hard ? limit.soft : limit.hard;
    }
    return (int)syscall(SYS_prlimit64, 0, (unsigned)step->a, &limit, NULL);
}

static int step_ids(const struct pysb_step *step)
{
    /* capabilities(7): from uid 0 to another all are lost but, with this, the permitted ones; exec takes it away again */
    if (step->flags & 1)
        TRY(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    TRY(syscall(SYS_setresgid, (gid_t)step->b, (gid_t)step->b, (gid_t)step->b));
    TRY(syscall(SYS_setresuid, (uid_t)step->a, (uid_t)step->a, (uid_t)step->a));
    /* fs.suid_dumpable holds after a change (commit_creds), and in a sandbox that runs somebody may be waiting for it */
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* What becomes of the program is decided elsewhere: at the end of file nobody wants it any more. */
static int step_wait(const struct pysb_run *run, const struct pysb_step *step)
{
    struct pysb_event event = {.kind = PYSB_WAITING, .notes = run->notes, .pid = getpid()};
    ssize_t length;
    char byte;

    TRY(pysb_report(run->report, &event, NULL, -1));
    TRY(length = read(run->fds[step->fd], &byte, 1));
    if (length == 1)
        return 0;
    errno = ECANCELED;
    return -1;
}

static int step_attach(struct pysb_run *run, const struct pysb_step *step)
{
    int *fd = &run->fds[step->fd];

    if (write(*fd, "0", 1) != 1)
        return -1;
    TRY(close(*fd));
    *fd = -1;
    return 0;
}

static int step_started(struct pysb_run *run, const struct pysb_step *step)
{
    char baseline[PYSB_MAX_BASELINE_BYTES];
    struct pysb_event event = {.kind = PYSB_BEGAN, .notes = run->notes, .pid = getpid()};
    ssize_t length = 0;

    if (step->fd >= 0)
        TRY(length = pread(run->fds[step->fd], baseline, sizeof baseline, 0));
    event.extra = (uint32_t)length;
    event.at_ns = pysb_now_ns();
    return pysb_report(run->report, &event, baseline, -1);
}

static int step_seccomp(struct pysb_run *run, const struct pysb_step *step)
{
    struct sock_fprog filter = {(unsigned short)(step->a / sizeof(struct sock_filter)),
                                (struct sock_filter *)(void *)pysb_text(run, step->text)};

    if (step->flags)
        return pysb_listen_load(run, step);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

/* As execvp(3): the next candidate after ENOENT and ENOTDIR, and after EACCES, which is remembered. */
static int step_exec(struct pysb_run *run, const struct pysb_step *step)
{
    const char *path = pysb_text(run, step->text);
    int refused = 0;

    for (uint64_t i = 0; i < step->a; i++, path += strlen(path) + 1) {
        execve(path, run->now.argv, run->now.envp);
        if (errno == EACCES)
            refused = 1;
        else if (errno != ENOENT && errno != ENOTDIR)
            return -1;
    }
    if (refused)
        errno = EACCES;
    return -1;
}

static int step_no_new_privs(const struct pysb_run *run)
{
    if (run->joined) /* the ids are final: see there */
        TRY(pysb_die_with_parent());
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int program_step(struct pysb_run *run, const struct pysb_step *step)
{
    switch (step->op) {
    case PYSB_SESSION: return step_session(run, step);
    case PYSB_STREAM: return step_stream(run, step);
    case PYSB_CHDIR: return step_chdir(pysb_text(run, step->text));
    case PYSB_KEYRING: return step_keyring();
    case PYSB_CHANNEL: return pysb_listen_channel(run, step);
    case PYSB_RLIMIT: return step_rlimit(step);
    case PYSB_AFFINITY: return (int)syscall(SYS_sched_setaffinity, 0, (size_t)step->a, pysb_text(run, step->text));
    case PYSB_IDS: return step_ids(step);
    case PYSB_DROP_BOUNDING: return pysb_reduce_bounding(step);
    case PYSB_DROP_CAPS: return pysb_reduce_capabilities(step);
    case PYSB_NO_NEW_PRIVS: return step_no_new_privs(run);
    case PYSB_WAIT: return step_wait(run, step);
    case PYSB_ATTACH: return step_attach(run, step);
    case PYSB_JOIN: return pysb_join(run, step);
    case PYSB_RESTRICT: return pysb_landlock_restrict(run);
    case PYSB_CONFINE: return pysb_confine_program(step);
    case PYSB_STARTED: return step_started(run, step);
    case PYSB_SECCOMP: return step_seccomp(run, step);
    case PYSB_EXEC: return step_exec(run, step);
    default: errno = ENOSYS; return -1;
    }
}

/* Ignored signals are inherited through exec. By the system call itself: libc refuses the two numbers
 * that it keeps for itself, and a caller's caller may have ignored those too. */
int pysb_default_signals(void)
{
    static const unsigned long standard[4]; /* the kernel's struct sigaction, all 0: SIG_DFL, no flags */

    for (int number = 1; number < 65; number++)
        if (number != SIGKILL && number != SIGSTOP && syscall(SYS_rt_sigaction, number, standard, NULL, 8) < 0)
            return -1;
    return 0;
}

/* Signals as after exec of a shell: all default, none blocked; the usual umask. */
static int reset_signals(void)
{
    sigset_t none;

    TRY(pysb_default_signals());
    umask(022);
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* All but what the steps still use, none of which is a directory: through one of the host's a path that the sandbox
 * made (a link into /proc/self/fd) would lead out of the root, from the work directory or from exec itself. */
static int close_the_others(const struct pysb_run *run, const struct pysb_step *steps)
{
    int kept[4 + PYSB_MAX_FDS] = {run->report, run->pty_slave, run->ruleset, run->listen.far}, count = 4;

    for (uint32_t i = 0; i < run->now.nfds; i++)
        for (uint32_t k = 0; k < run->now.plan->n_program; k++)
            if (steps[k].fd == (int32_t)i) {
                kept[count++] = run->fds[i];
                break;
            }
    return pysb_close_all_but(kept, count);
}

_Noreturn void pysb_program(struct pysb_run *run)
{
    struct pysb_event failed = {.kind = PYSB_FAILED, .phase = PYSB_PHASE_PROGRAM, .notes = run->notes};
    const struct pysb_step *steps = run->now.steps + run->now.plan->n_init;

    /* Every fd goes at exec, whatever its number; the streams of the plan alone are opened again. */
    if (reset_signals() == 0 && close_the_others(run, steps) == 0 &&
        syscall(SYS_close_range, 0, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        while (failed.step < run->now.plan->n_program && program_step(run, steps + failed.step) == 0)
            failed.step++;
    failed.error = errno;
    (void)!pysb_report(run->report, &failed, NULL, -1);
    _exit(127);
}
