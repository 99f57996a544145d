/* The keeper: holds a cgroup subtree of the user's systemd, and starts spawners in it for callers outside.
 *
 * Theory of operation
 *
 *   user's systemd --ExecStart--> keeper --clone3, exec--> spawner --clone3--> init ...
 *                                   |                         |
 *   Python --------- socket --------+                         |
 *     +------------- control socket (passed along) -----------+
 *
 * cgroup v2 lets a process be born into another cgroup (CLONE_INTO_CGROUP) only if the *cloning* process
 * may write cgroup.procs of the common ancestor (cgroup-v2.rst, "Delegation Containment"). A login shell
 * sits in a scope of root's, so no child of it gets into a subtree of its own user. The keeper is a
 * service of the user's systemd with Delegate=yes; a spawner that it starts sits in the right place, and
 * the caller itself stays where it is: making leaves and writing limits is a matter of file permissions.
 *
 * A client connects and is looked at: same uid, gid and groups, same namespaces and root directory (a
 * spawner resolves paths in ours), or it gets a refusal. It is told the directory of the subtree, and may
 * ask for spawners: it sends its end of the control socket and what a child of its own would have
 * inherited. The spawner hears of its caller's death by pidfd (fd 4), not by being its child.
 *
 * Who dies with whom: spawners with the keeper (PR_SET_PDEATHSIG, and KillSignal=SIGKILL of the service);
 * the keeper with nobody: it leaves after ``idle`` without clients and spawners, and systemd removes the
 * cgroup and the directory of the socket, also after a kill -9.
 *
 * What may not live here: limits, controllers, policy, text for people. Exit status: 2 wrong words, 5 no
 * sealed copy, 6 no cgroup, 7 no socket.
 */
#include "child.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "keeper.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59 /* Linux 4.13 */
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

enum { SPAWNER_CONTROL = 3, SPAWNER_CALLER = 4, GROUPS = 65536 };

/* Namespaces and root directory of a process: what decides where a path leads. */
struct place {
    uint64_t device[9], inode[9]; /* in the order of the refusals, PYSB_KEEP_ROOT first */
};
static const char *const places[9] = {
    "root", "ns/user", "ns/mnt", "ns/pid", "ns/net", "ns/ipc", "ns/uts", "ns/cgroup", "ns/time"};

static struct {
    struct pysb_keep_hello hello;
    struct place place;
    int image;    /* our sealed copy, which is the spawner's too */
    int listener;
    int signals;
    int spawners; /* children that are not reaped yet */
    int clients[PYSB_KEEP_CLIENTS], callers[PYSB_KEEP_CLIENTS]; /* sockets, and pidfds of who is behind them */
    int n_clients;
    char *environ[8];
} self;

/* ---- the subtree ---- */

static int put(const char *path, const char *text)
{
    int file;

    TRY(file = open(path, O_WRONLY | O_CLOEXEC));
    TRY(write(file, text, strlen(text)));
    return close(file);
}

static int append(char *path, size_t room, const char *more)
{
    size_t length = strlen(path), extra = strlen(more);

    if (length + extra >= room) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path + length, more, extra + 1);
    return 0;
}

/* The directory of our cgroup below ``mount`` goes into the hello; we go to its child pysandbox-main, for
 * v2 allows no process beside child cgroups that have controllers (cgroups(7)). */
static int take_subtree(const char *mount)
{
    char text[4096], path[PATH_MAX], *own;
    int file;
    ssize_t length;

    TRY(file = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC));
    TRY(length = read(file, text, sizeof text - 1));
    close(file);
    text[length] = 0;
    own = strncmp(text, "0::", 3) ? strstr(text, "\n0::") : text - 1;
    if (!own) {
        errno = ENOENT;
        return -1;
    }
    own += 4;
    own[strcspn(own, "\n")] = 0;
    TRY(append(self.hello.cgroup, sizeof self.hello.cgroup, mount));
    TRY(append(self.hello.cgroup, sizeof self.hello.cgroup, own));
    strcpy(path, self.hello.cgroup);
    TRY(append(path, sizeof path, "/pysandbox-main"));
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -1;
    TRY(append(path, sizeof path, "/cgroup.procs"));
    return put(path, "0");
}

/* ---- who is there ---- */

