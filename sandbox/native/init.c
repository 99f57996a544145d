/* Pid 1 of a sandbox.
 *
 * It builds the sandbox step by step, waits for the spawner's order to run a program in it (the order
 * may be there already, or come much later: the spawner makes sandboxes ahead), starts the program
 * as its child, and then only waits again: for children to reap, for commands from Python, for the
 * death of Python (end of file on the report socket). It serves one order. The program is never pid 1:
 * a pid 1 ignores the signals that decide an outcome.
 *
 * When the program is gone all that it left behind is killed and reaped, so that getrusage() has
 * counted it, and PYSB_ENDED is the last thing said. The kernel kills the rest of a pid namespace
 * when its pid 1 dies, however it dies.
 */
#include "child.h"

#include "parse.h"

#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

void pysb_kill_all(const struct pysb_run *run)
{
    if (run->own_pid_ns)
        kill(-1, SIGKILL); /* never ourselves: kill(2) spares the caller, and pid 1 */
    else if (run->joined)
        pysb_kill_joined(run);
    else
        pysb_kill_children(NULL, 0); /* we are a subreaper then */
}

static void reap_all(const struct pysb_run *run)
{
    for (;;) {
        pid_t gone = waitpid(-1, NULL, __WALL);
        if (gone < 0 && errno == ECHILD)
            return;
        if (gone > 0 && !run->own_pid_ns)
            pysb_kill_all(run); /* new orphans may have arrived */
    }
}

/* What is left to the init: to signal processes of another uid, and where Yama asks for it to write what
 * sysinfo(2) returns. Both are rights over this sandbox alone. Without a user namespace it has nothing. */
static int shed_capabilities(const struct pysb_run *run)
{
    unsigned kept = 1u << CAP_KILL | (run->sysinfo.ptrace ? 1u << CAP_SYS_PTRACE : 0);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct held[2], left[2];

    TRY(syscall(SYS_capget, &header, held));
    memset(left, 0, sizeof left);
    left[0].effective = left[0].permitted = held[0].permitted & kept;
    return (int)syscall(SYS_capset, &header, left);
}

static _Noreturn void finish(const struct pysb_run *run, int status, uint64_t at_ns)
{
    /* killed by us where its filter, without a listener, would have raised a SIGSYS that no handler gets */
    int by_policy = run->listen.sigsys && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    struct pysb_event ended = {.kind = PYSB_ENDED, .status = by_policy ? SIGSYS : status, .at_ns = at_ns, .notes = run->notes};
    struct rusage used;

    pysb_kill_all(run);
    reap_all(run);
    getrusage(RUSAGE_CHILDREN, &used);
    ended.user_us = (uint64_t)used.ru_utime.tv_sec * 1000000u + (uint64_t)used.ru_utime.tv_usec;
    ended.system_us = (uint64_t)used.ru_stime.tv_sec * 1000000u + (uint64_t)used.ru_stime.tv_usec;
    ended.maxrss_kib = (uint64_t)used.ru_maxrss;
    pysb_denials_end(run);
    (void)!pysb_report(run->report, &ended, NULL, -1);
    _exit(0);
}

static void obey(const struct pysb_run *run, const struct pysb_command *command, pid_t program)
{
    if (command->kind == PYSB_KILL)
        pysb_kill_all(run);
    /* the program leads a process group of its own from its first step on */
    else if (command->kind == PYSB_SIGNAL && kill(-program, command->number) < 0)
        kill(program, command->number);
}

