/* The seccomp listener of a run: seccomp_unotify(2).
 *
 * Theory of operation
 *
 *   program: [hole, sysinfo: ask][the policy, its refusals: ask] --listener--> init: what is the true answer?
 *
 * The kernel takes one listener for a process and all that come from it, so there is one filter for all that is
 * asked. Its text comes ready from Python (listening.py), twice: as the policy stands, and asking. The program's
 * process loads the second and passes the listener on, to the init over a socket pair made before the fork, or to
 * Python over the report socket. On each call that is asked the init follows the first (bpf.c) over the registers
 * of the call: what the policy allows is sysinfo(2), answered by sysinfo.c; what it refuses is recorded by
 * denials.c and refused. Of the init's poll loop one turn answers one call, so that no number of callers keeps it
 * from its other duties.
 *
 * The hole. The listener exists once the filter is loaded, and the filter may refuse sendmsg(2), or ask about it,
 * which nobody would answer yet. So sendmsg passes on one fd number, at or above the program's hard limit
 * of open files: taken before that limit is set, closed by exec, and never the program's, whatever it does. Until
 * the listener is gone no other call may be made, for the same reason.
 *
 * A signal cannot end the wait of a caller once we have its call: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux
 * 5.19), without which there is no listener.
 *
 * If the init dies its listener closes and who waits gets ENOSYS: no refused call is carried out by that, with or
 * without a pid namespace whose end would kill the caller anyway.
 */
#include "child.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statfs.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no seccomp architecture for this machine"
#endif

/* Linux 6.6 */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif

enum { SEND_TRIES = 5000000, MAX_ERRNO = 4095 }; /* 5 s and more; include/linux/err.h */

/* ---- before the program ---- */

size_t pysb_decimal(char *text, uint64_t number)
{
    char digits[20];
    size_t n = 0, length = 0;

    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n)
        text[length++] = digits[--n];
    return length;
}

/* Is it a proc of our pid namespace? Asked, not trusted: "self" must be our own number there. */
int pysb_check_proc(int proc)
{
    char said[24], ours[24];
    struct statfs kind;
    size_t length = pysb_decimal(ours, (uint64_t)getpid());

    TRY(fstatfs(proc, &kind));
    if (kind.f_type == PROC_SUPER_MAGIC && readlinkat(proc, "self", said, sizeof said) == (ssize_t)length &&
        !memcmp(said, ours, length))
        return 0;
    errno = EXDEV;
    return -1;
}

/* The directory in which the kernel's numbers of our callers are names: the sandbox's private proc, or the
 * host's where we are in its pid namespace. */
