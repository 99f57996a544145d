/* Feeds spoilt plans to parse.c and then reads all that a follower of the plan would read.
 *
 * parse_harness SEED ROUNDS KIND NFDS FILE   KIND: 0 setup, 1 run, 2 lxcfs; FILE: a real plan to spoil
 *
 * parse.c is compiled in with malloc in place of mmap, so that the address sanitizer knows where the
 * memory of a plan ends. Prints how many plans were taken and refused; dies by the sanitizer or abort().
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *taken_from_malloc(size_t bytes)
{
    void *memory = calloc(1, bytes);
    return memory ? memory : MAP_FAILED;
}

#define mmap(address, bytes, protection, flags, fd, offset) taken_from_malloc(bytes)
#define munmap(memory, bytes) free(memory)
#include "parse.c"
#undef mmap
#undef munmap

static uint64_t state;
static volatile size_t sum; /* so that no read is optimised away */

static uint64_t next(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

static uint32_t edge(uint32_t size)
{
    static const uint32_t edges[] = {0, 1, 2, 7, 8, 31, 32, 48, 0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffffe, 0xffffffff};
    uint64_t pick = next() % 20;

    if (pick < sizeof edges / sizeof *edges)
        return edges[pick];
    return pick < 17 ? size - (uint32_t)(pick - 13) : (uint32_t)next();
}

/* 1 to 4 spoilt words or bits, most of them in the header and the steps; now and then a shorter file. */
static uint32_t spoil(unsigned char *plan, uint32_t size, uint32_t table)
{
    for (uint64_t n = next() % 4 + 1; n; n--) {
        uint32_t region = next() % 4 ? table : size, at = (uint32_t)(next() % region), word = edge(size);
        if (next() % 2)
            plan[at] ^= (unsigned char)(1u << next() % 8);
        else if ((at &= ~3u) + 4 <= size)
            memcpy(plan + at, &word, 4);
    }
    if (next() % 8 == 0) {
        size = (uint32_t)(next() % (size + 1));
        if (size >= 8 && next() % 2)
            memcpy(plan + 4, &size, 4); /* an honest short plan */
    }
    return size;
}

static void text(const struct pysb_view *view, uint64_t offset)
{
    size_t length;

    if (offset >= view->blob_bytes)
        abort();
    length = strlen(view->blob + offset);
    if (offset + length >= view->blob_bytes)
        abort();
    sum += length;
}

static void bytes_of(const struct pysb_view *view, uint64_t offset, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++)
        sum += (unsigned char)view->blob[offset + i];
    if (offset + length > view->blob_bytes)
        abort();
}

/* as pysb_new_mount() of mounts.c walks it */
static void mount_text(const struct pysb_view *view, uint32_t offset)
{
    const char *key = view->blob + offset, *value;

    for (key += strlen(key) + 1; *key; key = value + strlen(value) + 1) {
        value = key + strlen(key) + 1;
        text(view, (uint64_t)(key - view->blob));
        text(view, (uint64_t)(value - view->blob));
    }
}

static void fd_of(const struct pysb_view *view, int32_t fd)
{
    if (fd < 0 || (uint32_t)fd >= view->nfds)
        abort();
}

