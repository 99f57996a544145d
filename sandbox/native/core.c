#include "core.h"

#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <termios.h>

/* A SEQPACKET pair; each end is close-on-exec. */
int core_pair(int *two) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, two) < 0 ? -errno : 0; }

/* One request with its fds. Atomic: many threads may send at once. */
int core_send(int socket, const struct pysb_request *request, const int *fds, int count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * (PYSB_MAX_FDS + 2))];
    } control;
    struct iovec part = {(void *)(uintptr_t)request, sizeof *request};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};
    size_t bytes = sizeof(int) * (size_t)count;
    ssize_t sent;

    if (count < 1 || count > PYSB_MAX_FDS + 2)
        return -E2BIG;
    message.msg_controllen = CMSG_SPACE(bytes);
    memset(&control, 0, sizeof control);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(&control.header), fds, bytes);
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* One event, without waiting. The length, 0 at the end of file. The fds that came along, at most ``*count`` of
 * them (and never more than a request may hold), go to ``fds``; their number goes to ``*count``. */
int core_receive_fds(int socket, void *buffer, size_t size, int *fds, int *count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * (PYSB_MAX_FDS + 2))];
    } control;
    struct iovec part = {buffer, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};
    ssize_t length;
    int room = *count < PYSB_MAX_FDS + 2 ? *count : PYSB_MAX_FDS + 2;

    message.msg_controllen = CMSG_LEN(sizeof(int) * (size_t)room); /* not CMSG_SPACE, which may have room for one more */
    *count = 0;
    do
        length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            *count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(fds, CMSG_DATA(header), (size_t)*count * sizeof(int));
        }
    return (int)length;
}

/* The same with one fd, or -1. */
int core_receive(int socket, void *buffer, size_t size, int *fd)
{
    int count = 1;

    *fd = -1;
    return core_receive_fds(socket, buffer, size, fd, &count);
}

/* What the spawner says when it starts; waits. */
int core_hello(int socket, void *buffer, size_t size)
{
    ssize_t length;
    int reset = 0;

    /* ECONNRESET: it ended before it read all that we sent. Its last words may still be there behind that. */
    do
        length = recv(socket, buffer, size, 0);
    while (length < 0 && (errno == EINTR || (errno == ECONNRESET && !reset++)));
    return length < 0 ? -errno : (int)length;
}

int core_send_bytes(int socket, const void *bytes, size_t size)
{
    return send(socket, bytes, size, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int core_signal(int pidfd, int number) { return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0 ? -errno : 0; }

int core_pidfd(int pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

/* A detached copy of the mounts at ``path``; needs CAP_SYS_ADMIN in the mount namespace's owner. */
int core_open_tree(const char *path, int recursive)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? SYS_AT_RECURSIVE : 0);
    long fd = syscall(SYS_open_tree, AT_FDCWD, path, flags);
    return fd < 0 ? -errno : (int)fd;
}

/* Could a seccomp listener be had whose callers only a fatal signal takes away (Linux 5.19)? The kernel looks at
 * the flags before it looks at the filter, which is not there. */
int core_listener(void)
{
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
            SECCOMP_FILTER_FLAG_NEW_LISTENER | SYS_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, NULL);
    return errno == EFAULT ? 0 : -errno;
}

/* The hard limit of open files. */
int64_t core_nofile(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return -errno;
    return files.rlim_max > INT64_MAX ? INT64_MAX : (int64_t)files.rlim_max;
}

int core_winsize(int from, int to)
{
    struct winsize size;
    return ioctl(from, TIOCGWINSZ, &size) < 0 || ioctl(to, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}
