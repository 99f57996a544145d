/* The caller's cgroups, which are removed here when it has died and cannot do it itself.
 *
 * They lie in the directories that the caller has given, and begin with its prefix: a leaf for each run, and
 * one around a private lxcfs, which holds leaves. Nothing else there is touched: the prefix is that of one Sandbox,
 * for others of the same process make leaves, and limit runs, while this one is closed.
 */
#include "cgroups.h"

#include "child.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "unthrottle.h"

static struct {
    char prefix[96];     /* of their names */
    int directories[16]; /* that may hold them */
    int n;
    int closed; /* the caller lives, and removes those in use itself */
} known;

/* fds[1] holds the prefix of their names, the others are the directories that they are in. */
void pysb_remember_cgroups(const int *fds, int count)
{
    ssize_t length = count > 1 ? pread(fds[1], known.prefix, sizeof known.prefix - 1, 0) : 0;

    if (length <= 0)
        return;
    known.prefix[length] = 0;
    for (int i = 2; i < count; i++) {
        int kept = -1;
        if (known.n < (int)(sizeof known.directories / sizeof *known.directories))
            kept = known.directories[known.n++] = fcntl(fds[i], F_DUPFD_CLOEXEC, 4);
        if (kept < 0)
            return;
    }
}

static void remove_cgroups_in(int directory);

/* A cgroup that holds others: lxcfs' own (killed as a whole: its short-lived children may be orphans now)
 * and the runs' beside it. Python does this itself while it lives, and knows which are in use. */
static void remove_children_of(int directory, const char *name)
{
    int cgroup = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), file;

    if (cgroup < 0)
        return;
    if ((file = openat(cgroup, "cgroup.kill", O_WRONLY | O_CLOEXEC)) >= 0) {
        (void)!write(file, "1", 1);
        close(file);
    }
    remove_cgroups_in(cgroup);
}

/* Closes ``directory``. */
static void remove_cgroups_in(int directory)
{
    DIR *list = fdopendir(directory);
    struct dirent *entry;
    struct stat found;

    if (!list || !*known.prefix)
        return;
    while ((entry = readdir(list))) {
        if (strncmp(entry->d_name, known.prefix, strlen(known.prefix)) != 0)
            continue;
        if (fstatat(directory, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 && found.st_nlink > 2) {
            if (known.closed)
                continue;
            remove_children_of(directory, entry->d_name);
        }
        for (int tries = 0; tries < 100; tries++) { /* the last exit may still be under way: 1 s at most */
            struct timespec pause = {0, 10000000};
            if (unlinkat(directory, entry->d_name, AT_REMOVEDIR) == 0 || errno != EBUSY)
                break;
            nanosleep(&pause, NULL);
        }
    }
    closedir(list);
}

/* A throttled process would be waited for until its turn comes. */
static void unthrottle_in(int directory)
{
    int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* its own offset */
    DIR *list = again < 0 ? NULL : fdopendir(again);
    struct dirent *entry;

    if (!list)
        return;
    while (*known.prefix && (entry = readdir(list)))
        if (!strncmp(entry->d_name, known.prefix, strlen(known.prefix))) {
            int below;
            pysb_unthrottle(directory, entry->d_name);
            /* the one around a private lxcfs holds leaves; a leaf holds none */
            below = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (below >= 0) {
                unthrottle_in(below);
                close(below);
            }
        }
    closedir(list);
}

void pysb_unthrottle_cgroups(void)
{
    for (int i = 0; i < known.n; i++)
        unthrottle_in(known.directories[i]);
}

void pysb_remove_cgroups(int closed)
{
    known.closed = closed;
    for (int i = 0; i < known.n; i++)
        remove_cgroups_in(known.directories[i]);
}
