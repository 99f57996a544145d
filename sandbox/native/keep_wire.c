/* One datagram with at most one fd; linked into the executable and into Python's extension. */
#include "keeper.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

ssize_t pysb_keep_send(int socket, const void *message, size_t size, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {(void *)(uintptr_t)message, size};
    struct msghdr whole = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        whole.msg_control = control.bytes;
        whole.msg_controllen = sizeof control.bytes;
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    }
    return sendmsg(socket, &whole, MSG_NOSIGNAL);
}

/* What does not fit, a second fd for one, is thrown away by the kernel and makes the message none: EBADMSG.
 * CMSG_LEN and not CMSG_SPACE, whose padding is room for a second one. */
ssize_t pysb_keep_receive(int socket, void *message, size_t size, int *fd, int flags)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {message, size};
    struct msghdr whole = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_LEN(sizeof *fd)};
    ssize_t length = recvmsg(socket, &whole, flags | MSG_CMSG_CLOEXEC);

    *fd = -1;
    if (length < 0)
        return -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&whole); header; header = CMSG_NXTHDR(&whole, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
            memcpy(fd, CMSG_DATA(header), sizeof *fd);
    if (whole.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        errno = EBADMSG;
        return -1;
    }
    return length;
}
