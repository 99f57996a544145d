/* The file system of a sandbox: every step that makes, fills or switches the new root.
 *
 * All work is on fds. A destination is resolved with openat2(RESOLVE_IN_ROOT) below the new root, so
 * that no symlink of a foreign root file system can lead out of it (CVE-2021-30465, CVE-2025-31133,
 * CVE-2025-52565, CVE-2025-52881), and a mount is attached to the fd that was resolved, never to a
 * name that is resolved again.
 *
 * The new root is mounted on top of "/" and entered by pivot_root at the end. Until then absolute
 * paths still mean the host's: path lookup starts at our fs root, below what is stacked on it. So
 * no directory of the host is needed, or hidden, as a mount point.
 */
#include "child.h"

#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* openat2(2): EAGAIN if something was renamed or mounted, anywhere on the host, while ".." was resolved. */
int pysb_open_in_root(int root, const char *path, uint64_t flags)
{
    struct sys_open_how how = {.flags = flags | O_CLOEXEC, .resolve = SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS};
    int fd = -1;

    for (int attempt = 0; attempt < 100; attempt++) {
        fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd;
}

static int make_path(int root, char *path, uint32_t mode);

/* The directory that holds ``path``, made if it is missing; ``*name`` is the last component. */
static int open_parent(int root, char *path, char **name)
{
    char *slash = strrchr(path, '/');
    int parent;

    if (!slash || !slash[1]) { /* plans hold absolute, normal paths; "/" itself has no parent */
        errno = EINVAL;
        return -1;
    }
    *name = slash + 1;
    if (slash == path)
        return pysb_open_in_root(root, "/", O_PATH | O_DIRECTORY);
    *slash = 0;
    parent = pysb_open_in_root(root, path, O_PATH | O_DIRECTORY);
    if (parent < 0 && errno == ENOENT && make_path(root, path, 0755) == 0)
        parent = pysb_open_in_root(root, path, O_PATH | O_DIRECTORY);
    *slash = '/';
    return parent;
}

/* mkdir -p; what exists already, a directory or a link to one inside the root, is left as it is. */
static int make_path(int root, char *path, uint32_t mode)
{
    char *name;
    int parent = open_parent(root, path, &name), result, saved;

    if (parent < 0)
        return -1;
    result = mkdirat(parent, name, mode);
    saved = errno;
    close(parent);
    errno = saved;
    return result < 0 && errno == EEXIST ? 0 : result;
}

static int step_mkdir(struct pysb_run *run, const struct pysb_step *step)
{
    int root = step->flags & 1 ? run->scratch_fd : run->root_fd, directory;
    char *path = pysb_text(run, step->text);

    TRY(make_path(root, path, step->mode));
    if (step->a == (uint64_t)geteuid() && step->b == (uint64_t)getegid())
        return 0;
    TRY(directory = pysb_open_in_root(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    TRY(fchown(directory, (uid_t)step->a, (gid_t)step->b));
    return close(directory);
}

static int step_symlink(struct pysb_run *run, const struct pysb_step *step)
{
    char *name;
    int parent, result;

    TRY(parent = open_parent(step->flags & 1 ? run->scratch_fd : run->root_fd, pysb_text(run, step->text2), &name));
    result = symlinkat(pysb_text(run, step->text), parent, name);
    close(parent);
    return result;
}

/* A new regular file in place of whatever name is there; never through a link. An fd, or -1. */
static int make_file(int root, char *path, uint32_t mode, int replace)
{
    char *name;
    int parent, file, saved;

    TRY(parent = open_parent(root, path, &name));
    file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file < 0 && errno == EEXIST && replace && unlinkat(parent, name, 0) == 0)
        file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    saved = errno;
    close(parent);
    errno = saved;
    return file;
}

/* A file of the view, made by the setup and filled by the run: what is bound over /proc is its inode, so it
 * is written in place. Nobody but us has ever been able to write there. */
static int open_view_file(struct pysb_run *run, char *path, uint32_t mode)
{
    char *name;
    int parent, file, saved;

    TRY(parent = open_parent(run->view_fd, path, &name));
    file = openat(parent, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    saved = errno;
    close(parent);
    errno = saved;
    return file;
}

static int step_file(struct pysb_run *run, const struct pysb_step *step)
{
    char *path = pysb_text(run, step->text);
    int file;
    ssize_t written;

    TRY(file = step->flags & 1   ? open_view_file(run, path, step->mode)
               : step->flags & 2 ? make_file(run->scratch_fd, path, step->mode, 1)
                                 : make_file(run->root_fd, path, step->mode, 1));
    TRY(written = write(file, pysb_text(run, step->text2), step->a));
    if ((uint64_t)written != step->a) {
        errno = ENOSPC;
        return -1;
    }
    return close(file);
}

/* A mount made from ``type NUL (key NUL value NUL)* NUL``; not attached yet. */
int pysb_new_mount(const char *text, uint64_t attributes)
{
    const char *key = text + strlen(text) + 1, *value;
    int context, mounted;

    TRY(context = (int)syscall(SYS_fsopen, text, FSOPEN_CLOEXEC));
    for (; *key; key = value + strlen(value) + 1) {
        value = key + strlen(key) + 1;
        TRY(syscall(SYS_fsconfig, context, *value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, *value ? value : NULL, 0));
    }
    TRY(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    TRY(mounted = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, (unsigned)attributes));
    close(context);
    return mounted;
}

static int stack_on_root(int mounted)
{
    return (int)syscall(SYS_move_mount, mounted, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
}

static int attach(int mounted, int target)
{
    return (int)syscall(SYS_move_mount, mounted, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int step_scratch(struct pysb_run *run, const struct pysb_step *step)
{
    int *kept = step->flags & 1 ? &run->view_fd : &run->scratch_fd;

    TRY(*kept = pysb_new_mount(pysb_text(run, step->text), step->a));
    run->below++; /* what is shown of it later are binds of their own */
    return stack_on_root(*kept);
}

static int step_root_tmpfs(struct pysb_run *run, const struct pysb_step *step)
{
    TRY(run->root_fd = pysb_new_mount(pysb_text(run, step->text), step->a));
    return stack_on_root(run->root_fd);
}

static int keep_at(int fd, int number)
{
    TRY(dup3(fd, number, O_CLOEXEC));
    return close(fd);
}

/* Both get fixed numbers, which the options of the overlay name as /proc/self/fd/NUMBER: such names need no
 * escaping, and no directory above them has to be open to us. */
static int step_upper(struct pysb_run *run, const struct pysb_step *step)
{
    int base = run->scratch_fd, upper, work;

    if (step->flags & 1) {
        TRY(mkdirat(base, "upper", 0755));
        TRY(mkdirat(base, "work", 0755));
    } else if (step->flags & 2) {
        TRY(base = pysb_open_in_root(run->scratch_fd, pysb_text(run, step->text), O_PATH | O_DIRECTORY | O_NOFOLLOW));
    } else {
        TRY(base = open(pysb_text(run, step->text), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    TRY(upper = openat(base, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    TRY(work = openat(base, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (base != run->scratch_fd)
        close(base);
    TRY(keep_at(upper, PYSB_UPPER_NUMBER));
    return keep_at(work, PYSB_WORK_NUMBER);
}

/* The lower directories are names of links in scratch, looked up from there: a value of fsconfig(2) has 255 bytes at
 * most, and a path of the host's would need escaping. */
static int step_overlay(struct pysb_run *run, const struct pysb_step *step)
{
    int links, mounted, target;

    TRY(links = pysb_open_in_root(run->scratch_fd, "/overlay", O_PATH | O_DIRECTORY));
    TRY(fchdir(links));
    close(links);
    TRY(mounted = pysb_new_mount(pysb_text(run, step->text), step->a));
    TRY(chdir("/"));
    if (step->flags & 2) {
        close(PYSB_UPPER_NUMBER);
        close(PYSB_WORK_NUMBER);
    }
    if (step->flags & 1) {
        run->root_fd = mounted;
        return stack_on_root(mounted);
    }
    TRY(make_path(run->root_fd, pysb_text(run, step->text2), 0755));
    TRY(target = pysb_open_in_root(run->root_fd, pysb_text(run, step->text2), O_PATH | O_DIRECTORY));
    TRY(attach(mounted, target));
    close(target);
    return close(mounted);
}

static int step_root_bind(struct pysb_run *run, const struct pysb_step *step)
{
    struct sys_mount_attr attributes = {.attr_set = step->a};
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | SYS_AT_RECURSIVE;

    if (step->flags & 1)
        run->root_fd = run->fds[step->fd];
    else
        TRY(run->root_fd = (int)syscall(SYS_open_tree, AT_FDCWD, pysb_text(run, step->text), flags));
    TRY(syscall(SYS_mount_setattr, run->root_fd, "", AT_EMPTY_PATH | SYS_AT_RECURSIVE, &attributes, sizeof attributes));
    return stack_on_root(run->root_fd);
}

static int step_mount(struct pysb_run *run, const struct pysb_step *step)
{
    int mounted, target;
    const char *type = pysb_text(run, step->text2);

    TRY(make_path(run->root_fd, pysb_text(run, step->text), 0755));
    TRY(target = pysb_open_in_root(run->root_fd, pysb_text(run, step->text), O_PATH | O_DIRECTORY | O_NOFOLLOW));
    TRY(mounted = pysb_new_mount(type, step->a));
    TRY(attach(mounted, target));
    close(target);
    if (!strcmp(type, "proc"))
        run->proc_fd = mounted; /* kept: /proc is written through this fd only */
    else
        close(mounted);
    return 0;
}

static int bind_source(struct pysb_run *run, const struct pysb_step *step)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (step->flags & PYSB_BIND_RECURSIVE ? SYS_AT_RECURSIVE : 0);
    const char *source = pysb_text(run, step->text2);
    struct stat found;
    int tree;

    if (step->flags & PYSB_BIND_FD)
        return run->fds[step->fd];
    if (step->flags & PYSB_BIND_SCRATCH)
        return (int)syscall(SYS_open_tree, run->scratch_fd, source, flags | AT_SYMLINK_NOFOLLOW);
    if (step->flags & PYSB_BIND_VIEW)
        return (int)syscall(SYS_open_tree, run->view_fd, source, flags | AT_SYMLINK_NOFOLLOW);
    if (step->flags & PYSB_BIND_PROC)
        return (int)syscall(SYS_open_tree, run->proc_fd, source, flags | AT_SYMLINK_NOFOLLOW);
    if (step->flags & PYSB_BIND_ROOT)
        return (int)syscall(SYS_open_tree, run->root_fd, source, flags | AT_SYMLINK_NOFOLLOW);
    TRY(tree = (int)syscall(SYS_open_tree, AT_FDCWD, source, flags));
    if (step->flags & PYSB_BIND_CHARDEV) { /* what stands in for a mask must be the device itself: CVE-2025-31133 */
        TRY(fstat(tree, &found));
        if (!S_ISCHR(found.st_mode)) {
            errno = ENODEV;
            return -1;
        }
    }
    return tree;
}

/* What to mount on: as the plan says made, or already there (and then perhaps through a link in the root). */
static int bind_target(struct pysb_run *run, const struct pysb_step *step, char *path)
{
    int root = step->flags & PYSB_BIND_IN_SCRATCH ? run->scratch_fd : run->root_fd, target;

    if (step->flags & PYSB_BIND_MAKE_FILE) {
        target = make_file(root, path, 0644, 0);
        if (target >= 0 || (errno != EEXIST && errno != EROFS))
            return target;
        if (step->flags & PYSB_BIND_REPLACE) { /* a dangling link, for one: the image may expect another system around it */
            target = pysb_open_in_root(root, path, O_PATH);
            return target >= 0 || errno != ENOENT ? target : make_file(root, path, 0644, 1);
        }
    } else if (step->flags & PYSB_BIND_MAKE_DIR) {
        TRY(make_path(root, path, 0755));
    }
    return pysb_open_in_root(root, path, O_PATH | (step->flags & PYSB_BIND_MAKE_DIR ? O_DIRECTORY : 0));
}

static int step_bind(struct pysb_run *run, const struct pysb_step *step)
{
    struct sys_mount_attr attributes = {.attr_set = step->a};
    unsigned depth = step->flags & PYSB_BIND_RECURSIVE ? SYS_AT_RECURSIVE : 0;
    int tree, target;

    tree = bind_source(run, step);
    if (tree < 0 && (step->flags & PYSB_BIND_OPTIONAL)) { /* a file server that died; our own file lies below */
        run->notes |= PYSB_NOTE_VIEW_LOST;
        return 0;
    }
    TRY(tree);
    if (step->a)
        TRY(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | depth, &attributes, sizeof attributes));
    TRY(target = bind_target(run, step, pysb_text(run, step->text)));
    TRY(attach(tree, target));
    close(target);
    return close(tree);
}

static int step_setattr(struct pysb_run *run, const struct pysb_step *step)
{
    struct sys_mount_attr attributes = {.attr_set = step->a};
    int target;

    TRY(target = pysb_open_in_root(run->root_fd, pysb_text(run, step->text), O_PATH));
    TRY(syscall(SYS_mount_setattr, target, "", AT_EMPTY_PATH, &attributes, sizeof attributes));
    return close(target);
}

static int step_switch_root(struct pysb_run *run, const struct pysb_step *step)
{
    struct stat root, above;
    char here[4096];

    TRY(fchdir(run->root_fd));
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        /* The old root is stacked on the new one now, and on it, topmost, what we had stacked there. */
        for (int i = 0; i <= run->below; i++)
            TRY(umount2(".", MNT_DETACH));
    } else {
        /* EINVAL on the initial ramfs, which is nobody's child and cannot be put away */
        if (errno != EINVAL || !(step->flags & 1))
            return -1;
        TRY(chroot("."));
        run->notes |= PYSB_NOTE_CHROOT;
    }
    TRY(chdir("/"));
    /* the kernel says "(unreachable)" where the directory is not below the root: CVE-2024-21626 */
    if (syscall(SYS_getcwd, here, sizeof here) < 0 || here[0] != '/') {
        errno = EXDEV;
        return -1;
    }
    /* ".." of a root is what is mounted on it: a mount left there would be a way out */
    TRY(stat("/", &root));
    TRY(stat("/..", &above));
    if (root.st_dev != above.st_dev || root.st_ino != above.st_ino) {
        errno = EXDEV;
        return -1;
    }
    return 0;
}

static int step_proc_write(struct pysb_run *run, const struct pysb_step *step)
{
    struct sys_open_how how = {.flags = O_WRONLY | O_CLOEXEC, .resolve = SYS_RESOLVE_BENEATH | SYS_RESOLVE_NO_MAGICLINKS};
    const char *content = pysb_text(run, step->text2);
    int file;

    TRY(file = (int)syscall(SYS_openat2, run->proc_fd, pysb_text(run, step->text), &how, sizeof how));
    TRY(write(file, content, strlen(content)));
    return close(file);
}

int pysb_mount_step(struct pysb_run *run, const struct pysb_step *step)
{
    switch (step->op) {
    case PYSB_PRIVATE: return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    case PYSB_SCRATCH: return step_scratch(run, step);
    case PYSB_ROOT_TMPFS: return step_root_tmpfs(run, step);
    case PYSB_OVERLAY: return step_overlay(run, step);
    case PYSB_UPPER: return step_upper(run, step);
    case PYSB_ROOT_BIND: return step_root_bind(run, step);
    case PYSB_MKDIR: return step_mkdir(run, step);
    case PYSB_SYMLINK: return step_symlink(run, step);
    case PYSB_FILE: return step_file(run, step);
    case PYSB_MOUNT: return step_mount(run, step);
    case PYSB_BIND: return step_bind(run, step);
    case PYSB_SETATTR: return step_setattr(run, step);
    case PYSB_SWITCH_ROOT: return step_switch_root(run, step);
    case PYSB_PROC_WRITE: return step_proc_write(run, step);
    default: errno = ENOSYS; return -1;
    }
}