static int open_proc(const struct pysb_run *run)
{
    int proc;

    if (run->proc_fd >= 0)
        TRY(proc = openat(run->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    else
        TRY(proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    TRY(pysb_check_proc(proc));
    return proc;
}

int pysb_listen_setup(struct pysb_run *run)
{
    struct pysb_listen *own = &run->listen;
    int two[2];

    TRY(own->proc = open_proc(run));
    TRY(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, two));
    own->socket = two[0];
    own->far = two[1];
    return 0;
}

/* In the program's process, before its limit of open files: ours was raised as far as it goes by the spawner.
 * EEXIST: the number is taken by something that is needed still. */
int pysb_listen_channel(struct pysb_run *run, const struct pysb_step *step)
{
    int source = step->flags & 1 ? run->report : run->listen.far, number = (int)step->a;

    if (fcntl(number, F_GETFD) >= 0) {
        errno = EEXIST;
        return -1;
    }
    TRY(dup3(source, number, O_CLOEXEC));
    run->listen.channel = number;
    return 0;
}

/* The listener takes a number below the program's limit, and the init's fds, which exec closes, may fill a small one:
 * free the first that is no stream of the program. */
static void make_slot(const struct pysb_run *run, uint64_t limit)
{
    const struct pysb_step *steps = run->now.steps + run->now.plan->n_init;

    for (int fd = 0; (uint64_t)fd < limit; fd++) {
        int kept = fd == run->report;
        for (uint32_t i = 0; i < run->now.plan->n_program; i++)
            kept |= steps[i].op == PYSB_STREAM && (int)steps[i].a == fd;
        if (!kept) {
            close(fd); /* or it is free */
            return;
        }
    }
}

/* unix(7): ETOOMANYREFS while more fds of this user are under way than our RLIMIT_NOFILE, which is the program's by
 * now: a crowd that starts at once. They arrive within milliseconds; to sleep for that long is a call that may be
 * asked about. */
static int send_listener(int channel, int to_python, int listener)
{
    struct pysb_request nothing = {.magic = PYSB_MAGIC};
    struct pysb_event event = {.kind = PYSB_LISTENER};
    int sent = -1;

    for (int tries = 0; sent < 0 && tries < SEND_TRIES; tries++) {
        sent = to_python ? pysb_report_fds(channel, &event, &listener, 1) : pysb_send(channel, &nothing, &listener, 1);
        if (sent < 0 && errno != ETOOMANYREFS && errno != EAGAIN)
            break;
    }
    /* Nobody will answer, so no call is left to say it with, and none to exit by: SIGILL, which the init and Python
     * take for what it is. */
    if (sent < 0)
        __builtin_trap();
    return 0;
}

/* Somebody listens to our caller already, a container's manager perhaps. No filter is loaded yet. */
static int load_unheard(struct pysb_run *run, const struct pysb_step *step)
{
    struct sock_fprog filter = {(unsigned short)(step->a / sizeof(struct sock_filter)),
                                (struct sock_filter *)(void *)pysb_text(run, step->text)};
    struct pysb_event event = {.kind = PYSB_UNHEARD};

    TRY(pysb_report(run->report, &event, NULL, -1));
    return step->a ? (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) : 0;
}

/* In the program's process. The listener is close-on-exec from its first moment. */
int pysb_listen_load(struct pysb_run *run, const struct pysb_step *step)
{
    struct sock_fprog filter = {(unsigned short)(step->b / sizeof(struct sock_filter)),
                                (struct sock_filter *)(void *)pysb_text(run, step->text2)};
    struct {
        uint64_t soft, hard;
    } files;
    int listener;

    TRY(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &files));
    if (run->listen.channel < 0 || (uint64_t)run->listen.channel < files.hard) {
        errno = EBADF; /* the program could have this number */
        return -1;
    }
    make_slot(run, files.soft);
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                            SECCOMP_FILTER_FLAG_NEW_LISTENER | SYS_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &filter);
    if (listener < 0)
        return errno == EBUSY && (step->flags & PYSB_LISTENER_OR_NOT) ? load_unheard(run, step) : -1;
    return send_listener(run->listen.channel, !!(step->flags & PYSB_LISTENER_PYTHON), listener);
}

/* ---- in the init ---- */

/* /proc/PID/mem belongs to the program's id; with an id range that is not ours. The file-system ids are enough,
 * for the file's mode and for ptrace_may_access(), and need no capability. */