static void decimal(char *text, pid_t number)
{
    char digits[16];
    size_t n = 0;

    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n)
        *text++ = digits[--n];
    *text = 0;
}

/* ``pid`` 0 means ourselves. A kernel without one kind of namespace has none of it for anybody. */
static int look_at(pid_t pid, struct place *place)
{
    memset(place, 0, sizeof *place);
    for (int i = 0; i < 9; i++) {
        char path[64] = "/proc/", number[16] = "self";
        struct stat seen;

        if (pid)
            decimal(number, pid);
        strcat(strcat(strcat(path, number), "/"), places[i]);
        if (stat(path, &seen) < 0) {
            if (errno == ENOENT && (!pid || !self.place.inode[i]))
                continue;
            return -1;
        }
        place->device[i] = seen.st_dev;
        place->inode[i] = seen.st_ino;
    }
    return 0;
}

/* The own gid, which systemd and logins list or not, is left out. The number that stays. */
static int without(gid_t left_out, gid_t *groups, int count)
{
    int kept = 0;

    for (int i = 0; i < count; i++)
        if (groups[i] != left_out)
            groups[kept++] = groups[i];
    return kept;
}

/* With fewer groups a sandbox could not read what its caller can, with more it could do more. */
static int same_groups(int client)
{
    static gid_t ours[GROUPS], theirs[GROUPS]; /* the kernel keeps both sorted */
    socklen_t bytes = sizeof theirs;
    int count = getgroups(GROUPS, ours);

    if (count < 0 || getsockopt(client, SOL_SOCKET, SO_PEERGROUPS, theirs, &bytes) < 0)
        return 0;
    count = without(getegid(), ours, count);
    return count == without(getegid(), theirs, (int)(bytes / sizeof *theirs)) &&
           !memcmp(ours, theirs, (size_t)count * sizeof *ours);
}

static int is_readable(int fd)
{
    struct pollfd watched = {fd, POLLIN, 0};
    return poll(&watched, 1, 0) != 0;
}

/* The pidfd of who connected. Where the kernel has no word for it: the number belongs to it as long as it
 * lives, and it lives as long as its end of the connection, which is close-on-exec, is open. */