static _Noreturn void wait_for_the_end(struct pysb_run *run, pid_t program, int signals)
{
    struct pollfd watched[3] = {{run->report, POLLIN, 0}, {signals, POLLIN, 0}, {-1, POLLIN, 0}};

    for (;;) {
        struct pysb_command command;
        struct signalfd_siginfo came;
        int status;
        pid_t gone;

        watched[2].fd = pysb_listen_fd(run);
        if (poll(watched, 3, -1) < 0 && errno != EINTR)
            _exit(125);
        if (watched[0].revents) {
            ssize_t length = recv(run->report, &command, sizeof command, MSG_DONTWAIT);
            if (length == sizeof command) {
                obey(run, &command, program);
            } else if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) {
                pysb_kill_all(run); /* Python is gone: nobody waits for this run any more */
                reap_all(run);
                _exit(125);
            }
        }
        if (watched[1].revents)
            while (read(signals, &came, sizeof came) > 0)
                if (came.ssi_signo == SIGTERM) { /* the spawner is gone */
                    pysb_kill_all(run);
                    reap_all(run);
                    _exit(125);
                }
        if (watched[2].revents)
            pysb_listen_ready(run, watched[2].revents); /* one call a turn: it keeps nothing waiting */
        while ((gone = waitpid(-1, &status, WNOHANG | __WALL)) > 0)
            if (gone == program)
                finish(run, status, pysb_now_ns());
    }
}

static _Noreturn void fail(const struct pysb_run *run, uint32_t phase, uint32_t step, int error)
{
    struct pysb_event failed = {.kind = PYSB_FAILED, .phase = phase, .step = step, .error = error, .notes = run->notes};

    (void)!pysb_report(run->report, &failed, NULL, -1);
    _exit(125);
}

/* Close all but the fds that the wait needs; the program holds its own copies. */
static int close_the_rest(const struct pysb_run *run, int signals)
{
    int kept[5 + PYSB_GAUGES] = {run->report, signals, run->listen.socket, run->listen.proc,
                                 run->joined ? run->proc_fd : -1};

    memcpy(kept + 5, run->sysinfo.gauges, sizeof run->sysinfo.gauges);
    return pysb_close_all_but(kept, sizeof kept / sizeof *kept);
}

/* The steps of the plan at hand. 0, or the errno of ``*failed``. */
static int follow(struct pysb_run *run, uint32_t *failed)
{
    for (*failed = 0; *failed < run->now.plan->n_init; (*failed)++)
        if (pysb_setup_step(run, run->now.steps + *failed) < 0)
            return errno;
    return 0;
}

/* Out of the way of the numbers that the program is given. */
static int move_up(int *fd, int lowest)
{
    int moved;

    if (*fd < 0 || *fd >= lowest)
        return 0;
    TRY(moved = fcntl(*fd, F_DUPFD_CLOEXEC, lowest));
    close(*fd);
    *fd = moved;
    return 0;
}

/* All that the program's process still needs goes above every number that PYSB_STREAM will take. The report
 * socket too: what is said on it would otherwise go into the caller's file. */
static int make_room(struct pysb_run *run)
{
    const struct pysb_step *steps = run->now.steps + run->now.plan->n_init;
    int lowest = 3;

    for (uint32_t i = 0; i < run->now.plan->n_program; i++)
        if (steps[i].op == PYSB_STREAM && (int)steps[i].a >= lowest)
            lowest = (int)steps[i].a + 1;
    for (uint32_t i = 0; i < run->now.nfds; i++)
        TRY(move_up(&run->fds[i], lowest));
    TRY(move_up(&run->pty_slave, lowest));
    TRY(move_up(&run->ruleset, lowest));
    TRY(move_up(&run->listen.far, lowest));
    return move_up(&run->report, lowest);
}

/* Wait for the order and take its plan. 0, or errno where there is somebody to tell; else the end. */
static int take_order(struct pysb_run *run)
{
    struct pysb_request request;
    int fds[PYSB_MAX_FDS + 2], count = pysb_receive(run->order, &request, fds);

    if (count < 2 || request.magic != PYSB_MAGIC)
        _exit(125); /* the spawner is gone, or has no use for us */
    close(run->order);
    run->report = fds[0];
    memcpy(run->fds, fds + 2, ((size_t)count - 2) * sizeof(int));
    if (pysb_load_plan(PYSB_RUN_PLAN, fds[1], request.setup_bytes, request.run_bytes, (uint32_t)count - 2, &run->now) < 0)
        return errno;
    close(fds[1]);
    return make_room(run) < 0 ? errno : 0;
}

