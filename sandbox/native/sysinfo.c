/* sysinfo(2) answered from the limits of the run: a seccomp listener, see seccomp_unotify(2).
 *
 * Theory of operation
 *
 *   program: filter "sysinfo: ask" --listener--> init --> the struct, written into the caller's memory
 *
 * The program's process loads a filter of six instructions, whose listener goes to the init over a socket
 * pair made before the fork, and then the policy's filter, whose refusals outrank it (seccomp(2): ERRNO and
 * KILL come before USER_NOTIF). Of the init's poll loop one turn answers one call, so that no number of
 * callers keeps it from its other duties.
 *
 * Whose memory is written. The number in a notification may be another process by the time it is used. So
 * /proc/PID/mem and /proc/PID/maps are opened first, which pins the address space, and only then is the
 * kernel asked whether the call still waits (SECCOMP_IOCTL_NOTIF_ID_VALID): if it does, its thread has held
 * the number all the time, and what is open is its memory. What ends later leaves an address space without
 * users, which takes no write. A signal cannot end the wait and let the caller use its stack again while we
 * write: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19), without which there is no listener.
 *
 * /proc/PID/mem writes to read-only pages too (FOLL_FORCE), which sysinfo(2) does not; hence the maps. Its
 * writes never wait for a userfaultfd (access_remote_vm() does not let a fault sleep there).
 *
 * What we may not write to (not dumpable, or an LSM says no) is answered by the kernel itself, with the
 * host's figures, and noted: sysinfo(2) guards nothing, and a call that fails where none does breaks programs.
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
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <time.h>

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

enum { SEND_TRIES = 5000 }; /* 5 s and more */

static const uint64_t page = 4096, unlimited = UINT64_MAX, second = 1000000000;

/* ---- before the program ---- */

static size_t decimal(char *text, uint64_t number)
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

/* The directory in which the kernel's numbers of our callers are names: the sandbox's private proc, or the
 * host's where we are in its pid namespace. Asked, not trusted: "self" must be our own number there. */