static int caller_of(int client, pid_t pid)
{
    struct pollfd hung_up = {client, 0, 0};
    int pidfd = -1;
    socklen_t bytes = sizeof pidfd;

    if (getsockopt(client, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes) == 0)
        return fcntl(pidfd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : pidfd;
    TRY(pidfd = (int)syscall(SYS_pidfd_open, pid, 0));
    if (poll(&hung_up, 1, 0) == 0)
        return pidfd;
    close(pidfd);
    errno = ESRCH;
    return -1;
}

/* May it have spawners of ours? PYSB_KEEP_WELCOME, or why not, with ``*error``. */
static uint32_t judge(int client, int caller, const struct ucred *peer, int32_t *error)
{
    struct place theirs;

    if (peer->uid != geteuid() || peer->gid != getegid())
        return PYSB_KEEP_IDS;
    if (!same_groups(client))
        return PYSB_KEEP_GROUPS;
    if (caller < 0 || look_at(peer->pid, &theirs) < 0) {
        *error = errno;
        return PYSB_KEEP_HIDDEN;
    }
    if (is_readable(caller)) { /* it died meanwhile: what we saw may be somebody else's */
        *error = ESRCH;
        return PYSB_KEEP_HIDDEN;
    }
    for (uint32_t i = 0; i < 9; i++)
        if (theirs.device[i] != self.place.device[i] || theirs.inode[i] != self.place.inode[i])
            return PYSB_KEEP_ROOT + i;
    return PYSB_KEEP_WELCOME;
}

static int peer_of(int client, struct ucred *peer)
{
    socklen_t bytes = sizeof *peer;
    return getsockopt(client, SOL_SOCKET, SO_PEERCRED, peer, &bytes);
}

static void welcome(void)
{
    struct pysb_keep_hello hello = self.hello;
    struct ucred peer;
    int caller = -1, client = accept4(self.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (client < 0)
        return;
    if (self.n_clients == PYSB_KEEP_CLIENTS) {
        hello.refusal = PYSB_KEEP_FULL;
    } else if (peer_of(client, &peer) < 0) {
        hello.refusal = PYSB_KEEP_HIDDEN;
        hello.error = errno;
    } else {
        caller = caller_of(client, peer.pid);
        hello.refusal = judge(client, caller, &peer, &hello.error);
    }
    if (send(client, &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello && hello.refusal == PYSB_KEEP_WELCOME) {
        self.clients[self.n_clients] = client;
        self.callers[self.n_clients++] = caller;
        return;
    }
    close(client);
    if (caller >= 0)
        close(caller);
}

static void part_with(int number)
{
    close(self.clients[number]);
    close(self.callers[number]);
    self.n_clients--;
    self.clients[number] = self.clients[self.n_clients];
    self.callers[number] = self.callers[self.n_clients];
}

/* ---- a spawner ---- */

/* What a child of the caller would have. More than we may have ourselves cannot be given: then it is what
 * we have (a hard limit, a nice value or an oom_score_adj below ours). */
static int inherit(const struct pysb_keep_want *want)
{
    char text[16] = "-";
    int wanted = want->oom_score_adj;

    if (want->cpu_bytes)
        TRY(syscall(SYS_sched_setaffinity, 0, want->cpu_bytes, want->cpus));
    if (setpriority(PRIO_PROCESS, 0, want->nice) < 0 && errno != EACCES && errno != EPERM)
        return -1;
    decimal(text + (wanted < 0), wanted < 0 ? -wanted : wanted);
    if (put("/proc/self/oom_score_adj", text) < 0 && errno != EACCES && errno != EPERM)
        return -1;
    for (int i = 0; i < PYSB_KEEP_LIMITS; i++) {
        struct rlimit now;

        TRY(getrlimit((__rlimit_resource_t)i, &now));
        if (want->hard[i] < now.rlim_max)
            now.rlim_max = want->hard[i];
        now.rlim_cur = want->soft[i] < now.rlim_max ? want->soft[i] : now.rlim_max;
        TRY(setrlimit((__rlimit_resource_t)i, &now));
    }
    return 0;
}

static _Noreturn void become_spawner(const struct pysb_keep_want *want, int control, int caller)
{
    char uid_map[PYSB_KEEP_MAP_BYTES], gid_map[PYSB_KEEP_MAP_BYTES];
    const char *words[] = {"pysandbox-spawner", "pidfd", want->flags & PYSB_KEEP_WANT_USER ? "user" : "plain",
                           want->flags & PYSB_KEEP_WANT_NET ? "net" : "nonet", uid_map, gid_map, NULL};

    memcpy(uid_map, want->uid_map, sizeof uid_map);
    memcpy(gid_map, want->gid_map, sizeof gid_map);
    /* 3 and 4 are kept free for this; dup2 clears close-on-exec */
    if (setsid() < 0 || dup2(control, SPAWNER_CONTROL) < 0 || dup2(caller, SPAWNER_CALLER) < 0 || inherit(want) < 0)
        pysb_say(SPAWNER_CONTROL, 'E', 'K', errno);
    else if (syscall(SYS_execveat, self.image, "", words, self.environ, AT_EMPTY_PATH) < 0)
        pysb_say(SPAWNER_CONTROL, 'E', 'S', errno);
    _exit(5);
}

static void answer(int client, const struct pysb_keep_want *want, int control, int caller)
{
    struct sys_clone_args args = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD};
    struct pysb_keep_answer answer = {0, 0};
    int pidfd = -1;

    args.pidfd = (uint64_t)(uintptr_t)&pidfd;
    answer.pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (answer.pid == 0)
        become_spawner(want, control, caller);
    if (answer.pid < 0)
        answer.error = errno;
    else
        self.spawners++;
    (void)!pysb_keep_send(client, &answer, sizeof answer, pidfd);
    if (pidfd >= 0)
        close(pidfd);
}

static int is_sound(const struct pysb_keep_want *want)
{
    const uint32_t known = PYSB_KEEP_WANT_USER | PYSB_KEEP_WANT_NET;

    return want->protocol == PYSB_KEEP_PROTOCOL && !(want->flags & ~known) &&
           want->cpu_bytes <= PYSB_KEEP_CPU_BYTES && !want->uid_map[PYSB_KEEP_MAP_BYTES - 1] &&
           !want->gid_map[PYSB_KEEP_MAP_BYTES - 1] && want->oom_score_adj >= -1000 && want->oom_score_adj <= 1000;
}

/* One message of a client; whatever is none ends the connection. */
static void serve(int number)
{
    static struct pysb_keep_want want;
    struct ucred peer;
    int32_t error = 0;
    int client = self.clients[number], control = -1;
    ssize_t length = pysb_keep_receive(client, &want, sizeof want, &control, MSG_DONTWAIT);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* judged again: it may have changed its place or its ids since it came */
    if (length == sizeof want && control >= 0 && is_sound(&want) && peer_of(client, &peer) == 0 &&
        judge(client, self.callers[number], &peer, &error) == PYSB_KEEP_WELCOME)
        answer(client, &want, control, self.callers[number]);
    else
        part_with(number);
    if (control >= 0)
        close(control);
}

static void reap(void)
{
    struct signalfd_siginfo ignored;

    while (read(self.signals, &ignored, sizeof ignored) > 0) {
    }
    while (waitpid(-1, NULL, WNOHANG) > 0)
        self.spawners--;
}

/* ---- the start and the end ---- */

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t before = umask(0177);
    int result;

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    TRY(self.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    result = bind(self.listener, (struct sockaddr *)&address, sizeof address);
    umask(before);
    TRY(result);
    return listen(self.listener, 128);
}

/* sd_notify(3) */
static void tell_systemd(void)
{
    static const char ready[] = "READY=1";
    const char *where = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = where ? strlen(where) : 0;
    int notify;

    if (!length || length >= sizeof address.sun_path)
        return; /* systemd's start timeout says so */
    memcpy(address.sun_path, where, length);
    if (*where == '@')
        *address.sun_path = 0;
    notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify >= 0) {
        (void)!sendto(notify, ready, sizeof ready - 1, MSG_NOSIGNAL, (struct sockaddr *)&address,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
        close(notify);
    }
}

/* The same that Python gives to a spawner: what sanitizers need, and which file is meant instead of ours. */
static void keep_environment(void)
{
    int n = 0;

    for (char **entry = environ; *entry && n < 7; entry++)
        if (!strncmp(*entry, "PYSANDBOX_SPAWNER=", 18) || strstr(*entry, "SAN_OPTIONS="))
            self.environ[n++] = *entry;
}

static void work(int idle_ms)
{
    static struct pollfd watched[2 + PYSB_KEEP_CLIENTS];

    for (;;) {
        int clients = self.n_clients, ready;

        watched[0] = (struct pollfd){self.listener, POLLIN, 0};
        watched[1] = (struct pollfd){self.signals, POLLIN, 0};
        for (int i = 0; i < clients; i++)
            watched[2 + i] = (struct pollfd){self.clients[i], POLLIN, 0};
        ready = poll(watched, 2 + (nfds_t)clients, clients || self.spawners ? -1 : idle_ms);
        if (ready == 0)
            return;
        if (ready < 0 && errno != EINTR)
            return;
        if (watched[1].revents)
            reap();
        for (int i = clients - 1; i >= 0; i--) /* from the end: part_with() moves the last one down */
            if (watched[2 + i].revents)
                serve(i);
        if (watched[0].revents)
            welcome();
    }
}

/* keep SOCKET MOUNT IDLE_MS; MOUNT "": no cgroup, for tests where there is none to be had. */
int pysb_keep(char **words)
{
    sigset_t child;

    /* the numbers that a spawner finds its control socket and its caller at */
    if (open("/dev/null", O_RDWR | O_CLOEXEC) != SPAWNER_CONTROL || fcntl(SPAWNER_CONTROL, F_DUPFD_CLOEXEC, 4) != 4)
        return 2;
    prctl(PR_SET_NAME, "pysandbox-keep", 0, 0, 0);
    self.image = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self.image < 0 || look_at(0, &self.place) < 0)
        return 5;
    if (chdir("/") < 0 || (*words[1] && take_subtree(words[1]) < 0))
        return 6;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    self.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self.signals < 0 || listen_at(words[0]) < 0)
        return 7;
    self.hello.protocol = PYSB_KEEP_PROTOCOL;
    self.hello.pid = getpid();
    keep_environment();
    tell_systemd();
    work(atoi(words[2]));
    unlink(words[0]);
    return 0;
}
