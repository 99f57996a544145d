#include "parse.h"

#include <string.h>
#include <sys/mman.h>

static int is_text(const struct pysb_view *view, uint32_t offset)
{
    return offset < view->blob_bytes; /* the blob ends in NUL, so every text in it does */
}

static int is_bytes(const struct pysb_view *view, uint32_t offset, uint64_t length)
{
    return offset <= view->blob_bytes && length <= view->blob_bytes - offset;
}

static int is_fd(const struct pysb_view *view, int32_t fd) { return fd >= 0 && (uint32_t)fd < view->nfds; }

/* ``count`` texts one after the other from ``offset`` on */
static int is_texts(const struct pysb_view *view, uint32_t offset, uint64_t count)
{
    uint64_t at = offset;

    for (; count; count--) {
        if (at >= view->blob_bytes)
            return 0;
        at += strlen(view->blob + at) + 1;
    }
    return 1;
}

/* type NUL (key NUL value NUL)* NUL */
static int is_mount(const struct pysb_view *view, uint32_t offset)
{
    uint64_t at = offset;

    if (at >= view->blob_bytes)
        return 0;
    at += strlen(view->blob + at) + 1;
    for (;;) {
        if (at >= view->blob_bytes)
            return 0;
        if (!view->blob[at])
            return 1;
        at += strlen(view->blob + at) + 1;
        if (at >= view->blob_bytes)
            return 0;
        at += strlen(view->blob + at) + 1;
    }
}

static int is_filter(const struct pysb_view *view, uint32_t offset, uint64_t length)
{
    return length % 8 == 0 && length / 8 <= 0xffff && is_bytes(view, offset, length);
}

static int is_join(const struct pysb_view *view, const struct pysb_step *step)
{
    static const uint64_t one[] = {0, CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWPID,
                                   CLONE_NEWCGROUP, CLONE_NEWTIME};

    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        if (step->a == one[i])
            return is_fd(view, step->fd);
    return 0;
}

static int init_step_is_sound(const struct pysb_view *view, const struct pysb_step *step)
{
    switch (step->op) {
    case PYSB_ID_MAP:
    case PYSB_SYMLINK:
    case PYSB_PROC_WRITE: return is_text(view, step->text) && is_text(view, step->text2);
    case PYSB_HOSTNAME:
    case PYSB_TIME_OFFSETS:
    case PYSB_MKDIR:
    case PYSB_SETATTR: return is_text(view, step->text);
    case PYSB_SCRATCH:
    case PYSB_ROOT_TMPFS: return is_mount(view, step->text);
    case PYSB_OVERLAY: return is_mount(view, step->text) && (step->flags & 1 || is_text(view, step->text2));
    case PYSB_UPPER: return step->flags & 1 || is_text(view, step->text);
    case PYSB_ROOT_BIND: return step->flags & 1 ? is_fd(view, step->fd) : is_text(view, step->text);
    case PYSB_MOUNT: return is_text(view, step->text) && is_mount(view, step->text2);
    case PYSB_FILE: return is_text(view, step->text) && is_bytes(view, step->text2, step->a);
    case PYSB_BIND:
        return is_text(view, step->text) && is_text(view, step->text2) &&
               (!(step->flags & PYSB_BIND_FD) || is_fd(view, step->fd));
    case PYSB_JOIN: return is_join(view, step);
    case PYSB_ATTACH: return is_fd(view, step->fd);
    case PYSB_GAUGE: return is_fd(view, step->fd) && step->a < PYSB_GAUGES;
    case PYSB_LANDLOCK_PATH:
        return step->flags & PYSB_LANDLOCK_FD       ? is_fd(view, step->fd)
               : step->flags & PYSB_LANDLOCK_QUEUES ? is_mount(view, step->text)
                                                    : is_text(view, step->text);
    case PYSB_LOOPBACK:
    case PYSB_LANDLOCK:
    case PYSB_PRIVATE:
    case PYSB_SWITCH_ROOT:
    case PYSB_UNSHARE:
    case PYSB_PTY:
    case PYSB_NAMESPACES:
    case PYSB_HAND_OUT:
    case PYSB_LISTEN:
    case PYSB_SYSINFO:
    case PYSB_DROP_GROUPS: return 1;
    default: return 0;
    }
}

static int may_be_kept(uint64_t capabilities)
{
    return capabilities >> (PYSB_MAX_CAPABILITY + 1) == 0 && !(capabilities & PYSB_NEVER_KEPT);
}

