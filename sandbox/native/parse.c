#include "parse.h"

#include <string.h>
#include <sys/mman.h>

size_t pysb_plan_memory(uint32_t plan_bytes)
{
    return (size_t)plan_bytes + 16 + (2 * (size_t)PYSB_MAX_ARGS + 2) * sizeof(char *);
}

static int is_text(const struct pysb_run *run, uint32_t offset)
{
    return offset < run->blob_bytes; /* the blob ends in NUL, so every text in it does */
}

static int is_bytes(const struct pysb_run *run, uint32_t offset, uint64_t length)
{
    return offset <= run->blob_bytes && length <= run->blob_bytes - offset;
}

static int is_fd(const struct pysb_run *run, int32_t fd) { return fd >= 0 && (uint32_t)fd < run->nfds; }

/* ``count`` texts one after the other from ``offset`` on */
static int is_texts(const struct pysb_run *run, uint32_t offset, uint64_t count)
{
    uint64_t at = offset;

    for (; count; count--) {
        if (at >= run->blob_bytes)
            return 0;
        at += strlen(run->blob + at) + 1;
    }
    return 1;
}

/* type NUL (key NUL value NUL)* NUL */
static int is_mount(const struct pysb_run *run, uint32_t offset)
{
    uint64_t at = offset;

    if (at >= run->blob_bytes)
        return 0;
    at += strlen(run->blob + at) + 1;
    for (;;) {
        if (at >= run->blob_bytes)
            return 0;
        if (!run->blob[at])
            return 1;
        at += strlen(run->blob + at) + 1;
        if (at >= run->blob_bytes)
            return 0;
        at += strlen(run->blob + at) + 1;
    }
}

static int setup_step_is_sound(const struct pysb_run *run, const struct pysb_step *step)
{
    switch (step->op) {
    case PYSB_ID_MAP:
    case PYSB_SYMLINK:
    case PYSB_PROC_WRITE: return is_text(run, step->text) && is_text(run, step->text2);
    case PYSB_HOSTNAME:
    case PYSB_TIME_OFFSETS:
    case PYSB_MKDIR:
    case PYSB_SETATTR: return is_text(run, step->text);
    case PYSB_SCRATCH:
    case PYSB_ROOT_TMPFS:
    case PYSB_ROOT_OVERLAY: return is_mount(run, step->text);
    case PYSB_MOUNT: return is_text(run, step->text) && is_mount(run, step->text2);
    case PYSB_FILE: return is_text(run, step->text) && is_bytes(run, step->text2, step->a);
    case PYSB_BIND:
        return is_text(run, step->text) && is_text(run, step->text2) &&
               (!(step->flags & PYSB_BIND_FD) || is_fd(run, step->fd));
    case PYSB_ATTACH: return is_fd(run, step->fd);
    case PYSB_LOOPBACK:
    case PYSB_PRIVATE:
    case PYSB_SWITCH_ROOT:
    case PYSB_UNSHARE:
    case PYSB_PTY:
    case PYSB_DROP_GROUPS: return 1;
    default: return 0;
    }
}

static int program_step_is_sound(const struct pysb_run *run, const struct pysb_step *step)
{
    switch (step->op) {
    case PYSB_CHDIR: return is_text(run, step->text);
    case PYSB_STREAM: return (step->fd == -1 || is_fd(run, step->fd)) && step->a < 1000;
    case PYSB_STARTED: return step->fd == -1 || is_fd(run, step->fd);
    case PYSB_AFFINITY: return is_bytes(run, step->text, step->a);
    case PYSB_SECCOMP: return step->a % 8 == 0 && step->a / 8 <= 0xffff && is_bytes(run, step->text, step->a);
    case PYSB_EXEC: return step->a > 0 && step->a <= 4096 && is_texts(run, step->text, step->a);
    case PYSB_SESSION:
    case PYSB_KEYRING:
    case PYSB_RLIMIT:
    case PYSB_IDS:
    case PYSB_DROP_CAPS:
    case PYSB_NO_NEW_PRIVS: return 1;
    default: return 0;
    }
}

