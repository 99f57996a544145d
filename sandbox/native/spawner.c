/* The spawner: a small process between Python and the sandboxes.
 *
 * Theory of operation
 *
 *   Python --control--> spawner --clone3--> init (pid 1 of a sandbox) --clone--> program
 *     |                    |                  |
 *     +<-------report------+--------<---------+        one report socket a run
 *
 * Python may be large, threaded and busy with an event loop; forking it is slow and unsafe. So it
 * starts this program once, from a sealed memfd, and sends it one datagram for each run: the plans
 * in a memfd and all fds that they need. The spawner checks the setup, clones the init, passes the
 * order on to it, sends Python the pidfd on the run's report socket, and forgets the run. From then
 * on Python and the init talk without it. A request never blocks the next one.
 *
 * When the same setup is asked for twice in a row, the spawner makes one more sandbox of that kind
 * ahead, while nobody waits: its init has built everything and sleeps until its order comes. Each
 * sandbox, made ahead or not, is used by one run and goes with it.
 *
 * The spawner lives in a user namespace P of its own, in which 0 is the caller (or, when root is the
 * caller, an unprivileged id: host uid 0 is never mapped). Each run gets a user namespace below P.
 * P is why an id range needs newuidmap once and not at each run, and why a network namespace can
 * be made ready ahead: the spawner steps into a fresh one after each clone, while the program runs,
 * and the next init inherits it. No namespace is used by two runs.
 *
 * What is asked for beside runs, lxcfs and visits to a sandbox, is in helpers.c.
 *
 * A caller that is no parent of ours (we sit in a cgroup subtree that it cannot enter) is served through
 * the keeper: see keeper.c, which is this same file started with other words.
 *
 * Who dies with whom: the program with the init (pid namespace), the init with the spawner
 * (PR_SET_PDEATHSIG; the spawner is single-threaded, so its thread is its process) and with Python
 * (end of file on the report socket). The spawner watches Python by pidfd; when Python is gone it
 * kills the inits that are left, lifts what throttles them, waits, removes the cgroups that carry Python's prefix
 * from the directories it was given, and exits.
 *
 * What may not live here: policy, defaults, host facts, text for people. It does what it is told
 * or answers with a step and an errno.
 */
#include "child.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "cgroups.h"
#include "helpers.h"
#include "keeper.h"
#include "parse.h"

enum { CONTROL = 3, CALLER = 4, QUIET_MS = 3, TIGHT_NS = 1000000 };

/* What a request may ask of clone3(2). Anything else (CLONE_VM, CLONE_PARENT) would be no sandbox. */
static const uint64_t namespaces =
    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

static struct {
    int caller;          /* pidfd of Python */
    int ending;
    int closed;          /* by Python, which lives and removes its cgroups itself */
    int plain;           /* no user namespace, so no pid namespaces: an init that is killed leaves its program to us */
    uint64_t last_end_ns;
    int preparing;       /* there is something to make ahead */
    int signals;         /* SIGCHLD */
    int fresh_net;       /* 1: our network namespace is new and unused; 0: used; -1: not ours to give */
    int fresh_net_error; /* why it could not be made */
    pid_t runs[PYSB_MAX_RUNS];
} self;

static int write_text(const char *path, const char *text)
{
    int file;

    TRY(file = open(path, O_WRONLY | O_CLOEXEC));
    TRY(write(file, text, strlen(text)));
    return close(file);
}

/* ---- the namespaces that are made once ---- */

static int refresh_net(void)
{
    struct pysb_step loopback = {.op = PYSB_LOOPBACK};

    TRY(unshare(CLONE_NEWNET));
    return pysb_setup_step(NULL, &loopback);
}

static void prepare_net(void)
{
    if (self.fresh_net == 0) {
        if (refresh_net() == 0)
            self.fresh_net = 1;
        else
            self.fresh_net_error = errno;
    }
}

/* Say 'M' and wait for 'G': Python, or newuidmap for it, writes our maps in between. */
static int maps_by_python(void)
{
    char byte = 'M';

    TRY(send(CONTROL, &byte, 1, MSG_NOSIGNAL));
    if (recv(CONTROL, &byte, 1, 0) != 1 || byte != 'G') {
        errno = ECANCELED;
        return -1;
    }
    TRY(syscall(SYS_setgroups, 0, NULL));
    return 0;
}