/* A sandbox that has a ruleset is for a program that enters it. */
static int skips_landlock(const struct pysb_run *run)
{
    const struct pysb_step *steps = run->now.steps + run->now.plan->n_init;

    for (uint32_t i = 0; i < run->now.plan->n_program; i++)
        if (steps[i].op == PYSB_RESTRICT)
            return 0;
    return run->ruleset >= 0;
}

static void hand_over_terminal(struct pysb_run *run)
{
    struct pysb_event event = {.kind = PYSB_TERMINAL};

    if (run->pty_master < 0)
        return;
    if (pysb_report(run->report, &event, NULL, run->pty_master) < 0)
        fail(run, PYSB_PHASE_ENTER, 0, errno);
    close(run->pty_master);
}

static void hand_over_namespaces(struct pysb_run *run)
{
    const int both[2] = {run->user_ns, run->mount_ns};

    for (uint32_t i = 0; i < 2; i++) {
        struct pysb_event event = {.kind = PYSB_NAMESPACE, .step = i};
        if (both[i] < 0)
            continue;
        if (pysb_report(run->report, &event, NULL, both[i]) < 0)
            fail(run, PYSB_PHASE_ENTER, 0, errno);
        close(both[i]);
    }
}

_Noreturn void pysb_init(struct pysb_run *run)
{
    static const struct pysb_listen nobody = {.socket = -1, .far = -1, .channel = -1, .listener = -1, .proc = -1};
    static const struct pysb_sysinfo none = {.gauges = {-1, -1, -1}};
    sigset_t all, child;
    uint32_t step, setup_step;
    pid_t program;
    /* All of a pid namespace goes with us. Without one our death would set the program free: there the spawner's
     * death is a signal that we wait for. */
    int with_the_spawner = run->own_pid_ns ? SIGKILL : SIGTERM;
    int signals, setup_error, error;

    run->listen = nobody;
    run->sysinfo = none;
    /* All signals stay blocked for good: nothing from outside but SIGKILL can stop the clean-up. */
    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        _exit(125);
    prctl(PR_SET_NAME, run->now.steps->op == PYSB_JOIN ? "pysandbox-exec" : "pysandbox-init", 0, 0, 0);
    umask(0); /* the modes of the plan are meant */
    /* twice: a change of ids by the setup clears it */
    if (prctl(PR_SET_PDEATHSIG, with_the_spawner, 0, 0, 0) < 0)
        _exit(125);
    setup_error = follow(run, &setup_step);
    if (prctl(PR_SET_PDEATHSIG, with_the_spawner, 0, 0, 0) < 0)
        _exit(125);
    error = take_order(run);
    if (setup_error)
        fail(run, PYSB_PHASE_SETUP, setup_step, setup_error);
    if (error || (skips_landlock(run) && (error = EBADMSG)))
        fail(run, PYSB_PHASE_SPAWN, 0, error);
    hand_over_terminal(run);
    hand_over_namespaces(run);
    if ((error = follow(run, &step)))
        fail(run, PYSB_PHASE_ENTER, step, error);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (!run->own_pid_ns)
        sigaddset(&child, SIGTERM);
    signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || (!run->own_pid_ns && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0))
        fail(run, PYSB_PHASE_SPAWN, 0, errno);
    program = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (program < 0)
        fail(run, PYSB_PHASE_SPAWN, 0, errno);
    if (program == 0)
        pysb_program(run);
    if (close_the_rest(run, signals) < 0 || pysb_listen_begin(run, program) < 0 || shed_capabilities(run) < 0)
        fail(run, PYSB_PHASE_SPAWN, 0, errno);
    wait_for_the_end(run, program, signals);
}