/* The way into the program is fixed: without capabilities, without new privileges, begun, filtered
 * (unless the plan has no filter), executed. A mistake in Python must not run an unlocked program. */
static int ends_locked(const struct pysb_step *steps, uint32_t n)
{
    static const uint32_t way[] = {PYSB_EXEC, PYSB_SECCOMP, PYSB_STARTED, PYSB_NO_NEW_PRIVS, PYSB_DROP_CAPS};
    uint32_t at = 0;

    for (size_t i = 0; i < sizeof way / sizeof *way; i++) {
        if (at < n && steps[n - 1 - at].op == way[i])
            at++;
        else if (way[i] != PYSB_SECCOMP)
            return 0;
    }
    for (uint32_t i = 0; i + at < n; i++)
        if (steps[i].op == PYSB_EXEC || steps[i].op == PYSB_SECCOMP || steps[i].op == PYSB_STARTED)
            return 0;
    return 1;
}

static int plan_is_sound(const struct pysb_request *request, const struct pysb_run *run)
{
    const struct pysb_plan *plan = run->plan;
    const struct pysb_step *program = run->steps + plan->n_setup;

    for (uint32_t i = 0; i < plan->n_setup; i++)
        if (!setup_step_is_sound(run, run->steps + i))
            return 0;
    for (uint32_t i = 0; i < plan->n_program; i++)
        if (!program_step_is_sound(run, program + i))
            return 0;
    if ((request->flags & PYSB_REQ_WRITE_MAP) && (!plan->n_setup || run->steps->op != PYSB_ID_MAP))
        return 0;
    if ((request->flags & PYSB_REQ_CGROUP) && !is_fd(run, request->cgroup_fd))
        return 0;
    return ends_locked(program, plan->n_program);
}

/* u32 offsets in the blob -> a NULL-terminated array of pointers */
static int point(const struct pysb_run *run, uint32_t offset, uint32_t count, char **array)
{
    if (count > PYSB_MAX_ARGS || !is_bytes(run, offset, (uint64_t)count * 4))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t text;
        memcpy(&text, run->blob + offset + 4 * (size_t)i, sizeof text);
        if (!is_text(run, text))
            return 0;
        array[i] = run->blob + text;
    }
    array[count] = NULL;
    return 1;
}

static int take(const struct pysb_request *request, char *memory, struct pysb_run *run)
{
    const struct pysb_plan *plan = (const void *)memory;
    size_t bytes = request->plan_bytes, head;
    char **pointers = (void *)(memory + (bytes + 15) / 16 * 16);

    if (bytes < sizeof *plan || plan->magic != PYSB_MAGIC || plan->bytes != bytes || plan->n_setup > PYSB_MAX_STEPS ||
        plan->n_program > PYSB_MAX_STEPS)
        return 0;
    head = sizeof *plan + ((size_t)plan->n_setup + plan->n_program) * sizeof(struct pysb_step);
    if (head >= bytes || memory[bytes - 1])
        return 0;
    run->plan = plan;
    run->steps = (const void *)(memory + sizeof *plan);
    run->blob = memory + head;
    run->blob_bytes = (uint32_t)(bytes - head);
    run->argv = pointers;
    run->envp = pointers + PYSB_MAX_ARGS + 1;
    return plan->argc > 0 && point(run, plan->argv, plan->argc, run->argv) &&
           point(run, plan->envp, plan->envc, run->envp) && plan_is_sound(request, run);
}

void *pysb_load_plan(const struct pysb_request *request, int memfd, struct pysb_run *run)
{
    size_t bytes = pysb_plan_memory(request->plan_bytes);
    void *memory;
    ssize_t length;

    if (request->plan_bytes > PYSB_MAX_PLAN_BYTES) {
        errno = EBADMSG;
        return NULL;
    }
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    length = pread(memfd, memory, request->plan_bytes, 0);
    if (length == (ssize_t)request->plan_bytes && take(request, memory, run))
        return memory;
    if (length >= 0)
        errno = EBADMSG;
    int saved = errno;
    munmap(memory, bytes);
    errno = saved;
    return NULL;
}