/* A network of others: Python sends the user namespace that owns it, which becomes our P, and itself. */
static int enter_place(void)
{
    struct pysb_request nothing;
    int fds[PYSB_MAX_FDS + 2], count;
    char byte = 'M';

    TRY(send(CONTROL, &byte, 1, MSG_NOSIGNAL));
    count = pysb_receive(CONTROL, &nothing, fds);
    if (count != 2 || nothing.magic != PYSB_MAGIC) {
        errno = count < 0 ? errno : ECANCELED;
        return -1;
    }
    TRY(setns(fds[0], CLONE_NEWUSER));
    TRY(setns(fds[1], CLONE_NEWNET));
    TRY(close(fds[0]));
    TRY(close(fds[1]));
    TRY(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)); /* others may be in there already */
    TRY(syscall(SYS_setresgid, 0, 0, 0));
    TRY(syscall(SYS_setresuid, 0, 0, 0));
    if (syscall(SYS_setgroups, 0, NULL) < 0 && errno != EPERM) /* denied where the map is the caller's own */
        return -1;
    return 0;
}

static int enter_user_namespace(const char *uid_map, const char *gid_map)
{
    if (!strcmp(uid_map, "join"))
        return enter_place();
    TRY(unshare(CLONE_NEWUSER));
    if (*uid_map) {
        TRY(write_text("/proc/self/setgroups", "deny"));
        TRY(write_text("/proc/self/uid_map", uid_map));
        TRY(write_text("/proc/self/gid_map", gid_map));
    } else {
        TRY(maps_by_python());
    }
    TRY(syscall(SYS_setresgid, 0, 0, 0));
    return (int)syscall(SYS_setresuid, 0, 0, 0);
}

/* ---- one run ---- */

static int write_child_map(pid_t pid, const char *which, const char *map)
{
    char path[64] = "/proc/", digits[16];
    size_t at = strlen(path), n = 0;

    do
        digits[n++] = (char)('0' + pid % 10);
    while (pid /= 10);
    while (n)
        path[at++] = digits[--n];
    strcpy(path + at, which);
    return write_text(path, map);
}

static int write_child_maps(const struct pysb_run *run, pid_t pid)
{
    const struct pysb_step *map = run->now.steps; /* checked: the first step is PYSB_ID_MAP */

    TRY(write_child_map(pid, "/uid_map", pysb_text(run, map->text)));
    return write_child_map(pid, "/gid_map", pysb_text(run, map->text2));
}

static void close_two(const int *two)
{
    for (int i = 0; i < 2; i++)
        if (two[i] >= 0)
            close(two[i]);
}

static int *free_slot(void)
{
    for (int i = 0; i < PYSB_MAX_RUNS; i++)
        if (!self.runs[i])
            return &self.runs[i];
    errno = EAGAIN;
    return NULL;
}

/* Clone the init of a sandbox with this setup. The pid, with ``*pidfd`` and ``*order`` ours to close,
 * or -1. ``run`` is what the init starts from. */
