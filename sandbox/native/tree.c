/* A directory or file of a sandbox that runs, as a detached mount.
 *
 * What a sandbox wrote is never opened by name on the host: its links would lead there. This process goes into the
 * sandbox as peel.c does, resolves the path below the sandbox's root, makes a mount of what it finds and passes that
 * on. Who attaches it (in another sandbox) sees those files and nothing above them.
 */
#include "child.h"

#include <sys/prctl.h>

enum { CLONE_TREE = 1, TREE_CLOEXEC = O_CLOEXEC }; /* open_tree(2), Linux 5.2 */

static int clone_tree(int root, const char *path, int alone)
{
    int place;

    TRY(place = pysb_open_in_root(root, path, O_PATH));
    return (int)syscall(SYS_open_tree, place, "",
                        CLONE_TREE | TREE_CLOEXEC | AT_EMPTY_PATH | (alone ? 0 : SYS_AT_RECURSIVE));
}

_Noreturn void pysb_tree(int report, int user_ns, int mount_ns, int root, const char *path, int alone)
{
    struct pysb_event event = {.kind = PYSB_CLONED};
    int kept[4] = {report, user_ns, mount_ns, root}, tree = -1;

    if (pysb_begin_visit(kept, 4) < 0)
        _exit(125);
    prctl(PR_SET_NAME, "pysandbox-tree", 0, 0, 0);
    if (pysb_enter(user_ns, mount_ns) < 0 || (tree = clone_tree(root, path, alone)) < 0) {
        event.kind = PYSB_FAILED;
        event.error = errno;
    }
    (void)!pysb_report(report, &event, NULL, tree);
    _exit(0);
}
