/* A further program in a sandbox that runs.
 *
 * Theory of operation. The init of a sandbox that may be joined opens its namespaces before its program begins, and
 * hands them to Python (pysb_hand_out): later nobody could open them, for the init is not dumpable. For each further
 * program the spawner clones a process, the joiner, that is an init in all but one respect: it enters those
 * namespaces instead of new ones, and stays outside of the sandbox's pid namespace itself, for setns(2) puts there
 * only the children to come. So the sandbox can neither name nor signal nor trace it, its /proc/PID/exe is out of
 * reach (CVE-2019-5736), and what it has open is too; it is not dumpable before it enters anything (CVE-2016-9962).
 *
 * Its child is the program. Until its exec that one can be seen in the sandbox, so it is not dumpable either, has closed
 * all but what its steps use (child.c), and dies with the joiner. What it leaves behind becomes the sandbox's, as with
 * any program whose parent has ended.
 *
 * Two of the namespaces are entered by the program's process: the cgroup namespace, for the joiner may have to reach a
 * cgroup outside of it, and the time namespace, so that both clocks are read as with a first program.
 */
#include "child.h"

#include <string.h>
#include <sys/prctl.h>

/* The processes of the sandbox by the numbers that we have for them. Theirs, in there, are of no use to us. */
static int open_host_proc(struct pysb_run *run)
{
    TRY(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    run->joined = 1;
    TRY(run->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return pysb_check_proc(run->proc_fd);
}

static int enter_root(struct pysb_run *run, int root)
{
    char here[4096];

    TRY(fchdir(root));
    TRY(chroot("."));
    TRY(chdir("/"));
    TRY(syscall(SYS_getcwd, here, sizeof here)); /* CVE-2024-21626 */
    if (here[0] != '/') {
        errno = EXDEV;
        return -1;
    }
    return run->root_fd = root;
}

int pysb_join(struct pysb_run *run, const struct pysb_step *step)
{
    int *fd = &run->fds[step->fd];

    if (!run->joined)
        TRY(open_host_proc(run));
    if (!step->a)
        return enter_root(run, *fd);
    TRY(setns(*fd, (int)step->a));
    TRY(close(*fd));
    *fd = -1;
    /* commit_creds(): fs.suid_dumpable holds from here on */
    return step->a == CLONE_NEWUSER ? prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) : 0;
}

int pysb_hand_out(const struct pysb_run *run)
{
    static const char *const names[PYSB_NS_ROOT] = {"user", "mnt", "net", "ipc", "uts", "pid", "cgroup",
                                                    "time_for_children"};
    char path[40] = "self/ns/";

    for (uint32_t i = 0; i < PYSB_NS_COUNT; i++) {
        struct pysb_event event = {.kind = PYSB_NAMESPACE, .step = i};
        int fd;

        if (i == PYSB_NS_ROOT) {
            fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        } else {
            strcpy(path + 8, names[i]);
            fd = openat(run->proc_fd, path, O_RDONLY | O_CLOEXEC);
            if (fd < 0 && errno == ENOENT && i == PYSB_NS_TIME)
                continue; /* a kernel without time namespaces */
        }
        TRY(fd);
        TRY(pysb_report(run->report, &event, NULL, fd));
        close(fd);
    }
    return 0;
}

/* In the program's process, when its ids are final (they clear this): nothing else would end it if the joiner is
 * killed, as the end of a first program's init ends all. A parent outside of the pid namespace is 0 in there. */
int pysb_die_with_parent(void)
{
    TRY(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    if (getppid() == 0)
        return 0;
    errno = ESRCH;
    return -1;
}