static int take_ids(const struct pysb_run *run, const struct pysb_step *ids)
{
    uid_t uid = (uid_t)ids->a;
    gid_t gid = (gid_t)ids->b;

    if (uid == geteuid() && gid == getegid())
        return 0;
    setfsgid(gid);
    setfsuid(uid);
    if ((gid_t)setfsgid((gid_t)-1) != gid || (uid_t)setfsuid((uid_t)-1) != uid) {
        errno = EPERM; /* they tell of no error by themselves */
        return -1;
    }
    /* commit_creds(): both are lost when an id changes */
    TRY(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    return prctl(PR_SET_PDEATHSIG, run->own_pid_ns ? SIGKILL : SIGTERM, 0, 0, 0); /* as pysb_init() */
}

/* After the fork: what the program's steps say of the policy and of whose memory it will be. */
int pysb_listen_begin(struct pysb_run *run, pid_t program)
{
    const struct pysb_step *steps = run->now.steps + run->now.plan->n_init;

    run->listen.program = program;
    for (uint32_t i = 0; run->listen.socket >= 0 && i < run->now.plan->n_program; i++) {
        if (steps[i].op == PYSB_IDS)
            TRY(take_ids(run, steps + i));
        if (steps[i].op == PYSB_SECCOMP) {
            run->listen.truth = pysb_text(run, steps[i].text);
            run->listen.length = (uint32_t)(steps[i].a / sizeof(struct sock_filter));
        }
    }
    return 0;
}

int pysb_listen_fd(const struct pysb_run *run)
{
    return run->listen.socket >= 0 ? run->listen.socket : run->listen.listener;
}

static void take_listener(struct pysb_run *run)
{
    struct pysb_listen *own = &run->listen;
    struct pysb_request nothing;
    int fds[PYSB_MAX_FDS + 2];

    if (pysb_receive(own->socket, &nothing, fds) == 1) {
        own->listener = fds[0];
        /* Caller and init on one CPU (Linux 6.6): no waking across CPUs. Older kernels are slower, no more. */
        (void)!ioctl(own->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    } else {
        run->notes |= PYSB_NOTE_NO_LISTENER;
    }
    close(own->socket);
    own->socket = -1;
}

/* ``file`` of the caller, "" for its directory. What is open is its own only if pysb_waits() says so afterwards:
 * the number in a notification may be another process by the time it is used. If the call waits still, its thread
 * has held the number all the time. */
int pysb_open_of(const struct pysb_run *run, const struct seccomp_notif *asked, const char *file, int flags)
{
    char path[32];
    size_t length = pysb_decimal(path, asked->pid);

    memcpy(path + length, file, strlen(file) + 1);
    return openat(run->listen.proc, path, flags | O_CLOEXEC);
}

int pysb_waits(const struct pysb_run *run, const struct seccomp_notif *asked)
{
    return ioctl(run->listen.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked->id) == 0;
}

static void reply(const struct pysb_run *run, const struct seccomp_notif *asked, int error, uint32_t flags)
{
    struct seccomp_notif_resp words;

    memset(&words, 0, sizeof words);
    words.id = asked->id;
    words.error = -error;
    words.flags = flags;
    (void)!ioctl(run->listen.listener, SECCOMP_IOCTL_NOTIF_SEND, &words); /* ENOENT: it was killed meanwhile */
}

static void serve(struct pysb_run *run)
{
    struct seccomp_notif asked;
    uint32_t truth = SECCOMP_RET_ALLOW, number;

    memset(&asked, 0, sizeof asked); /* the kernel insists */
    if (ioctl(run->listen.listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0)
        return; /* ENOENT: whoever called is gone. It does not wait: poll(2) has seen a call since the last one */
    if (run->listen.length) /* none: no policy, and only sysinfo(2) is asked */
        truth = pysb_bpf(run->listen.truth, run->listen.length, &asked.data);
    switch (truth & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG: {
        int answers = run->sysinfo.answers && asked.data.arch == NATIVE_ARCH && asked.data.nr == SYS_sysinfo;
        int waits = 1, result = answers ? pysb_sysinfo_answer(run, &asked, &waits) : -1;
        /* to go on is safe for what the policy allows by its registers: those cannot change while it waits */
        if (waits)
            reply(run, &asked, result < 0 ? 0 : result, result < 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0);
        return;
    }
    case SECCOMP_RET_ERRNO:
        pysb_denied(run, &asked, truth);
        number = truth & SECCOMP_RET_DATA;
        reply(run, &asked, (int)(number < MAX_ERRNO ? number : MAX_ERRNO), 0);
        return;
    default:
        pysb_denied(run, &asked, truth);
        pysb_kill_caller(run, &asked);
    }
}

void pysb_listen_ready(struct pysb_run *run, short events)
{
    struct pysb_listen *own = &run->listen;

    if (own->socket >= 0) {
        take_listener(run);
    } else if (events & POLLIN) {
        serve(run);
    } else { /* POLLHUP: nobody is left under the filter */
        close(own->listener);
        own->listener = -1;
    }
}
