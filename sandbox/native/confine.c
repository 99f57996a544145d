/* The filter of a private lxcfs: what it never does, and what its uid would let it do to the caller.
 *
 * It lives in the caller's pid namespace with the caller's uid, and kill(2) asks for no more than that. So
 * it may not send signals, by whatever call, but to itself; nor reach into processes, nor use the parts of the kernel
 * that most exploits begin with. All this is answered with EPERM: a list of what is denied, for lxcfs (and
 * libfuse, and its load daemon) may do other things in its next version. It is the second lock; the first are the
 * capabilities and namespaces.
 */
#include "child.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "confine.c: which AUDIT_ARCH is this?"
#endif

/* asm-generic/fcntl.h, sockios.h, ioctls.h */
enum { SETOWN = 8, SETSIG = 10, SETOWN_EX = 15, FIO_SETOWN = 0x8901, SIO_CSPGRP = 0x8902 };

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
/* the next ``n`` instructions only if it is ``value`` */
#define IF(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, n)
#define UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), n, 0)
#define NEVER(call) IF(SYS_##call, 1), REFUSE

int pysb_confine_lxcfs(void)
{
    struct sock_filter program[] = {
        LOAD(arch),
        UNLESS(ARCHITECTURE, 1),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* x32 */
        REFUSE,
        NEVER(kill),
        NEVER(tkill),
        NEVER(rt_sigqueueinfo),
        NEVER(rt_tgsigqueueinfo),
        NEVER(pidfd_send_signal),
        NEVER(ptrace),
        NEVER(process_vm_readv),
        NEVER(process_vm_writev),
        NEVER(process_madvise),
        NEVER(pidfd_getfd),
        NEVER(kcmp),
        NEVER(bpf),
        NEVER(perf_event_open),
        NEVER(userfaultfd),
        NEVER(io_uring_setup),
        NEVER(keyctl),
        NEVER(add_key),
        NEVER(request_key),
        /* pthread_cancel(3) and abort(3) are signals to oneself */
        IF(SYS_tgkill, 3),
        LOAD(args[0]),
        UNLESS(getpid(), 1), /* kept by exec */
        REFUSE,
        LOAD(nr),
        IF(SYS_prlimit64, 3),
        LOAD(args[0]),
        UNLESS(0, 1),
        REFUSE,
        /* SIGIO, or any other signal in its place, to whom one likes (fcntl(2), F_SETSIG) */
        LOAD(nr),
        IF(SYS_fcntl, 7),
        LOAD(args[1]),
        IF(SETOWN, 1),
        REFUSE,
        IF(SETSIG, 1),
        REFUSE,
        IF(SETOWN_EX, 1),
        REFUSE,
        LOAD(nr),
        IF(SYS_ioctl, 5),
        LOAD(args[1]),
        IF(FIO_SETOWN, 1),
        REFUSE,
        IF(SIO_CSPGRP, 1),
        REFUSE,
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};

    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}
