/* System calls and constants that the distribution's libc headers may not have yet. */
#ifndef PYSB_SYS_H
#define PYSB_SYS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/sched.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

#define SYS_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* seccomp(2), Linux 5.19 */
#define SYS_F_SEAL_FUTURE_WRITE 0x10 /* fcntl(2), Linux 5.1 */
#define SYS_MFD_EXEC 0x10 /* memfd_create(2), Linux 6.3 */

/* openat2(2), Linux 5.6 */
struct sys_open_how {
    uint64_t flags, mode, resolve;
};
#define SYS_RESOLVE_NO_MAGICLINKS 0x02
#define SYS_RESOLVE_NO_SYMLINKS 0x04
#define SYS_RESOLVE_BENEATH 0x08
#define SYS_RESOLVE_IN_ROOT 0x10

/* mount_setattr(2), Linux 5.12 */
struct sys_mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};
#define SYS_AT_RECURSIVE 0x8000

/* clone3(2); the struct of linux/sched.h lacks ``cgroup`` before 5.7 headers */
struct sys_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
#define SYS_CLONE_INTO_CGROUP 0x200000000ULL

#endif