static int open_proc(const struct pysb_run *run)
{
    char said[24], ours[24];
    struct statfs kind;
    size_t length = decimal(ours, (uint64_t)getpid());
    int proc;

    if (run->proc_fd >= 0)
        TRY(proc = openat(run->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    else
        TRY(proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    TRY(fstatfs(proc, &kind));
    if (kind.f_type != PROC_SUPER_MAGIC || readlinkat(proc, "self", said, sizeof said) != (ssize_t)length ||
        memcmp(said, ours, length)) {
        errno = EXDEV;
        return -1;
    }
    return proc;
}

int pysb_sysinfo_setup(struct pysb_run *run, const struct pysb_step *step)
{
    struct pysb_sysinfo *own = &run->sysinfo;
    int two[2];

    own->memory = step->a;
    own->swap = step->b;
    own->born_ns = step->c;
    own->ptrace = step->flags & 1;
    TRY(own->proc = open_proc(run));
    TRY(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, two));
    own->socket = two[0];
    TRY(own->far = fcntl(two[1], F_DUPFD_CLOEXEC, run->lowest));
    return close(two[1]);
}

int pysb_sysinfo_gauge(struct pysb_run *run, const struct pysb_step *step)
{
    run->sysinfo.gauges[step->a] = run->fds[step->fd];
    if (step->a == PYSB_GAUGE_SWAP)
        run->sysinfo.swap_with_memory = step->flags & 1;
    return 0;
}

/* unix(7): ETOOMANYREFS while more fds of this user are under way than our RLIMIT_NOFILE, which is the program's by
 * now: a crowd that starts at once. They arrive within milliseconds. */
static int send_listener(int socket, int listener)
{
    struct pysb_request nothing = {.magic = PYSB_MAGIC};
    struct timespec pause = {0, 1000000};

    for (int tries = 0; tries < SEND_TRIES; tries++) {
        if (pysb_send(socket, &nothing, &listener, 1) == 0)
            return 0;
        if (errno != ETOOMANYREFS)
            return -1;
        nanosleep(&pause, NULL);
    }
    errno = ETOOMANYREFS;
    return -1;
}

/* In the program's process. The listener is close-on-exec from its first moment and closed here. */
int pysb_sysinfo_listen(struct pysb_run *run, const struct pysb_step *step)
{
    static const struct sock_filter ask[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sysinfo, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof ask / sizeof *ask, (struct sock_filter *)(uintptr_t)ask};
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                SECCOMP_FILTER_FLAG_NEW_LISTENER | SYS_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &filter);

    if (listener < 0) {
        /* EBUSY: somebody listens to our caller already, a container's manager perhaps; the kernel allows one */
        return errno == EBUSY && !(step->flags & 1) ? close(run->sysinfo.far) : -1;
    }
    TRY(send_listener(run->sysinfo.far, listener));
    TRY(close(listener));
    TRY(close(run->sysinfo.far));
    run->notes |= PYSB_NOTE_SYSINFO;
    return 0;
}

/* In the init, after the fork. /proc/PID/mem belongs to the program's id; with an id range that is not ours.
 * The file-system ids are enough, for the file's mode and for ptrace_may_access(), and need no capability. */
int pysb_sysinfo_rights(struct pysb_run *run)
{
    const struct pysb_step *steps = run->now.steps + run->now.plan->n_init;

    for (uint32_t i = 0; run->sysinfo.socket >= 0 && i < run->now.plan->n_program; i++) {
        uid_t uid = (uid_t)steps[i].a;
        gid_t gid = (gid_t)steps[i].b;
        if (steps[i].op != PYSB_IDS || (uid == geteuid() && gid == getegid()))
            continue;
        setfsgid(gid);
        setfsuid(uid);
        if ((gid_t)setfsgid((gid_t)-1) != gid || (uid_t)setfsuid((uid_t)-1) != uid) {
            errno = EPERM; /* they tell of no error by themselves */
            return -1;
        }
        /* commit_creds(): both are lost when an id changes */
        TRY(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
        TRY(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    }
    return 0;
}

/* ---- the figures ---- */

static uint64_t reading(int gauge)
{
    char text[32];
    ssize_t length = gauge < 0 ? 0 : pread(gauge, text, sizeof text, 0);
    uint64_t number = 0;

    for (ssize_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    return number;
}

/* Processes in /proc, where no cgroup counts tasks. */
static uint64_t processes(int proc)
{
    struct { /* getdents64(2) */
        uint64_t ino;
        int64_t off;
        unsigned short length;
        unsigned char type;
        char name[];
    } *entry;
    _Alignas(8) char list[4096];
    uint64_t count = 0;
    long length;

    if (lseek(proc, 0, SEEK_SET) < 0)
        return 0;
    while ((length = syscall(SYS_getdents64, proc, list, sizeof list)) > 0)
        for (long at = 0; at < length; at += entry->length) {
            entry = (void *)(list + at);
            count += entry->name[0] >= '1' && entry->name[0] <= '9';
        }
    return count;
}

static uint64_t least(uint64_t one, uint64_t other) { return one < other ? one : other; }

static uint64_t left(uint64_t total, uint64_t used) { return used < total ? total - used : 0; }

/* As the kernel fills it (do_sysinfo(), kernel/sys.c) with the limits for the machine: loads are 0, for the
 * host's are not the sandbox's; the unit is 1 byte, as on every 64-bit kernel. */
static int figures(const struct pysb_sysinfo *own, struct sysinfo *told)
{
    struct sysinfo host;
    struct timespec now;
    uint64_t used = reading(own->gauges[PYSB_GAUGE_MEMORY]), swapped = reading(own->gauges[PYSB_GAUGE_SWAP]), tasks;

    TRY(sysinfo(&host));
    TRY(clock_gettime(CLOCK_BOOTTIME, &now));
    memset(told, 0, sizeof *told);
    told->mem_unit = 1;
    told->totalram = least(own->memory / page * page, (uint64_t)host.totalram * host.mem_unit);
    told->freeram = own->memory == unlimited ? (uint64_t)host.freeram * host.mem_unit : left(told->totalram, used);
    told->totalswap = least(own->swap / page * page, (uint64_t)host.totalswap * host.mem_unit);
    if (own->swap_with_memory)
        swapped = left(swapped, used);
    told->freeswap = least(left(told->totalswap, swapped), (uint64_t)host.freeswap * host.mem_unit);
    tasks = own->gauges[PYSB_GAUGE_TASKS] >= 0 ? reading(own->gauges[PYSB_GAUGE_TASKS]) : processes(own->proc);
    told->procs = (unsigned short)least(tasks, UINT16_MAX);
    uint64_t ns = left((uint64_t)now.tv_sec * second + (uint64_t)now.tv_nsec, own->born_ns);
    told->uptime = (long)((ns + second - 1) / second);
    return 0;
}

/* ---- the answer ---- */

static int open_of(const struct pysb_sysinfo *own, uint32_t pid, const char *file, int flags)
{
    char path[32];
    size_t length = decimal(path, pid);

    memcpy(path + length, file, strlen(file) + 1);
    return openat(own->proc, path, flags | O_CLOEXEC);
}

/* Is no mapping read-only between two addresses? Where there is none at all the write itself will tell.
 * A line of maps: "start-end rwxp ...", hexadecimal, ascending (proc(5)). */
static int nothing_read_only(int maps, uint64_t from, uint64_t to)
{
    enum { START, END, READ, WRITE, REST } at = START;
    uint64_t start = 0, end = 0;
    char text[4096];
    ssize_t length;

    while ((length = read(maps, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < length; i++) {
            char c = text[i];
            uint64_t digit = (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
            switch (at) {
            case START:
                if (c == '-')
                    at = END;
                else
                    start = start << 4 | digit;
                break;
            case END:
                if (c == ' ')
                    at = READ;
                else
                    end = end << 4 | digit;
                break;
            case READ:
                if (start >= to)
                    return 1;
                at = WRITE;
                break;
            case WRITE:
                if (end > from && c != 'w')
                    return 0;
                at = REST;
                break;
            case REST:
                if (c == '\n')
                    at = START, start = end = 0;
                break;
            }
        }
    return length == 0;
}

/* 0 or the errno of the call; -1 if it cannot be us who answers. ``*waits``: is it still there? */
static int answer(const struct pysb_sysinfo *own, const struct seccomp_notif *asked, int *waits)
{
    struct sysinfo told;
    uint64_t address = asked->data.args[0];
    int memory = open_of(own, asked->pid, "/mem", O_WRONLY), maps = open_of(own, asked->pid, "/maps", O_RDONLY);
    int result = -1;

    *waits = ioctl(own->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked->id) == 0;
    if (*waits && memory >= 0 && maps >= 0 && figures(own, &told) == 0) {
        result = EFAULT;
        if (address <= INT64_MAX - sizeof told && nothing_read_only(maps, address, address + sizeof told) &&
            pwrite(memory, &told, sizeof told, (off_t)address) == sizeof told)
            result = 0;
    }
    if (memory >= 0)
        close(memory);
    if (maps >= 0)
        close(maps);
    return result;
}

static void serve(struct pysb_run *run)
{
    const struct pysb_sysinfo *own = &run->sysinfo;
    struct seccomp_notif asked;
    struct seccomp_notif_resp reply;
    int result, waits;

    memset(&asked, 0, sizeof asked); /* the kernel insists */
    memset(&reply, 0, sizeof reply);
    if (ioctl(own->listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0)
        return; /* ENOENT: whoever called is gone. It does not wait: poll(2) has seen a call since the last one */
    result = answer(own, &asked, &waits);
    if (!waits)
        return;
    reply.id = asked.id;
    if (result < 0) {
        reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        run->notes |= PYSB_NOTE_SYSINFO_OF_HOST;
    } else {
        reply.error = -result;
    }
    (void)!ioctl(own->listener, SECCOMP_IOCTL_NOTIF_SEND, &reply); /* ENOENT: it was killed meanwhile */
}

static void take_listener(struct pysb_sysinfo *own)
{
    struct pysb_request nothing;
    int fds[PYSB_MAX_FDS + 2];

    if (pysb_receive(own->socket, &nothing, fds) == 1) {
        own->listener = fds[0];
        /* Caller and init on one CPU (Linux 6.6): no waking across CPUs. Older kernels are slower, no more. */
        (void)!ioctl(own->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    }
    close(own->socket); /* or its end: the program has no listener */
    own->socket = -1;
}

void pysb_sysinfo_ready(struct pysb_run *run, short events)
{
    struct pysb_sysinfo *own = &run->sysinfo;

    if (own->socket >= 0) {
        take_listener(own);
    } else if (events & POLLIN) {
        serve(run);
    } else { /* POLLHUP: nobody is left under the filter */
        close(own->listener);
        own->listener = -1;
    }
}