static int program_step_is_sound(const struct pysb_view *view, const struct pysb_step *step)
{
    switch (step->op) {
    case PYSB_CHDIR: return is_text(view, step->text);
    case PYSB_STREAM: return (step->fd == -1 || is_fd(view, step->fd)) && step->a < 1000;
    case PYSB_JOIN: return step->a && is_join(view, step);
    case PYSB_WAIT:
    case PYSB_ATTACH: return is_fd(view, step->fd);
    case PYSB_STARTED: return step->fd == -1 || is_fd(view, step->fd);
    case PYSB_AFFINITY: return is_bytes(view, step->text, step->a);
    case PYSB_SECCOMP:
        return is_filter(view, step->text, step->a) && is_filter(view, step->text2, step->b) &&
               step->flags <= (PYSB_LISTENER_INIT | PYSB_LISTENER_PYTHON | PYSB_LISTENER_OR_NOT);
    case PYSB_CHANNEL: return step->a <= INT32_MAX && step->flags <= 1;
    case PYSB_EXEC: return step->a > 0 && step->a <= 4096 && is_texts(view, step->text, step->a);
    case PYSB_DROP_BOUNDING: return may_be_kept(step->a);
    case PYSB_DROP_CAPS: return may_be_kept(step->a) && (!step->a || step->flags & 1);
    case PYSB_SESSION:
    case PYSB_KEYRING:
    case PYSB_RLIMIT:
    case PYSB_IDS:
    case PYSB_RESTRICT:
    case PYSB_CONFINE:
    case PYSB_NO_NEW_PRIVS: return 1;
    default: return 0;
    }
}

/* The way into the program is fixed: without capabilities, without new privileges, in a Landlock domain and confined
 * (if the plan says so), begun, filtered (unless the plan has no filter), executed. A filter whose listener goes out has
 * one channel before all that, to where it goes; no other plan has any. A mistake in Python must not run an unlocked
 * program. */
static int ends_locked(const struct pysb_step *steps, uint32_t n)
{
    static const struct {
        uint32_t op;
        int needed;
    } way[] = {{PYSB_EXEC, 1},    {PYSB_SECCOMP, 0},  {PYSB_STARTED, 1},      {PYSB_WAIT, 0},
               {PYSB_CONFINE, 0}, {PYSB_RESTRICT, 0}, {PYSB_NO_NEW_PRIVS, 1}, {PYSB_DROP_CAPS, 1}};
    uint32_t at = 0, listener = 0, channels = 0;

    for (size_t i = 0; i < sizeof way / sizeof *way; i++) {
        if (at < n && steps[n - 1 - at].op == way[i].op)
            at++;
        else if (way[i].needed)
            return 0;
    }
    if (steps[n - 2].op == PYSB_SECCOMP)
        listener = steps[n - 2].flags;
    for (uint32_t i = 0; i + at < n; i++) {
        if (steps[i].op == PYSB_EXEC || steps[i].op == PYSB_SECCOMP || steps[i].op == PYSB_STARTED ||
            steps[i].op == PYSB_CONFINE || steps[i].op == PYSB_RESTRICT || steps[i].op == PYSB_WAIT)
            return 0;
        if (steps[i].op == PYSB_CHANNEL) {
            channels++;
            if ((steps[i].flags ? PYSB_LISTENER_PYTHON : PYSB_LISTENER_INIT) != (listener & ~(uint32_t)PYSB_LISTENER_OR_NOT))
                return 0;
        }
    }
    return channels == (listener != 0);
}

/* Capabilities stay only if the plan says so twice: in the bounding set and in the others. ``n`` steps that end locked. */
static int keeps_the_same_twice(const struct pysb_step *steps, uint32_t n)
{
    uint64_t kept = 0;
    uint32_t bounding = 0;

    for (uint32_t i = 0; i < n; i++)
        if (steps[i].op == PYSB_DROP_CAPS)
            kept |= steps[i].a;
    for (uint32_t i = 0; i < n; i++)
        if ((steps[i].op == PYSB_DROP_CAPS && steps[i].a != kept) ||
            (steps[i].op == PYSB_DROP_BOUNDING && (steps[i].a != kept || bounding++)))
            return 0;
    return !kept || bounding;
}

