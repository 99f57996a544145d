/* Lift what keeps the processes of a cgroup from dying: I/O limits, the CPU quota, the freezer.
 *
 * A process that waits for throttled I/O waits uninterruptibly, so SIGKILL does nothing to it until the disk
 * has had its turn: 64 KiB at 4 KiB/s take 16 s. Used when the caller has died and cannot do it.
 */
#include <string.h>

#include "unthrottle.h"

static void put(int directory, const char *file, const char *value, size_t length)
{
    int fd = openat(directory, file, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return; /* not in this hierarchy */
    if (write(fd, value, length) < 0) {
        /* the disk went away: it holds nobody back */
    }
    close(fd);
}

/* For each disk in the file, "MAJ:MIN off". */
static void lift(int directory, const char *file, const char *off)
{
    char text[4096], line[128];
    size_t off_length = strlen(off);
    ssize_t length;
    int fd = openat(directory, file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    length = read(fd, text, sizeof text);
    close(fd);
    for (ssize_t at = 0; at < length; at++) {
        ssize_t start = at;
        while (at < length && text[at] != ' ' && text[at] != '\n')
            at++;
        size_t number = (size_t)(at - start);
        if (number && number + 1 + off_length <= sizeof line) {
            memcpy(line, text + start, number);
            line[number] = ' ';
            memcpy(line + number + 1, off, off_length);
            put(directory, file, line, number + 1 + off_length);
        }
        while (at < length && text[at] != '\n')
            at++;
    }
}

void pysb_unthrottle(int parent, const char *name)
{
    int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (directory < 0)
        return;
    lift(directory, "io.max", "rbps=max wbps=max riops=max wiops=max");
    lift(directory, "blkio.throttle.read_bps_device", "0");
    lift(directory, "blkio.throttle.read_iops_device", "0");
    lift(directory, "blkio.throttle.write_bps_device", "0");
    lift(directory, "blkio.throttle.write_iops_device", "0");
    put(directory, "pids.max", "0", 1); /* without a pid namespace they die one by one, and a fork bomb is as fast */
    put(directory, "cpu.max", "max", 3);
    put(directory, "cpu.cfs_quota_us", "-1", 2);
    put(directory, "freezer.state", "THAWED", 6); /* v1: what stands still does not die */
    close(directory);
}