static pid_t clone_init(const struct pysb_request *request, struct pysb_run *run, int *pidfd, int *order)
{
    struct sys_clone_args args = {
        .flags = request->clone_flags | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)pidfd, .exit_signal = SIGCHLD};
    int *slot = free_slot(), pair[2], maps[2] = {-1, -1}, saved;
    pid_t pid;

    if (!slot)
        return -1;
    if (request->flags & PYSB_REQ_FRESH_NET) {
        prepare_net(); /* usually ready; not if the last attempt failed */
        if (self.fresh_net != 1) {
            errno = self.fresh_net_error ? self.fresh_net_error : EINVAL;
            return -1;
        }
        self.fresh_net = 0;
    }
    if (request->flags & PYSB_REQ_CGROUP) {
        args.flags |= SYS_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)run->fds[request->cgroup_fd];
    }
    TRY(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    if ((request->flags & PYSB_REQ_WRITE_MAP) && pipe2(maps, O_CLOEXEC) < 0) {
        close_two(pair);
        return -1;
    }
    run->map_pipe = maps[0];
    run->own_pid_ns = !!(request->clone_flags & CLONE_NEWPID);
    run->report = run->root_fd = run->scratch_fd = run->proc_fd = run->pty_master = run->pty_slave = -1;
    run->view_fd = run->user_ns = run->mount_ns = run->ruleset = -1;
    run->order = pair[1];
    /* The maps are written by their owner, whom /proc knows only while the process is dumpable. The
     * init closes this gap in its first step, before anything untrusted exists. */
    if (!(request->flags & PYSB_REQ_JOIN) && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0) {
        close_two(pair);
        close_two(maps);
        return -1;
    }
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        close(pair[0]); /* or the spawner's death would be no end of file */
        if (maps[1] >= 0)
            close(maps[1]);
        pysb_init(run);
    }
    saved = errno;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        _exit(6); /* rather none than one that can be traced; the inits go with us */
    close(pair[1]);
    *order = pair[0];
    if (pid > 0) {
        *slot = pid;
        if ((request->flags & PYSB_REQ_WRITE_MAP) && (write_child_maps(run, pid) < 0 || write(maps[1], "", 1) != 1)) {
            saved = errno;
            kill(pid, SIGKILL);
            close(*pidfd);
            pid = -1;
        }
    }
    close_two(maps);
    if (pid < 0)
        close(*order);
    errno = saved;
    return pid;
}

/* ---- sandboxes made ahead ---- */

static struct {
    struct pysb_request last; /* of the last request: what kind of sandbox it wanted */
    struct pysb_view setup;
    int wanted;   /* the last two requests wanted the same */
    int foreseen; /* the last one was a guess of Python's, for one run */
    pid_t pid;  /* of the sandbox that is ready, 0 if none is */
    int pidfd, order;
} ahead;

static int same_setup(const struct pysb_request *request, const struct pysb_view *setup)
{
    return ahead.setup.plan && request->setup_bytes == ahead.last.setup_bytes && request->flags == ahead.last.flags &&
           request->clone_flags == ahead.last.clone_flags && request->setup_fds == 0 &&
           !memcmp(setup->memory, ahead.setup.memory, request->setup_bytes);
}

static void drop_ahead(void)
{
    if (ahead.pid) {
        close(ahead.order); /* its init ends at the end of file */
        close(ahead.pidfd);
    }
    ahead.pid = 0;
}

/* Python or its user may have ended or killed it; a zombie's pidfd is readable. */
static int is_gone(int pidfd)
{
    struct pollfd watched = {pidfd, POLLIN, 0};
    return poll(&watched, 1, 0) != 0;
}

static void make_ahead(void)
{
    static struct pysb_run run;

    if (ahead.pid || !ahead.wanted)
        return;
    memset(&run, 0, sizeof run);
    run.now = ahead.setup;
    ahead.pid = clone_init(&ahead.last, &run, &ahead.pidfd, &ahead.order);
    if (ahead.pid < 0)
        ahead.pid = 0; /* not now; a request will say why */
}

/* ---- requests ---- */

static int give_order(const struct pysb_request *request, pid_t pid, int pidfd, int order, const int *fds, int count)
{
    struct pysb_event spawned = {.kind = PYSB_SPAWNED, .pid = pid};
    int own[PYSB_MAX_FDS + 2], n = count - (int)request->setup_fds;

    own[0] = fds[0];
    own[1] = fds[1];
    memcpy(own + 2, fds + 2 + request->setup_fds, ((size_t)n - 2) * sizeof(int));
    TRY(pysb_send(order, request, own, n));
    return pysb_report(fds[0], &spawned, NULL, pidfd);
}

/* A further program in a sandbox: nothing is made that could be made ahead. */
static int join(const struct pysb_request *request, struct pysb_view *setup, const int *fds, int count)
{
    static struct pysb_run run;
    int pidfd = -1, order = -1, result, saved;
    pid_t pid;

    memset(&run, 0, sizeof run);
    run.now = *setup;
    memcpy(run.fds, fds + 2, request->setup_fds * sizeof(int));
    pid = clone_init(request, &run, &pidfd, &order);
    result = pid < 0 ? -1 : give_order(request, pid, pidfd, order, fds, count);
    saved = errno;
    if (pid > 0) {
        close(order);
        close(pidfd);
    }
    pysb_drop_plan(setup);
    errno = saved;
    return result;
}