static int exports_are_sound(const struct pysb_view *view, const struct pysb_step *steps, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (steps[i].op != PYSB_EXPORT || !is_text(view, steps[i].text))
            return 0;
    return n > 0 && n <= PYSB_MAX_EXPORTS;
}

/* A setup that joins a sandbox begins with it (which the spawner compares with the request), and none comes later. */
static int joins_late(int kind, const struct pysb_step *steps, uint32_t i)
{
    return steps[i].op == PYSB_JOIN && (kind != PYSB_SETUP_PLAN || (i && steps[i - 1].op != PYSB_JOIN));
}

static int steps_are_sound(int kind, const struct pysb_view *view)
{
    const struct pysb_plan *plan = view->plan;
    const struct pysb_step *program = view->steps + plan->n_init;

    for (uint32_t i = 0; i < plan->n_init; i++)
        if (!init_step_is_sound(view, view->steps + i) || joins_late(kind, view->steps, i))
            return 0;
    if (kind == PYSB_LXCFS_PLAN)
        return exports_are_sound(view, program, plan->n_program);
    for (uint32_t i = 0; i < plan->n_program; i++)
        if (!program_step_is_sound(view, program + i))
            return 0;
    return 1;
}

/* u32 offsets in the blob -> a NULL-terminated array of pointers */
static int point(const struct pysb_view *view, uint32_t offset, uint32_t count, char **array)
{
    if (count > PYSB_MAX_ARGS || !is_bytes(view, offset, (uint64_t)count * 4))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t text;
        memcpy(&text, view->blob + offset + 4 * (size_t)i, sizeof text);
        if (!is_text(view, text))
            return 0;
        array[i] = view->blob + text;
    }
    array[count] = NULL;
    return 1;
}

static int take(int kind, struct pysb_view *view, uint32_t bytes)
{
    char *memory = view->memory;
    const struct pysb_plan *plan = view->memory;
    char **pointers = (void *)(memory + ((size_t)bytes + 15) / 16 * 16);
    size_t head;

    if (bytes < sizeof *plan || plan->magic != PYSB_MAGIC || plan->bytes != bytes || plan->n_init > PYSB_MAX_STEPS ||
        plan->n_program > PYSB_MAX_STEPS)
        return 0;
    head = sizeof *plan + ((size_t)plan->n_init + plan->n_program) * sizeof(struct pysb_step);
    if (head >= bytes || memory[bytes - 1])
        return 0;
    view->plan = plan;
    view->steps = (const void *)(memory + sizeof *plan);
    view->blob = memory + head;
    view->blob_bytes = (uint32_t)(bytes - head);
    view->argv = pointers;
    view->envp = pointers + PYSB_MAX_ARGS + 1;
    if (!steps_are_sound(kind, view))
        return 0;
    if (kind == PYSB_SETUP_PLAN)
        return plan->n_init > 0 && plan->n_program == 0;
    return plan->argc > 0 && (kind != PYSB_LXCFS_PLAN || plan->n_init > 0) && point(view, plan->argv, plan->argc, view->argv) &&
           point(view, plan->envp, plan->envc, view->envp) &&
           (kind == PYSB_LXCFS_PLAN || (ends_locked(view->steps + plan->n_init, plan->n_program) &&
                                        keeps_the_same_twice(view->steps + plan->n_init, plan->n_program)));
}

int pysb_load_plan(int kind, int memfd, uint32_t offset, uint32_t bytes, uint32_t nfds, struct pysb_view *view)
{
    size_t room = (size_t)bytes + 16 + (kind != PYSB_SETUP_PLAN ? (2 * (size_t)PYSB_MAX_ARGS + 2) * sizeof(char *) : 0);
    ssize_t length;
    int saved;

    memset(view, 0, sizeof *view);
    if (bytes > PYSB_MAX_PLAN_BYTES) {
        errno = EBADMSG;
        return -1;
    }
    view->memory = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (view->memory == MAP_FAILED)
        return -1;
    view->memory_bytes = room;
    view->nfds = nfds;
    length = pread(memfd, view->memory, bytes, offset);
    if (length == (ssize_t)bytes && take(kind, view, bytes))
        return 0;
    saved = length < 0 ? errno : EBADMSG;
    pysb_drop_plan(view);
    errno = saved;
    return -1;
}

void pysb_drop_plan(struct pysb_view *view)
{
    if (view->memory_bytes)
        munmap(view->memory, view->memory_bytes);
    memset(view, 0, sizeof *view);
}
