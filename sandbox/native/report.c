/* Datagrams: events on the report socket, requests and orders with their fds. */
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

/* As pysb_report with ``event->extra`` bytes, but -1 where it would have to wait. */
int pysb_report_or_drop(int socket, const struct pysb_event *event, const void *extra)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)event, sizeof *event}, {(void *)(uintptr_t)extra, event->extra}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}

#define CONTROL_BYTES CMSG_SPACE(sizeof(int) * (PYSB_MAX_FDS + 2))

/* One request or order and its fds (room for PYSB_MAX_FDS + 2). The number of fds, or -1; ESHUTDOWN
 * at the end of file. What is no request comes back with magic 0. */
int pysb_receive(int socket, struct pysb_request *request, int *fds)
{
    union {
        struct cmsghdr header;
        char bytes[CONTROL_BYTES];
    } control;
    struct iovec part = {request, sizeof *request};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t length;
    int count = 0;

    memset(request, 0, sizeof *request); /* a short datagram must not leave the last one's words in it */
    TRY(length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC));
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(fds, CMSG_DATA(header), (size_t)count * sizeof(int));
        }
    if (length == 0) {
        errno = ESHUTDOWN;
        return -1;
    }
    if (length != sizeof *request || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        request->magic = 0;
    return count;
}

static int send_with_fds(int socket, const void *words, size_t size, const int *fds, int count)
{
    union {
        struct cmsghdr header;
        char bytes[CONTROL_BYTES];
    } control;
    struct iovec part = {(void *)(uintptr_t)words, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};
    size_t bytes = sizeof(int) * (size_t)count;

    message.msg_controllen = CMSG_SPACE(bytes);
    memset(control.bytes, 0, CMSG_SPACE(bytes));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(&control.header), fds, bytes);
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}

int pysb_send(int socket, const struct pysb_request *request, const int *fds, int count)
{
    return send_with_fds(socket, request, sizeof *request, fds, count);
}

/* As pysb_report, with ``count`` fds (at least one). */
int pysb_report_fds(int socket, const struct pysb_event *event, const int *fds, int count)
{
    return send_with_fds(socket, event, sizeof *event, fds, count);
}