static int spawn(const struct pysb_request *request, const int *fds, int count)
{
    static struct pysb_run run; /* copied by clone; static, for it holds 240 fds */
    struct pysb_view setup;
    int result, pidfd = -1, order = -1, again;
    pid_t pid;

    if (request->setup_fds > (uint32_t)count - 2 || (request->clone_flags & ~namespaces) ||
        ((request->flags & PYSB_REQ_CGROUP) && (request->cgroup_fd < 0 || (uint32_t)request->cgroup_fd >= request->setup_fds))) {
        errno = EBADMSG;
        return -1;
    }
    TRY(pysb_load_plan(PYSB_SETUP_PLAN, fds[1], 0, request->setup_bytes, request->setup_fds, &setup));
    if (((request->flags & PYSB_REQ_WRITE_MAP) && setup.steps->op != PYSB_ID_MAP) ||
        !(request->flags & PYSB_REQ_JOIN) != (setup.steps->op != PYSB_JOIN) ||
        ((request->flags & PYSB_REQ_JOIN) && (request->clone_flags || request->flags & PYSB_REQ_FRESH_NET))) {
        pysb_drop_plan(&setup);
        errno = EBADMSG;
        return -1;
    }
    if (request->flags & PYSB_REQ_JOIN)
        return join(request, &setup, fds, count);
    again = same_setup(request, &setup);
    if (again && ahead.pid && !is_gone(ahead.pidfd)) {
        pid = ahead.pid, pidfd = ahead.pidfd, order = ahead.order;
        ahead.pid = 0;
    } else {
        if (!again || ahead.pid)
            drop_ahead();
        memset(&run, 0, sizeof run);
        run.now = setup;
        memcpy(run.fds, fds + 2, request->setup_fds * sizeof(int));
        pid = clone_init(request, &run, &pidfd, &order);
    }
    result = pid < 0 ? -1 : give_order(request, pid, pidfd, order, fds, count);
    int saved = errno;
    if (pid > 0) {
        close(order);
        close(pidfd);
    }
    if (again) {
        pysb_drop_plan(&setup);
    } else {
        pysb_drop_plan(&ahead.setup);
        ahead.setup = setup;
        ahead.last = *request;
    }
    ahead.wanted = again && !ahead.foreseen;
    ahead.foreseen = 0;
    errno = saved;
    return result;
}

/* Python guesses what its next request will be (native/ahead.py): make that sandbox at once. */
static void foresee(const struct pysb_request *request, const int *fds, int count)
{
    struct pysb_view setup;

    if (count < 2 || request->setup_fds || (request->flags & (PYSB_REQ_CGROUP | PYSB_REQ_JOIN)) ||
        (request->clone_flags & ~namespaces) ||
        pysb_load_plan(PYSB_SETUP_PLAN, fds[1], 0, request->setup_bytes, 0, &setup) < 0)
        return;
    if ((request->flags & PYSB_REQ_WRITE_MAP) && setup.steps->op != PYSB_ID_MAP) {
        pysb_drop_plan(&setup);
        return;
    }
    drop_ahead();
    pysb_drop_plan(&ahead.setup);
    ahead.setup = setup;
    ahead.last = *request;
    ahead.wanted = ahead.foreseen = 1;
}

/* helpers.c. What it starts is reaped, and killed at the end, as an init is. */
static int help(const struct pysb_request *request, const int *fds, int count)
{
    int *slot = free_slot();
    pid_t pid;

    if (!slot)
        return -1;
    TRY(pid = pysb_start_helper(request, fds, count));
    *slot = pid;
    return 0;
}

/* For the next run. Best when a run has ended: while it starts it would pay for this on two CPUs (0.5 ms,
 * measured). But a caller with one run after the other leaves no such time, and is served best by doing
 * it at once, beside the run. */
static void prepare(void)
{
    self.preparing = 0;
    if (ahead.pid)
        return;
    prepare_net();
    make_ahead(); /* takes the network namespace with it; the next one waits for the next need */
}