static void follow(const struct pysb_view *view, const struct pysb_step *step)
{
    const char *path;

    switch (step->op) {
    case PYSB_ID_MAP:
    case PYSB_SYMLINK:
    case PYSB_PROC_WRITE: text(view, step->text); text(view, step->text2); break;
    case PYSB_HOSTNAME:
    case PYSB_TIME_OFFSETS:
    case PYSB_MKDIR:
    case PYSB_SETATTR:
    case PYSB_EXPORT:
    case PYSB_CHDIR: text(view, step->text); break;
    case PYSB_SCRATCH:
    case PYSB_ROOT_TMPFS: mount_text(view, step->text); break;
    case PYSB_OVERLAY:
        mount_text(view, step->text);
        if (!(step->flags & 1))
            text(view, step->text2);
        break;
    case PYSB_UPPER:
        if (!(step->flags & 1))
            text(view, step->text);
        break;
    case PYSB_ROOT_BIND:
        if (step->flags & 1)
            fd_of(view, step->fd);
        else
            text(view, step->text);
        break;
    case PYSB_MOUNT: text(view, step->text); mount_text(view, step->text2); break;
    case PYSB_FILE: text(view, step->text); bytes_of(view, step->text2, step->a); break;
    case PYSB_BIND:
        text(view, step->text), text(view, step->text2);
        if (step->flags & PYSB_BIND_FD)
            fd_of(view, step->fd);
        break;
    case PYSB_JOIN:
    case PYSB_WAIT:
    case PYSB_ATTACH: fd_of(view, step->fd); break;
    case PYSB_GAUGE:
        fd_of(view, step->fd);
        if (step->a >= PYSB_GAUGES)
            abort();
        break;
    case PYSB_LANDLOCK_PATH:
        if (step->flags & PYSB_LANDLOCK_FD)
            fd_of(view, step->fd);
        else if (step->flags & PYSB_LANDLOCK_QUEUES)
            mount_text(view, step->text);
        else
            text(view, step->text);
        break;
    case PYSB_STREAM:
    case PYSB_STARTED:
        if (step->fd >= 0)
            fd_of(view, step->fd);
        break;
    case PYSB_SECCOMP: bytes_of(view, step->text, step->a), bytes_of(view, step->text2, step->b); break;
    case PYSB_CHANNEL:
        if (step->a > INT32_MAX)
            abort();
        break;
    case PYSB_AFFINITY: bytes_of(view, step->text, step->a); break;
    case PYSB_EXEC:
        path = view->blob + step->text;
        for (uint64_t i = 0; i < step->a; i++, path += strlen(path) + 1)
            text(view, (uint64_t)(path - view->blob));
        break;
    default: break;
    }
}

static void follow_all(const struct pysb_view *view, int kind)
{
    for (uint32_t i = 0; i < view->plan->n_init + view->plan->n_program; i++)
        follow(view, view->steps + i);
    if (kind != PYSB_SETUP_PLAN) {
        for (uint32_t i = 0; i < view->plan->argc; i++)
            text(view, (uint64_t)(view->argv[i] - view->blob));
        for (uint32_t i = 0; i < view->plan->envc; i++)
            text(view, (uint64_t)(view->envp[i] - view->blob));
        if (view->argv[view->plan->argc] || view->envp[view->plan->envc])
            abort();
    }
}

int main(int argc, char **argv)
{
    static unsigned char original[1 << 20], plan[1 << 20];
    struct pysb_view view;
    long taken = 0, refused = 0, rounds;
    uint32_t size, nfds, table;
    int kind, memfd;
    FILE *file;

    if (argc != 6)
        return 2;
    state = strtoull(argv[1], NULL, 10) * 2654435761u + 1;
    rounds = atol(argv[2]), kind = atoi(argv[3]), nfds = (uint32_t)atoi(argv[4]);
    file = fopen(argv[5], "rb");
    memfd = memfd_create("plan", MFD_CLOEXEC);
    if (!file || memfd < 0)
        return 2;
    size = (uint32_t)fread(original, 1, sizeof original, file);
    fclose(file);
    if (size < sizeof(struct pysb_plan))
        return 2;
    table = (uint32_t)(sizeof(struct pysb_plan) + sizeof(struct pysb_step) *
                       (((struct pysb_plan *)(void *)original)->n_init + ((struct pysb_plan *)(void *)original)->n_program));
    for (long round = 0; round < rounds; round++) {
        uint32_t length, told;
        memcpy(plan, original, size);
        length = round ? spoil(plan, size, table) : size; /* the first is the real one: it must be taken */
        told = next() % 16 || !round ? length : edge(length);
        if (ftruncate(memfd, 0) < 0 || pwrite(memfd, plan, length, 0) != (ssize_t)length)
            return 2;
        if (pysb_load_plan(kind, memfd, 0, told, nfds, &view) == 0) {
            follow_all(&view, kind);
            pysb_drop_plan(&view);
            taken++;
        } else {
            if (errno != EBADMSG || view.memory)
                abort();
            refused++;
        }
        if (!round && !taken)
            abort();
    }
    printf("%ld %ld\n", taken, refused);
    return 0;
}
