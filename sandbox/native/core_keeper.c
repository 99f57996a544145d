/* Python's end of the keeper's socket. All return -errno. */
#include "core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/* Connect, and read the hello; the socket. ETIMEDOUT where nothing comes in time; EPERM where whoever
 * listens there is not of our uid. */
int core_keeper_connect(const char *path, int timeout_ms, struct pysb_keep_hello *hello)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    ssize_t length = -1;
    int one, saved, unwanted = -1;

    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    one = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (one < 0)
        return -errno;
    /* SO_SNDTIMEO bounds connect(2) too, which waits where the queue is full */
    if (setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        setsockopt(one, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
        connect(one, (struct sockaddr *)&address, sizeof address) < 0 ||
        getsockopt(one, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0) {
        saved = errno;
    } else if (peer.uid != geteuid()) {
        saved = EPERM;
    } else {
        do
            length = pysb_keep_receive(one, hello, sizeof *hello, &unwanted, 0);
        while (length < 0 && errno == EINTR);
        saved = length < 0 ? errno : length == sizeof *hello ? 0 : length == 0 ? ECONNRESET : EPROTO;
        if (unwanted >= 0)
            close(unwanted);
    }
    if (!saved)
        return one;
    close(one);
    return -(saved == EAGAIN ? ETIMEDOUT : saved);
}

/* Fill in what a child of ours would inherit. */
int core_keeper_inherit(struct pysb_keep_want *want)
{
    char text[16] = "";
    long bytes;
    int file;

    for (int i = 0; i < PYSB_KEEP_LIMITS; i++) {
        struct rlimit now;
        if (getrlimit((__rlimit_resource_t)i, &now) < 0)
            return -errno;
        want->soft[i] = now.rlim_cur;
        want->hard[i] = now.rlim_max;
    }
    errno = 0;
    want->nice = getpriority(PRIO_PROCESS, 0);
    bytes = syscall(SYS_sched_getaffinity, 0, sizeof want->cpus, want->cpus);
    if (errno || bytes < 0)
        return -errno;
    want->cpu_bytes = (uint32_t)bytes;
    file = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, text, sizeof text - 1) < 0)
        return -errno;
    close(file);
    want->oom_score_adj = atoi(text);
    want->protocol = PYSB_KEEP_PROTOCOL;
    return 0;
}

/* Ask for a spawner that has ``control``; ``*pidfd`` is ours to close. ``answer->error`` is set where the
 * keeper itself says no; after any other fault the connection is good for nothing any more. */
int core_keeper_ask(int keeper, const struct pysb_keep_want *want, int control, struct pysb_keep_answer *answer,
                    int *pidfd)
{
    ssize_t length;

    answer->error = 0;
    do
        length = pysb_keep_send(keeper, want, sizeof *want, control);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    do
        length = pysb_keep_receive(keeper, answer, sizeof *answer, pidfd, 0);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    if (length == 0)
        return -ECONNRESET;
    if (length == sizeof *answer && answer->error == 0 && *pidfd >= 0)
        return 0;
    return length == sizeof *answer && answer->error > 0 ? -answer->error : -EPROTO;
}