static void serve(void)
{
    struct pysb_request request;
    struct pysb_event failed = {.kind = PYSB_FAILED, .phase = PYSB_PHASE_SPAWN};
    int fds[PYSB_MAX_FDS + 2], count = pysb_receive(CONTROL, &request, fds), result = -1;

    if (count < 0) {
        if (errno == ESHUTDOWN)
            self.ending = 1; /* Python has closed us, or is gone */
        return;
    }
    if (request.magic == PYSB_MAGIC && (request.flags & PYSB_REQ_END)) {
        self.ending = self.closed = 1;
        for (int i = 0; i < count; i++)
            close(fds[i]);
        return;
    }
    if (request.magic == PYSB_MAGIC && (request.flags & PYSB_HELPERS)) {
        result = help(&request, fds, count);
        failed.error = errno;
        if (result < 0 && count > 0)
            (void)!pysb_report(fds[0], &failed, NULL, -1);
        for (int i = 0; i < count; i++)
            close(fds[i]);
        return;
    }
    if (request.magic == PYSB_MAGIC && request.run_bytes == 0 && request.setup_bytes) {
        foresee(&request, fds, count);
    } else if (request.magic == PYSB_MAGIC && request.run_bytes == 0) {
        pysb_remember_cgroups(fds, count);
    } else if (count < 2 || request.magic != PYSB_MAGIC) {
        errno = EBADMSG;
    } else {
        result = spawn(&request, fds, count);
    }
    failed.error = errno;
    if (result < 0 && count > 0 && request.run_bytes)
        (void)!pysb_report(fds[0], &failed, NULL, -1);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    /* Not before the run's fds are closed, or a sandbox made ahead would hold its pipes open. */
    self.preparing = 1;
    if (ahead.foreseen || pysb_now_ns() - self.last_end_ns < TIGHT_NS)
        prepare();
}

/* ---- the end ---- */

static void reap(void)
{
    struct signalfd_siginfo ignored;
    pid_t gone;

    while (read(self.signals, &ignored, sizeof ignored) > 0) {
    }
    while ((gone = waitpid(-1, NULL, WNOHANG)) > 0)
        for (int i = 0; i < PYSB_MAX_RUNS; i++)
            if (self.runs[i] == gone) {
                self.runs[i] = 0;
                self.last_end_ns = pysb_now_ns();
            }
    if (self.plain)
        pysb_kill_children(self.runs, PYSB_MAX_RUNS); /* each one that dies leads back here */
}

static void end(void)
{
    for (int i = 0; i < PYSB_MAX_RUNS; i++)
        if (self.runs[i])
            kill(self.runs[i], SIGKILL); /* our own child, not reaped: the number is still its */
    pysb_unthrottle_cgroups();
    do
        if (self.plain)
            pysb_kill_children(NULL, 0);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
    pysb_remove_cgroups(self.closed);
}

/* ---- the start ---- */

struct hello {
    char kind; /* 'R': ready; 'E': an error */
    char step; /* 'S': the sealed copy, 'U': the user namespace, 'D': not dumpable, 'K': what the keeper gives us */
    int32_t error;
} __attribute__((packed));

