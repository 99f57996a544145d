/* What the files of the spawner share. See spawner.c for the theory of operation. */
#ifndef PYSB_CHILD_H
#define PYSB_CHILD_H

#include "sys.h"

#include "plan.h"

/* One run, as the spawner hands it to the init. Everything in it was checked and copied before the
 * clone: the child owns its copy of the memory and may write to it. */
struct pysb_run {
    const struct pysb_plan *plan;
    const struct pysb_step *steps;
    char *blob;
    uint32_t blob_bytes;
    char **argv;
    char **envp;
    int report;      /* SEQPACKET socket to Python */
    int map_pipe;    /* -1, or: a byte arrives when the spawner has written the id maps */
    int fds[PYSB_MAX_FDS];
    uint32_t nfds;
    int own_pid_ns;  /* is the init pid 1 of a namespace of its own? */
    uint32_t notes;

    /* set by the steps of the setup */
    int root_fd;     /* the new root, or AT_FDCWD's stand-in -1 while there is none */
    int scratch_fd;
    int below;       /* mounts of ours that are stacked on "/" below the new root */
    int proc_fd;     /* the private, just mounted proc */
    int pty_slave;
};

/* Each step returns 0, or -1 with errno set. */
#define TRY(expression)                                                                                                \
    do {                                                                                                               \
        if ((long)(expression) < 0)                                                                                    \
            return -1;                                                                                                 \
    } while (0)

static inline char *pysb_text(const struct pysb_run *run, uint32_t offset) { return run->blob + offset; }

/* init.c: never returns */
_Noreturn void pysb_init(struct pysb_run *run);
/* mounts.c */
int pysb_mount_step(struct pysb_run *run, const struct pysb_step *step);
/* child.c */
int pysb_setup_step(struct pysb_run *run, const struct pysb_step *step);
_Noreturn void pysb_program(struct pysb_run *run);
/* report.c */
int pysb_report(int socket, struct pysb_event *event, const void *extra, int fd);
uint64_t pysb_now_ns(void);

#endif
