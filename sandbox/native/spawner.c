/* The spawner: a small process between Python and the sandboxes.
 *
 * Theory of operation
 *
 *   Python --control--> spawner --clone3--> init (pid 1 of a sandbox) --clone--> program
 *     |                    |                  |
 *     +<-------report------+--------<---------+        one report socket a run
 *
 * Python may be large, threaded and busy with an event loop; forking it is slow and unsafe. So it
 * starts this program once, from a sealed memfd, and sends it one datagram for each run: the plan
 * in a memfd and all fds that the plan needs. The spawner checks the plan, clones the init, sends
 * Python the pidfd on the run's report socket, and forgets the plan. From then on Python and the
 * init talk without it. A request never blocks the next one.
 *
 * The spawner lives in a user namespace P of its own, in which 0 is the caller (or, when root is the
 * caller, an unprivileged id: host uid 0 is never mapped). Each run gets a user namespace below P.
 * P is why an id range needs newuidmap once and not at each run, and why a network namespace can
 * be made ready ahead: the spawner steps into a fresh one after each clone, while the program runs,
 * and the next init inherits it. No namespace is used by two runs.
 *
 * Who dies with whom: the program with the init (pid namespace), the init with the spawner
 * (PR_SET_PDEATHSIG; the spawner is single-threaded, so its thread is its process) and with Python
 * (end of file on the report socket). The spawner watches Python by pidfd; when Python is gone it
 * kills the inits that are left, waits for them, removes the cgroups that carry Python's prefix
 * from the directories it was given, and exits.
 *
 * What may not live here: policy, defaults, host facts, text for people. It does what it is told
 * or answers with a step and an errno.
 */
#include "child.h"

#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "parse.h"

enum { CONTROL = 3 };

