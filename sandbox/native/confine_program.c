/* The filter of a program without namespaces (isolation landlock): what Landlock has no right for.
 *
 * The program has the caller's uid, and there is no mount, pid, ipc or network namespace around it. Landlock keeps it from
 * files and processes, but not from (landlock(7), "Current limitations", and what is not about files at all):
 *   - sockets in the file system: whoever listens there takes it for the caller. The bus of the user's systemd would start
 *     any program outside. So no AF_UNIX but pairs that are connected for good; a pair of datagram sockets can be
 *     connected anew.
 *   - UDP and all other families: no sockets at all, unless the network is shared by name.
 *   - modes, owners, times, flags and extended attributes of whatever path the caller may reach: chmod(2) on the caller's
 *     keys. Times may be set on an open file. Leases, which make the caller wait for its own files.
 *   - limits, priorities and CPUs of the caller's other processes; System V IPC, message queues and keyrings, which go by
 *     the uid.
 *   - io_uring, which does all this past any filter, and what most exploits of kernels begin with.
 * It is loaded beside the policy's filter and before it; the strictest answer counts.
 */
#include "child.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/socket.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "confine_program.c: which AUDIT_ARCH is this?"
#endif

/* sys/resource.h, linux/ioprio.h; and calls that have the same numbers everywhere */
enum { PRIO_USER = 2, IOPRIO_WHO_USER = 3, IO_URING_SETUP = 425, FCHMODAT2 = 452, SETXATTRAT = 463, REMOVEXATTRAT = 466,
       FILE_SETATTR = 469 };
/* linux/fs.h, fsverity.h, fscrypt.h, fcntl.h: they take an owner's read-only fd */
enum { SETFLAGS = 0x40086602, FSSETXATTR = 0x401c5820, SETVERSION = 0x40087602, ENABLE_VERITY = 0x40806685,
       SETLEASE = 1024 };
#define SET_ENCRYPTION_POLICY 0x800c6613

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define LOAD_HIGH(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field) + 4)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define REFUSE(number) RETURN(SECCOMP_RET_ERRNO | (number))
#define ALLOW RETURN(SECCOMP_RET_ALLOW)
/* the next ``n`` instructions only if it is ``value``; only if it is not */
#define IF(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, n)
#define UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), n, 0)
#define NEVER(call, number) IF(call, 1), REFUSE(number)
/* the first argument is a process: 0 is oneself */
#define ONESELF(call) IF(call, 4), LOAD(args[0]), UNLESS(0, 1), REFUSE(EPERM), LOAD(nr)
/* who is the second argument, and the first says what that is: 0 is oneself, or one's process group; but not all of the
 * uid's processes */
#define OUR_GROUP(call, of_the_uid)                                                                                    \
    IF(call, 7), LOAD(args[1]), UNLESS(0, 1), REFUSE(EPERM), LOAD(args[0]), IF(of_the_uid, 1), REFUSE(EPERM), LOAD(nr)

int pysb_confine_program(const struct pysb_step *step)
{
    int net = step->flags & 1;
    struct sock_filter program[] = {
        LOAD(arch),
        UNLESS(ARCHITECTURE, 1),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
#if defined(__x86_64__)
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* x32 */
        RETURN(SECCOMP_RET_KILL_PROCESS),
        NEVER(SYS_chmod, EPERM),
        NEVER(SYS_chown, EPERM),
        NEVER(SYS_lchown, EPERM),
        NEVER(SYS_utime, EPERM),
        NEVER(SYS_utimes, EPERM),
        NEVER(SYS_futimesat, EPERM),
#endif
        NEVER(SYS_fchmod, EPERM),
        NEVER(SYS_fchmodat, EPERM),
        NEVER(FCHMODAT2, EPERM),
        NEVER(SYS_fchown, EPERM),
        NEVER(SYS_fchownat, EPERM),
        NEVER(SYS_setxattr, EPERM),
        NEVER(SYS_lsetxattr, EPERM),
        NEVER(SYS_fsetxattr, EPERM),
        NEVER(SETXATTRAT, EPERM),
        NEVER(SYS_removexattr, EPERM),
        NEVER(SYS_lremovexattr, EPERM),
        NEVER(SYS_fremovexattr, EPERM),
        NEVER(REMOVEXATTRAT, EPERM),
        NEVER(FILE_SETATTR, EPERM),
        IF(SYS_ioctl, 12),
        LOAD(args[1]),
        NEVER(SETFLAGS, EPERM),
        NEVER(FSSETXATTR, EPERM),
        NEVER(SETVERSION, EPERM),
        NEVER(ENABLE_VERITY, EPERM),
        NEVER(SET_ENCRYPTION_POLICY, EPERM),
        ALLOW,
        IF(SYS_fcntl, 4),
        LOAD(args[1]),
        NEVER(SETLEASE, EPERM),
        ALLOW,
        NEVER(SYS_shmget, ENOSYS),
        NEVER(SYS_shmat, ENOSYS),
        NEVER(SYS_shmctl, ENOSYS),
        NEVER(SYS_semget, ENOSYS),
        NEVER(SYS_semop, ENOSYS),
        NEVER(SYS_semtimedop, ENOSYS),
        NEVER(SYS_semctl, ENOSYS),
        NEVER(SYS_msgget, ENOSYS),
        NEVER(SYS_msgsnd, ENOSYS),
        NEVER(SYS_msgrcv, ENOSYS),
        NEVER(SYS_msgctl, ENOSYS),
        NEVER(SYS_mq_open, ENOSYS),
        NEVER(SYS_mq_unlink, ENOSYS),
        NEVER(SYS_keyctl, ENOSYS),
        NEVER(SYS_add_key, ENOSYS),
        NEVER(SYS_request_key, ENOSYS),
        NEVER(IO_URING_SETUP, ENOSYS),
        NEVER(SYS_bpf, EPERM),
        NEVER(SYS_perf_event_open, EPERM),
        NEVER(SYS_userfaultfd, EPERM),
        ONESELF(SYS_prlimit64),
        ONESELF(SYS_sched_setaffinity),
        ONESELF(SYS_sched_setscheduler),
        ONESELF(SYS_sched_setparam),
        ONESELF(SYS_sched_setattr),
        OUR_GROUP(SYS_setpriority, PRIO_USER),
        OUR_GROUP(SYS_ioprio_set, IOPRIO_WHO_USER),
        IF(SYS_utimensat, 6),
        LOAD(args[1]),
        IF(0, 3),
        LOAD_HIGH(args[1]),
        IF(0, 1),
        ALLOW,
        REFUSE(EPERM),
        IF(SYS_socketpair, 8),
        LOAD(args[0]),
        IF(AF_UNIX, 5),
        LOAD(args[1]),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
        UNLESS(SOCK_STREAM, 1),
        IF(SOCK_SEQPACKET, 1),
        ALLOW,
        REFUSE(EACCES),
        UNLESS(SYS_socket, 1),
        ALLOW,
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | (net ? BPF_JEQ : BPF_JGE) | BPF_K, net ? AF_UNIX : 0, 0, 1),
        REFUSE(EACCES),
        ALLOW,
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};

    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}
