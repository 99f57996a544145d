/* System calls that the policy refuses: told to Python, and refused.
 *
 * The first call of each kind (call table, number, answer) is told at once, with the caller's memory where its
 * arguments point to; the others are counted, and the counts are told at the end. While the program runs nothing
 * that is told waits: a report socket that is full costs a message, which the next call of that kind brings again,
 * and stalls neither the init nor the program.
 */
#include "child.h"

#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

static struct {
    struct {
        uint32_t arch, action;
        int nr, told;
        uint64_t count;
    } kinds[PYSB_MAX_DENIALS];
    uint32_t n;
    uint64_t more; /* calls of kinds that found no room */
} seen;            /* an init serves one run */

/* What lies where the arguments point to. Closed to us (not dumpable, an LSM): nothing, which is no error. */
static void remember_memory(const struct pysb_run *run, const struct seccomp_notif *asked, struct pysb_denied *told)
{
    int memory = pysb_open_of(run, asked, "/mem", O_RDONLY);

    for (int i = 0; memory >= 0 && i < 6 && (i || pysb_waits(run, asked)); i++) {
        unsigned char *room = told->memory + i * PYSB_DENIED_BYTES;
        ssize_t length = asked->data.args[i] > INT64_MAX - PYSB_DENIED_BYTES
                             ? 0
                             : pread(memory, room, PYSB_DENIED_BYTES, (off_t)asked->data.args[i]);
        told->lengths[i] = (unsigned char)(length < 0 ? 0 : length);
    }
    if (memory >= 0)
        close(memory);
}

void pysb_denied(const struct pysb_run *run, const struct seccomp_notif *asked, uint32_t action)
{
    struct pysb_event event = {.kind = PYSB_DENIED, .extra = sizeof(struct pysb_denied)};
    struct pysb_denied told;
    uint32_t i = 0;

    while (i < seen.n && (seen.kinds[i].nr != asked->data.nr || seen.kinds[i].arch != asked->data.arch ||
                          seen.kinds[i].action != action))
        i++;
    if (i == PYSB_MAX_DENIALS) {
        seen.more++;
        return;
    }
    if (i == seen.n) {
        seen.kinds[i].nr = asked->data.nr;
        seen.kinds[i].arch = asked->data.arch;
        seen.kinds[i].action = action;
        seen.n++;
    }
    seen.kinds[i].count++;
    if (seen.kinds[i].told)
        return;
    memset(&told, 0, sizeof told);
    memcpy(told.data, &asked->data, sizeof told.data);
    told.action = action;
    remember_memory(run, asked, &told);
    event.step = i;
    seen.kinds[i].told = pysb_report_or_drop(run->report, &event, &told) == 0;
}

/* The last but one thing said, which may wait as the last one does: how often each, and how many calls of kinds that
 * are not told. */
void pysb_denials_end(const struct pysb_run *run)
{
    uint64_t counts[PYSB_MAX_DENIALS + 1];
    struct pysb_event event = {.kind = PYSB_DENIALS, .extra = (seen.n + 1) * (uint32_t)sizeof *counts};

    for (uint32_t i = 0; i < seen.n; i++)
        counts[i] = seen.kinds[i].count;
    counts[seen.n] = seen.more;
    if (seen.n)
        (void)!pysb_report(run->report, &event, counts, -1);
}

/* Is the caller a thread of the program's own process? */
static int is_of_program(const struct pysb_run *run, const struct seccomp_notif *asked)
{
    char path[64];
    size_t at = pysb_decimal(path, (uint64_t)run->listen.program);

    if ((pid_t)asked->pid == run->listen.program)
        return 1;
    memcpy(path + at, "/task/", 6);
    at += 6 + pysb_decimal(path + at + 6, asked->pid);
    path[at] = 0;
    return faccessat(run->listen.proc, path, F_OK, 0) == 0;
}

/* As RET_KILL_PROCESS, but by SIGKILL: SIGSYS from outside could be caught or blocked. The call is not answered,
 * its thread wakes up to die. A directory of /proc serves as a pidfd (pidfd_send_signal(2)), and also for a thread
 * that does not lead its process, which pidfd_open(2) takes since Linux 6.9 only. */
void pysb_kill_caller(struct pysb_run *run, const struct seccomp_notif *asked)
{
    int caller = pysb_open_of(run, asked, "", O_RDONLY | O_DIRECTORY);

    if (pysb_waits(run, asked)) {
        run->listen.sigsys |= is_of_program(run, asked);
        /* not pinned (a /proc that hides it): rather all of them than the wrong one */
        if (caller < 0 || syscall(SYS_pidfd_send_signal, caller, SIGKILL, NULL, 0) < 0)
            pysb_kill_all(run);
    }
    if (caller >= 0)
        close(caller);
}
