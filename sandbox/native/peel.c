/* Takes mounts away in a sandbox that runs.
 *
 * When lxcfs dies, its files in /proc of each running sandbox answer ENOTCONN for ever; below them lie files
 * of our own that are right. The init has given its capabilities away and, not being dumpable, cannot be
 * entered through /proc; but it opened its user and mount namespace before, and Python has kept them.
 * So the spawner clones this process, which enters both, detaches the mounts at the paths that it
 * was given, says how many, and is gone.
 *
 * In there it is what the program attacks, so: it is not dumpable, it stays in the spawner's pid namespace
 * (the program cannot name it), it holds the report socket and nothing else, and a path is resolved
 * without any symlink, its last word by the directory that was resolved. No step of it asks a file system
 * that may be dead or hung (umount(2) does not with MNT_DETACH); should one sleep all the same, SIGALRM ends it.
 */
#include "child.h"

#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/time.h>

enum { PATIENCE_S = 10 };

static int limit_time(void)
{
    static const struct itimerval once = {.it_value = {.tv_sec = PATIENCE_S}};
    sigset_t alarm;

    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    TRY(sigprocmask(SIG_UNBLOCK, &alarm, NULL));
    return setitimer(ITIMER_REAL, &once, NULL);
}

int pysb_enter(int user_ns, int mount_ns)
{
    TRY(setns(user_ns, CLONE_NEWUSER));
    TRY(setns(mount_ns, CLONE_NEWNS));
    TRY(close(user_ns));
    TRY(close(mount_ns));
    /* The change of credentials sets it to fs.suid_dumpable, and clears the other (commit_creds) */
    TRY(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static int detach(char *path)
{
    struct sys_open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                               .resolve = SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_SYMLINKS | SYS_RESOLVE_NO_MAGICLINKS};
    char *slash = strrchr(path, '/');
    int root, parent;

    if (!slash || slash == path || !slash[1]) {
        errno = EINVAL;
        return -1;
    }
    *slash = 0;
    TRY(root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    TRY(parent = (int)syscall(SYS_openat2, root, path, &how, sizeof how));
    TRY(fchdir(parent));
    close(parent);
    close(root);
    return umount2(slash + 1, MNT_DETACH | UMOUNT_NOFOLLOW);
}

/* What holds for whoever goes in there, before it does. */
int pysb_begin_visit(int *kept, int count)
{
    TRY(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    TRY(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    TRY(limit_time());
    return pysb_close_all_but(kept, count);
}

_Noreturn void pysb_peel(int report, int user_ns, int mount_ns, char *paths, uint32_t bytes)
{
    struct pysb_event peeled = {.kind = PYSB_PEELED};
    int kept[3] = {report, user_ns, mount_ns};

    if (pysb_begin_visit(kept, 3) < 0)
        _exit(125);
    prctl(PR_SET_NAME, "pysandbox-peel", 0, 0, 0);
    if (pysb_enter(user_ns, mount_ns) < 0) {
        peeled.error = errno;
        bytes = 0;
    }
    for (uint32_t at = 0, length; at < bytes; at += length + 1) {
        length = (uint32_t)strlen(paths + at);
        if (detach(paths + at) == 0)
            peeled.step++;
        else if (!peeled.error)
            peeled.error = errno;
    }
    (void)!pysb_report(report, &peeled, NULL, -1);
    _exit(0);
}
