/* What the files of the spawner share. See spawner.c for the theory of operation. */
#ifndef PYSB_CHILD_H
#define PYSB_CHILD_H

#include "sys.h"

#include "plan.h"

/* A plan that was checked and copied into memory of our own (parse.c). */
struct pysb_view {
    const struct pysb_plan *plan;
    const struct pysb_step *steps;
    char *blob;
    uint32_t blob_bytes;
    uint32_t nfds; /* how many fds the plan may name */
    char **argv;
    char **envp;
    void *memory;
    size_t memory_bytes;
};

struct seccomp_data;
struct seccomp_notif;

/* The seccomp listener (listen.c); every fd is -1 where there is none. */
struct pysb_listen {
    int socket;   /* the listener comes through it, once */
    int far;      /* its other end, for the program's process */
    int channel;  /* in the program's process: the number by which the listener leaves it */
    int listener;
    int proc;     /* a proc of our pid namespace, open for reading */
    int sigsys;   /* the program itself was killed for a call */
    pid_t program;
    uint32_t length; /* of the policy's own filter, in instructions */
    const char *truth;
};

/* What the init tells of sysinfo(2) (sysinfo.c); a gauge is -1 where there is none. */
struct pysb_sysinfo {
    int answers;
    int gauges[PYSB_GAUGES];
    int swap_with_memory; /* the gauge of swap counts memory as well (cgroup v1) */
    int ptrace;           /* keep CAP_SYS_PTRACE */
    uint64_t memory, swap, born_ns;
};

/* One sandbox, as the spawner hands it to the init: a copy made by clone, the init's own. */
struct pysb_run {
    struct pysb_view now; /* the plan that is being followed: the setup's, then the run's */
    int fds[PYSB_MAX_FDS]; /* what it names */
    int report;            /* SEQPACKET socket to Python; -1 until the order has come */
    int order;             /* SEQPACKET socket to the spawner */
    int map_pipe;          /* -1, or: a byte arrives when the spawner has written the id maps */
    int own_pid_ns;        /* is the init pid 1 of a namespace of its own? */
    uint32_t notes;

    /* set by the steps of the setup, -1 before */
    int root_fd;     /* the new root */
    int scratch_fd;
    int view_fd;     /* what the files of ours over /proc and /sys lie in, out of the program's reach */
    int below;       /* mounts of ours that are stacked on "/" below the new root */
    int proc_fd;     /* the private, just mounted proc */
    int pty_master, pty_slave;
    int user_ns, mount_ns; /* the sandbox's own, opened for Python */
    int joined;            /* this is a run in a sandbox that another init has made (join.c) */
    int ruleset;           /* of Landlock */
    uint64_t handled_fs;   /* the rights of files that it is about */

    /* set by the order */
    struct pysb_listen listen;
    struct pysb_sysinfo sysinfo;
};

/* Each step returns 0, or -1 with errno set. */
#define TRY(expression)                                                                                                \
    do {                                                                                                               \
        if ((long)(expression) < 0)                                                                                    \
            return -1;                                                                                                 \
    } while (0)

static inline char *pysb_text(const struct pysb_run *run, uint32_t offset) { return run->now.blob + offset; }

/* init.c: never returns */
_Noreturn void pysb_init(struct pysb_run *run);
void pysb_kill_all(const struct pysb_run *run);
/* mounts.c */
int pysb_new_mount(const char *text, uint64_t attributes);
int pysb_mount_step(struct pysb_run *run, const struct pysb_step *step);
int pysb_open_in_root(int root, const char *path, uint64_t flags);
/* child.c */
int pysb_setup_step(struct pysb_run *run, const struct pysb_step *step);
int pysb_default_signals(void);
_Noreturn void pysb_program(struct pysb_run *run);
/* fds.c */
int pysb_close_all_but(int *kept, int count);
/* children.c */
void pysb_kill_children(const pid_t *spared, int count);
/* capabilities.c */
int pysb_reduce_bounding(const struct pysb_step *step);
int pysb_reduce_capabilities(const struct pysb_step *step);
/* confine.c */
int pysb_confine_lxcfs(void);
/* confine_program.c */
int pysb_confine_program(const struct pysb_step *step);
/* landlock.c */
int pysb_landlock(struct pysb_run *run, const struct pysb_step *step);
int pysb_landlock_path(struct pysb_run *run, const struct pysb_step *step);
int pysb_landlock_handed(struct pysb_run *run, int fd);
int pysb_landlock_restrict(const struct pysb_run *run);
/* lxcfs.c */
pid_t pysb_start_lxcfs(struct pysb_run *run, int around, int inside);
/* join.c */
int pysb_join(struct pysb_run *run, const struct pysb_step *step);
int pysb_hand_out(const struct pysb_run *run);
int pysb_die_with_parent(void);
void pysb_kill_joined(const struct pysb_run *run);
/* tree.c: never returns */
_Noreturn void pysb_tree(int report, int user_ns, int mount_ns, int root, const char *path, int alone);
/* peel.c */
int pysb_enter(int user_ns, int mount_ns);
int pysb_begin_visit(int *kept, int count);
_Noreturn void pysb_peel(int report, int user_ns, int mount_ns, char *paths, uint32_t bytes); /* never returns */
/* bpf.c */
uint32_t pysb_bpf(const void *program, uint32_t length, const struct seccomp_data *data);
/* listen.c */
size_t pysb_decimal(char *text, uint64_t number);
int pysb_check_proc(int proc);
int pysb_listen_setup(struct pysb_run *run);
int pysb_listen_channel(struct pysb_run *run, const struct pysb_step *step);
int pysb_listen_load(struct pysb_run *run, const struct pysb_step *step);
int pysb_listen_begin(struct pysb_run *run, pid_t program);
int pysb_listen_fd(const struct pysb_run *run);
void pysb_listen_ready(struct pysb_run *run, short events);
int pysb_open_of(const struct pysb_run *run, const struct seccomp_notif *asked, const char *file, int flags);
int pysb_waits(const struct pysb_run *run, const struct seccomp_notif *asked);
/* denials.c */
void pysb_denied(const struct pysb_run *run, const struct seccomp_notif *asked, uint32_t action);
void pysb_denials_end(const struct pysb_run *run);
void pysb_kill_caller(struct pysb_run *run, const struct seccomp_notif *asked);
/* sysinfo.c */
int pysb_sysinfo_setup(struct pysb_run *run, const struct pysb_step *step);
int pysb_sysinfo_gauge(struct pysb_run *run, const struct pysb_step *step);
int pysb_sysinfo_answer(struct pysb_run *run, const struct seccomp_notif *asked, int *waits);
/* report.c */
int pysb_receive(int socket, struct pysb_request *request, int *fds);
int pysb_send(int socket, const struct pysb_request *request, const int *fds, int count);
int pysb_report(int socket, struct pysb_event *event, const void *extra, int fd);
int pysb_report_or_drop(int socket, const struct pysb_event *event, const void *extra);
int pysb_report_fds(int socket, const struct pysb_event *event, const int *fds, int count);
uint64_t pysb_now_ns(void);

#endif
