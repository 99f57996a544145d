/* One datagram on the report socket: an event, bytes that follow it, perhaps an fd. */
#include "child.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

uint64_t pysb_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* 0, or -1 with errno. A caller that is gone (EPIPE, ECONNRESET) is noticed elsewhere, by EOF. */
int pysb_report(int socket, struct pysb_event *event, const void *extra, int fd)
{
    struct iovec parts[2] = {{event, sizeof *event}, {(void *)(uintptr_t)extra, event->extra}};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = event->extra ? 2 : 1};

    if (fd < 0 && !event->extra) /* write(2): the one call that every policy lets pass */
        return write(socket, event, sizeof *event) < 0 ? -1 : 0;
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}