static struct {
    int caller;          /* pidfd of Python */
    int signals;         /* SIGCHLD */
    int fresh_net;       /* 1: our network namespace is new and unused; 0: used; -1: not ours to give */
    int fresh_net_error; /* why it could not be made */
    pid_t runs[PYSB_MAX_RUNS];
    char prefix[96];     /* of the names of Python's cgroups */
    int cgroups[16];     /* directories that may hold them */
    int n_cgroups;
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

static int enter_user_namespace(const char *uid_map, const char *gid_map)
{
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
    const struct pysb_step *map = run->steps; /* checked: the first step is PYSB_ID_MAP */

    TRY(write_child_map(pid, "/uid_map", pysb_text(run, map->text)));
    return write_child_map(pid, "/gid_map", pysb_text(run, map->text2));
}

static int *free_slot(void)
{
    for (int i = 0; i < PYSB_MAX_RUNS; i++)
        if (!self.runs[i])
            return &self.runs[i];
    errno = EAGAIN;
    return NULL;
}

static int move_up(struct pysb_run *run)
{
    /* Programs may be given fd numbers up to 999 (PYSB_STREAM); what was received makes room. */
    for (uint32_t i = 0; i < run->nfds; i++) {
        int moved;
        TRY(moved = fcntl(run->fds[i], F_DUPFD_CLOEXEC, 1000));
        close(run->fds[i]);
        run->fds[i] = moved;
    }
    return 0;
}

static int spawn(const struct pysb_request *request, struct pysb_run *run)
{
    int pidfd = -1, maps[2] = {-1, -1};
    struct sys_clone_args args = {
        .flags = request->clone_flags | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    struct pysb_event spawned = {.kind = PYSB_SPAWNED};
    int *slot = free_slot(), map_failed = 0;
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
    if (request->flags & PYSB_REQ_WRITE_MAP)
        TRY(pipe2(maps, O_CLOEXEC));
    TRY(move_up(run));
    run->map_pipe = maps[0];
    run->own_pid_ns = !!(request->clone_flags & CLONE_NEWPID);
    run->root_fd = run->scratch_fd = run->proc_fd = run->pty_slave = -1;
    /* The maps are written by their owner, whom /proc knows only while the process is dumpable. The
     * init closes this gap in its first step, before anything untrusted exists. */
    TRY(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        pysb_init(run);
    int saved = errno;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    errno = saved;
    if (pid < 0) {
        if (maps[0] >= 0)
            close(maps[0]), close(maps[1]);
        errno = saved;
        return -1;
    }
    *slot = pid;
    if (request->flags & PYSB_REQ_WRITE_MAP) {
        map_failed = write_child_maps(run, pid) < 0 ? errno : 0;
        close(maps[0]);
        if (!map_failed && write(maps[1], "", 1) != 1)
            map_failed = errno;
        close(maps[1]);
    }
    spawned.pid = pid;
    (void)!pysb_report(run->report, &spawned, NULL, pidfd);
    close(pidfd);
    errno = map_failed;
    return map_failed ? -1 : 0;
}

/* ---- requests ---- */

/* One datagram and its fds. The number of fds, or -1. */
static int receive(struct pysb_request *request, int *fds)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * (PYSB_MAX_FDS + 2))];
    } control;
    struct iovec part = {request, sizeof *request};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t length;
    int count = 0;

    TRY(length = recvmsg(CONTROL, &message, MSG_CMSG_CLOEXEC));
    for (struct cmsghdr *part_of = CMSG_FIRSTHDR(&message); part_of; part_of = CMSG_NXTHDR(&message, part_of))
        if (part_of->cmsg_level == SOL_SOCKET && part_of->cmsg_type == SCM_RIGHTS) {
            count = (int)((part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(fds, CMSG_DATA(part_of), (size_t)count * sizeof(int));
        }
    if (length == 0) {
        errno = ESHUTDOWN;
        count = -1;
    } else if (length != sizeof *request || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        request->magic = 0; /* refused with EBADMSG, if there is anybody to tell */
    }
    return count;
}

/* The caller's cgroup directories: flags 0, no plan; every fd but the first is one of them. */
static void remember_cgroups(const int *fds, int count)
{
    for (int i = 1; i < count; i++) {
        if (self.n_cgroups < (int)(sizeof self.cgroups / sizeof *self.cgroups))
            self.cgroups[self.n_cgroups++] = fds[i];
        else
            close(fds[i]);
    }
    if (count > 0)
        close(fds[0]);
}

static void serve(void)
{
    static struct pysb_run run; /* copied by clone; static, for it holds 240 fds */
    struct pysb_request request;
    struct pysb_event failed = {.kind = PYSB_FAILED, .phase = PYSB_PHASE_SPAWN};
    int fds[PYSB_MAX_FDS + 2], count = receive(&request, fds), result = -1;
    void *memory = NULL;
    size_t bytes = 0;

    if (count < 0) {
        if (errno == ESHUTDOWN)
            self.caller = -1; /* Python closed us; run the end */
        return;
    }
    if (request.magic == PYSB_MAGIC && request.plan_bytes == 0) {
        remember_cgroups(fds, count);
        return;
    }
    if (count < 2 || request.magic != PYSB_MAGIC) {
        errno = EBADMSG;
    } else {
        memset(&run, 0, sizeof run);
        run.report = fds[0];
        run.nfds = (uint32_t)count - 2;
        memcpy(run.fds, fds + 2, run.nfds * sizeof(int));
        bytes = pysb_plan_memory(request.plan_bytes);
        memory = pysb_load_plan(&request, fds[1], &run);
        if (memory) {
            result = spawn(&request, &run);
            memcpy(fds + 2, run.fds, run.nfds * sizeof(int)); /* they were moved */
        }
    }
    failed.error = errno;
    if (result < 0 && count > 0)
        (void)!pysb_report(fds[0], &failed, NULL, -1);
    if (memory)
        munmap(memory, bytes);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    prepare_net(); /* for the next run, while this one works */
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
            if (self.runs[i] == gone)
                self.runs[i] = 0;
}

static void remove_cgroups_in(int directory)
{
    DIR *list = fdopendir(directory);
    struct dirent *entry;

    if (!list)
        return;
    while ((entry = readdir(list)))
        if (!strncmp(entry->d_name, self.prefix, strlen(self.prefix)))
            for (int tries = 0; tries < 100; tries++) { /* the last exit may still be under way: 1 s at most */
                struct timespec pause = {0, 10000000};
                if (unlinkat(directory, entry->d_name, AT_REMOVEDIR) == 0 || errno != EBUSY)
                    break;
                nanosleep(&pause, NULL);
            }
    closedir(list);
}

static void end(void)
{
    for (int i = 0; i < PYSB_MAX_RUNS; i++)
        if (self.runs[i])
            kill(self.runs[i], SIGKILL); /* our own child, not reaped: the number is still its */
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    for (int i = 0; i < self.n_cgroups; i++)
        remove_cgroups_in(self.cgroups[i]);
}

/* spawner CALLER_PID PREFIX user|plain net|nonet UID_MAP GID_MAP ; fd 3 is the control socket.
 * Answers 'R' when it is ready, or 'E' and an errno (int). */
int main(int argc, char **argv)
{
    struct {
        char kind;
        char step;
        int32_t error;
    } __attribute__((packed)) hello = {'R', 0, 0};
    struct pollfd watched[3];
    sigset_t signals;

    if (argc != 7)
        return 2;
    sigfillset(&signals);
    sigprocmask(SIG_SETMASK, &signals, NULL); /* Ctrl-C is for Python; its death is how we hear of it */
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    if (strlen(argv[2]) >= sizeof self.prefix)
        return 2;
    strcpy(self.prefix, argv[2]);
    self.fresh_net = strcmp(argv[4], "net") ? -1 : 0;
    self.caller = (int)syscall(SYS_pidfd_open, atoi(argv[1]), 0);
    self.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self.caller < 0 || self.signals < 0 || getppid() != atoi(argv[1]))
        return 3; /* Python died before we looked */
    if (syscall(SYS_close_range, 0, 2, 0) < 0 || open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
        return 4;
    prctl(PR_SET_NAME, "pysandbox-spawn", 0, 0, 0);
    if (!strcmp(argv[3], "user") && enter_user_namespace(argv[5], argv[6]) < 0)
        hello.kind = 'E', hello.step = 'U', hello.error = errno;
    else if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        hello.kind = 'E', hello.step = 'D', hello.error = errno;
    for (int i = 1; i < argc; i++) /* the inits are copies of us: /proc/1/cmdline is not to tell of the host */
        memset(argv[i], 0, strlen(argv[i]));
    if (send(CONTROL, &hello, sizeof hello, MSG_NOSIGNAL) < 0 || hello.kind == 'E')
        return 5;
    prepare_net();
    while (self.caller >= 0) {
        watched[0] = (struct pollfd){CONTROL, POLLIN, 0};
        watched[1] = (struct pollfd){self.signals, POLLIN, 0};
        watched[2] = (struct pollfd){self.caller, POLLIN, 0};
        if (poll(watched, 3, -1) < 0 && errno != EINTR)
            break;
        if (watched[1].revents)
            reap();
        if (watched[0].revents)
            serve();
        if (watched[2].revents)
            break;
    }
    end();
    return 0;
}
