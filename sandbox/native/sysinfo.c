/* sysinfo(2) answered from the limits of the run, as one of the calls that the listener asks about (listen.c).
 *
 * Whose memory is written. /proc/PID/mem and /proc/PID/maps are opened first, which pins the address space, and only
 * then is the kernel asked whether the call still waits (SECCOMP_IOCTL_NOTIF_ID_VALID): if it does, what is open is
 * the caller's memory. What ends later leaves an address space without users, which takes no write. A signal
 * cannot end the wait and let the caller use its stack again while we write
 * (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).
 *
 * /proc/PID/mem writes to read-only pages too (FOLL_FORCE), which sysinfo(2) does not; hence the maps. Its
 * writes never wait for a userfaultfd (access_remote_vm() does not let a fault sleep there).
 *
 * What we may not write to (not dumpable, or an LSM says no) is answered by the kernel itself, with the
 * host's figures, and noted: sysinfo(2) guards nothing, and a call that fails where none does breaks programs.
 */
#include "child.h"

#include <linux/seccomp.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

static const uint64_t page = 4096, unlimited = UINT64_MAX, second = 1000000000;

int pysb_sysinfo_setup(struct pysb_run *run, const struct pysb_step *step)
{
    struct pysb_sysinfo *own = &run->sysinfo;

    own->answers = 1;
    own->memory = step->a;
    own->swap = step->b;
    own->born_ns = step->c;
    own->ptrace = step->flags & 1;
    return 0;
}

int pysb_sysinfo_gauge(struct pysb_run *run, const struct pysb_step *step)
{
    run->sysinfo.gauges[step->a] = run->fds[step->fd];
    if (step->a == PYSB_GAUGE_SWAP)
        run->sysinfo.swap_with_memory = step->flags & 1;
    return 0;
}

/* ---- the figures ---- */

static uint64_t reading(int gauge)
{
    char text[32];
    ssize_t length = gauge < 0 ? 0 : pread(gauge, text, sizeof text, 0);
    uint64_t number = 0;

    for (ssize_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    return number;
}

/* Processes in /proc, where no cgroup counts tasks. */
static uint64_t processes(int proc)
{
    struct { /* getdents64(2) */
        uint64_t ino;
        int64_t off;
        unsigned short length;
        unsigned char type;
        char name[];
    } *entry;
    _Alignas(8) char list[4096];
    uint64_t count = 0;
    long length;

    if (lseek(proc, 0, SEEK_SET) < 0)
        return 0;
    while ((length = syscall(SYS_getdents64, proc, list, sizeof list)) > 0)
        for (long at = 0; at < length; at += entry->length) {
            entry = (void *)(list + at);
            count += entry->name[0] >= '1' && entry->name[0] <= '9';
        }
    return count;
}

static uint64_t least(uint64_t one, uint64_t other) { return one < other ? one : other; }

static uint64_t left(uint64_t total, uint64_t used) { return used < total ? total - used : 0; }

/* As the kernel fills it (do_sysinfo(), kernel/sys.c) with the limits for the machine: loads are 0, for the
 * host's are not the sandbox's; the unit is 1 byte, as on every 64-bit kernel. */
static int figures(const struct pysb_run *run, struct sysinfo *told)
{
    const struct pysb_sysinfo *own = &run->sysinfo;
    struct sysinfo host;
    struct timespec now;
    uint64_t used = reading(own->gauges[PYSB_GAUGE_MEMORY]), swapped = reading(own->gauges[PYSB_GAUGE_SWAP]), tasks;

    TRY(sysinfo(&host));
    TRY(clock_gettime(CLOCK_BOOTTIME, &now));
    memset(told, 0, sizeof *told);
    told->mem_unit = 1;
    told->totalram = least(own->memory / page * page, (uint64_t)host.totalram * host.mem_unit);
    told->freeram = own->memory == unlimited ? (uint64_t)host.freeram * host.mem_unit : left(told->totalram, used);
    told->totalswap = least(own->swap / page * page, (uint64_t)host.totalswap * host.mem_unit);
    if (own->swap_with_memory)
        swapped = left(swapped, used);
    told->freeswap = least(left(told->totalswap, swapped), (uint64_t)host.freeswap * host.mem_unit);
    tasks = own->gauges[PYSB_GAUGE_TASKS] >= 0 ? reading(own->gauges[PYSB_GAUGE_TASKS]) : processes(run->listen.proc);
    told->procs = (unsigned short)least(tasks, UINT16_MAX);
    uint64_t ns = left((uint64_t)now.tv_sec * second + (uint64_t)now.tv_nsec, own->born_ns);
    told->uptime = (long)((ns + second - 1) / second);
    return 0;
}

/* ---- the answer ---- */

/* Is no mapping read-only between two addresses? Where there is none at all the write itself will tell.
 * A line of maps: "start-end rwxp ...", hexadecimal, ascending (proc(5)). */
static int nothing_read_only(int maps, uint64_t from, uint64_t to)
{
    enum { START, END, READ, WRITE, REST } at = START;
    uint64_t start = 0, end = 0;
    char text[4096];
    ssize_t length;

    while ((length = read(maps, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < length; i++) {
            char c = text[i];
            uint64_t digit = (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
            switch (at) {
            case START:
                if (c == '-')
                    at = END;
                else
                    start = start << 4 | digit;
                break;
            case END:
                if (c == ' ')
                    at = READ;
                else
                    end = end << 4 | digit;
                break;
            case READ:
                if (start >= to)
                    return 1;
                at = WRITE;
                break;
            case WRITE:
                if (end > from && c != 'w')
                    return 0;
                at = REST;
                break;
            case REST:
                if (c == '\n')
                    at = START, start = end = 0;
                break;
            }
        }
    return length == 0;
}

/* 0 or the errno of the call; -1 if it cannot be us who answers, which is noted. ``*waits``: is it still there? */
int pysb_sysinfo_answer(struct pysb_run *run, const struct seccomp_notif *asked, int *waits)
{
    struct sysinfo told;
    uint64_t address = asked->data.args[0];
    int memory = pysb_open_of(run, asked, "/mem", O_WRONLY), maps = pysb_open_of(run, asked, "/maps", O_RDONLY);
    int result = -1;

    *waits = pysb_waits(run, asked);
    if (*waits && memory >= 0 && maps >= 0 && figures(run, &told) == 0) {
        result = EFAULT;
        if (address <= INT64_MAX - sizeof told && nothing_read_only(maps, address, address + sizeof told) &&
            pwrite(memory, &told, sizeof told, (off_t)address) == sizeof told)
            result = 0;
    }
    if (memory >= 0)
        close(memory);
    if (maps >= 0)
        close(maps);
    if (*waits && result < 0)
        run->notes |= PYSB_NOTE_SYSINFO_OF_HOST;
    return result;
}
