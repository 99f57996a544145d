/* Landlock: the lock on files, TCP ports, signals and abstract sockets that holds without any namespace.
 *
 * The init makes the ruleset at the end of its setup, so that a sandbox made ahead has it ready; the program's
 * process restricts itself with it. The init itself stays outside: it signals and watches what is inside.
 * landlock(7); the headers of Debian 12 know ABI 2 only, so nothing of linux/landlock.h is used here.
 */
#include "child.h"

#include <sys/prctl.h>
#include <sys/stat.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum { EXECUTE = 1 << 0, WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, TRUNCATE = 1 << 14, IOCTL_DEV = 1 << 15 };
/* what means something for other things than directories; any other right is EINVAL there */
enum { OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV, PATH_BENEATH = 1 };

/* ``net`` is from ABI 4 on, ``scoped`` from 6 on; older kernels take a longer struct whose rest is 0 */
struct ruleset {
    uint64_t fs, net, scoped;
};
struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

int pysb_landlock(struct pysb_run *run, const struct pysb_step *step)
{
    struct ruleset handled = {step->a, step->b, step->c};

    /* Without a user namespace nothing has done this yet. A Landlock domain may not trace us anyway. */
    TRY(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    run->handled_fs = step->a;
    return run->ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
}

static int add(const struct pysb_run *run, int where, uint64_t rights)
{
    struct path_beneath rule = {rights & run->handled_fs, where};

    return rule.allowed ? (int)syscall(SYS_landlock_add_rule, run->ruleset, PATH_BENEATH, &rule, 0) : 0;
}

int pysb_landlock_path(struct pysb_run *run, const struct pysb_step *step)
{
    struct sys_open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = SYS_RESOLVE_NO_MAGICLINKS};
    int by_fd = !!(step->flags & PYSB_LANDLOCK_FD), place, result;
    const char *text = pysb_text(run, step->text);
    struct stat found;

    if (by_fd)
        place = run->fds[step->fd];
    else if (step->flags & PYSB_LANDLOCK_QUEUES)
        /* mq_open(3) opens files of a mount that is nowhere: only by another mount of the same can a rule name it */
        place = pysb_new_mount(text, 0);
    else
        place = (int)syscall(SYS_openat2, AT_FDCWD, text, &how, sizeof how);
    if (place < 0)
        return (step->flags & PYSB_LANDLOCK_OPTIONAL) && (errno == ENOENT || errno == ENODEV) ? 0 : -1;
    TRY(fstat(place, &found));
    result = add(run, place, S_ISDIR(found.st_mode) ? step->a : step->a & OF_FILES);
    if (!by_fd && close(place) < 0)
        return -1;
    return result;
}

/* What was handed over may be opened anew (/dev/stdout, /proc/self/fd/3), in its own mode and no other. */
int pysb_landlock_handed(struct pysb_run *run, int fd)
{
    uint64_t rights = IOCTL_DEV;
    int flags;

    TRY(flags = fcntl(fd, F_GETFL));
    if (flags & O_PATH)
        return 0;
    if ((flags & O_ACCMODE) != O_WRONLY)
        rights |= READ_FILE | EXECUTE;
    if ((flags & O_ACCMODE) != O_RDONLY)
        rights |= WRITE_FILE | TRUNCATE;
    /* EBADFD: a pipe, a socket, a memfd: they have no path, and Landlock leaves them alone */
    return add(run, fd, rights) < 0 && errno != EBADFD ? -1 : 0;
}

/* Without a ruleset the kernel says EBADF, and no program is run. */
int pysb_landlock_restrict(const struct pysb_run *run)
{
    return (int)syscall(SYS_landlock_restrict_self, run->ruleset, 0);
}