int pysb_say(int socket, char kind, char step, int error)
{
    struct hello hello = {kind, step, error};
    return send(socket, &hello, sizeof hello, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int say(char kind, char step, int error) { return pysb_say(CONTROL, kind, step, error); }

/* Go on in a memfd that nobody can write, not even through /proc/PID/exe of an init (CVE-2019-5736).
 * Returns when we are in it already, or -1. */
static int run_sealed(char **argv)
{
    /* FUTURE_WRITE (Linux 5.1): WRITE would also wait for whoever holds a page just now, and may end in EBUSY */
    enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | SYS_F_SEAL_FUTURE_WRITE };
    int file, copy, seals;
    ssize_t length;

    TRY(file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    seals = fcntl(file, F_GET_SEALS);
    if (seals >= 0 && (seals & SEALS) == SEALS)
        return close(file);
    copy = memfd_create("pysandbox-spawner", MFD_CLOEXEC | MFD_ALLOW_SEALING | SYS_MFD_EXEC);
    if (copy < 0 && errno == EINVAL) /* before Linux 6.3, which brought MFD_EXEC and the need of it */
        copy = memfd_create("pysandbox-spawner", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    TRY(copy);
    do
        TRY(length = sendfile(copy, file, NULL, 1 << 24));
    while (length > 0);
    TRY(fcntl(copy, F_ADD_SEALS, SEALS));
    fexecve(copy, argv, environ);
    return -1;
}

/* A keeper's death is ours: nobody would give its cgroup back with us in it. A change of ids or of the
 * user namespace clears this (prctl(2)), so it comes after those. */
static int die_with(pid_t keeper)
{
    TRY(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    return getppid() == keeper ? 0 : -1;
}

/* spawner CALLER_PID|pidfd user|plain net|nonet UID_MAP GID_MAP ; fd 3 is the control socket, and with
 * "pidfd" fd 4 is the caller. Answers 'R' when it is ready, or 'E' and an errno (int).
 * UID_MAP "join": enter the namespaces that come over the control socket.
 * spawner keep SOCKET MOUNT IDLE_MS ; see keeper.c. */
int main(int argc, char **argv)
{
    struct pollfd watched[3];
    struct rlimit files;
    sigset_t signals;
    pid_t parent = getppid();
    int keeps = argc == 5 && !strcmp(argv[1], "keep"), kept = argc == 6 && !strcmp(argv[1], "pidfd");

    if (argc != 6 && !keeps)
        return 2;
    /* what the caller left open for its children */
    if (syscall(SYS_close_range, keeps ? CONTROL : kept ? CALLER + 1 : CALLER, ~0u, 0) < 0)
        return 2;
    /* First of all: where the caller had these closed, the next fd of ours would be one of them. */
    if (syscall(SYS_close_range, 0, 2, 0) < 0 || open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
        return 4;
    /* Fds of a run are moved above 1000; a soft limit of 1024 would leave room for 24. The program's own
     * limit is a step of its plan. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (!getenv("PYSANDBOX_SPAWNER") && run_sealed(argv) < 0) {
        say('E', 'S', errno);
        return 5;
    }
    if (pysb_default_signals() < 0) /* with SIGCHLD ignored no child would leave a status, here and in the inits */
        return 2;
    sigfillset(&signals);
    if (sigprocmask(SIG_SETMASK, &signals, NULL) < 0)
        return 2; /* blocked for good: Ctrl-C is for Python, whose death is how we hear of it */
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    if (keeps)
        return pysb_keep(argv + 2);
    self.fresh_net = strcmp(argv[3], "net") ? -1 : 0;
    self.caller = kept ? CALLER : (int)syscall(SYS_pidfd_open, atoi(argv[1]), 0);
    self.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self.caller < 0 || self.signals < 0 || (!kept && parent != atoi(argv[1])))
        return 3; /* Python died before we looked */
    if (kept && fcntl(CALLER, F_SETFD, FD_CLOEXEC) < 0)
        return 3;
    prctl(PR_SET_NAME, "pysandbox-spawn", 0, 0, 0);
    self.plain = !!strcmp(argv[2], "user");
    if (self.plain && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return 3;
    if (!strcmp(argv[2], "user") && enter_user_namespace(argv[4], argv[5]) < 0) {
        say('E', 'U', errno);
        return 5;
    }
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
        say('E', 'D', errno);
        return 5;
    }
    if (kept && die_with(parent) < 0)
        return 3;
    for (int i = 1; i < argc; i++) /* the inits are copies of us: /proc/1/cmdline is not to tell of the host */
        memset(argv[i], 0, strlen(argv[i]));
    if (say('R', 0, 0) < 0)
        return 5;
    prepare_net();
    while (!self.ending) {
        watched[0] = (struct pollfd){CONTROL, POLLIN, 0};
        watched[1] = (struct pollfd){self.signals, POLLIN, 0};
        watched[2] = (struct pollfd){self.caller, POLLIN, 0};
        int ready = poll(watched, 3, self.preparing ? QUIET_MS : -1);
        if (ready < 0 && errno != EINTR)
            break;
        if (watched[1].revents)
            reap();
        if (watched[0].revents)
            serve();
        else if (self.preparing && (ready == 0 || watched[1].revents))
            prepare(); /* a run has ended, or the last one has been under way for a while */
        if (watched[2].revents)
            break; /* Python is gone */
    }
    end();
    return 0;
}
