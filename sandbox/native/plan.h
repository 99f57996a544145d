/* The messages between Python, the spawner and the init of a sandbox.
 *
 * cffi reads this file as it stands, so it holds no preprocessor line and every number is written
 * once, here. All structs are flat: offsets point into one blob of bytes that follows them.
 *
 * request (Python -> spawner, one SEQPACKET datagram)
 *     struct pysb_request, with SCM_RIGHTS: [0] the report socket of this run, [1] a memfd that
 *     holds two plans, one after the other, [2..] the fds that the plans name by index: first
 *     setup_fds for the setup, then those for the run (each plan counts from 0).
 * setup plan
 *     What makes a sandbox; nothing of one run is in it (unless it names fds), so the spawner may
 *     make a sandbox ahead when it sees the same setup again. struct pysb_plan, n_init steps, blob.
 * run plan
 *     What one run does in it. struct pysb_plan, n_init steps of the init, n_program steps of the
 *     program's process, blob.
 * order (spawner -> init, one SEQPACKET datagram)
 *     struct pysb_request again, with SCM_RIGHTS [0] report, [1] memfd, [2..] the fds of the run.
 * event (spawner, init or program -> Python, on the report socket, one datagram each)
 *     struct pysb_event, then ``extra`` bytes.
 *     PYSB_DENIED is dropped where it would have to wait.
 * command (Python -> init, on the report socket)
 *     struct pysb_command.
 * lxcfs (request with PYSB_REQ_LXCFS; [0] becomes the socket to the server of lxcfs.c)
 *     [1] a memfd with one plan of setup_bytes: n_init steps that make the root of lxcfs, n_program
 *     steps PYSB_EXPORT, argv and envp of lxcfs; [2..] setup_fds fds, the first of which is its log.
 *     With PYSB_REQ_CGROUP fd cgroup_fd is the cgroup that its cgroup namespace begins at, and
 *     cgroup_fd + 1 the one below it that it lives in.
 * join (request with PYSB_REQ_JOIN; see join.c)
 *     A run in a sandbox that is there: the setup plan begins with steps PYSB_JOIN, clone_flags are 0.
 * tree (request with PYSB_REQ_TREE; see tree.c)
 *     [1] a memfd with setup_bytes of an absolute path, NUL-terminated, [2] the user namespace, [3] the mount
 *     namespace and [4] the root directory of a sandbox. Answers PYSB_CLONED or PYSB_FAILED.
 * peel (request with PYSB_REQ_PEEL; see peel.c)
 *     [1] a memfd with setup_bytes of absolute paths, each NUL-terminated, [2] the user and [3] the
 *     mount namespace of a sandbox.
 */

enum {
    PYSB_MAGIC = 0x50534231,
    PYSB_MAX_PLAN_BYTES = 16777216,
    PYSB_MAX_STEPS = 4096,
    PYSB_MAX_FDS = 240,
    PYSB_MAX_ARGS = 262144,
    PYSB_MAX_RUNS = 1024,
    PYSB_MAX_BASELINE_BYTES = 512,
    PYSB_MAX_EXPORTS = 31,
    PYSB_MAX_DENIALS = 32,
    PYSB_DENIED_BYTES = 128,
    PYSB_MAX_EXTRA_BYTES = 1024,
    PYSB_MAX_PEEL_BYTES = 65536,
    PYSB_MAX_LAYERS = 100, /* of all overlays of a sandbox: their names have to fit into 255 bytes */
    PYSB_MAX_CAPABILITY = 40, /* CAP_CHECKPOINT_RESTORE */
    /* CAP_SYS_ADMIN: mounts of the own namespace are not locked; CAP_SYS_BOOT, CAP_SYS_RESOURCE: reboot(2) and
     * prlimit(2) can kill the init */
    PYSB_NEVER_KEPT = 0x1600000
};

/* What a step does. A step uses the fields that its comment names; the others are 0.
 * text/text2 are offsets of NUL-terminated strings in the blob; fd is an index into the plan's fds. */
enum {
    /* run by the init, in order */
    PYSB_ID_MAP = 1,     /* text: uid_map, text2: gid_map; flags 1: the spawner writes them */
    PYSB_HOSTNAME,       /* text; flags 1: noted, not fatal, where a filter on us forbids it */
    PYSB_LOOPBACK,       /* bring lo up in a network namespace of this run */
    PYSB_PRIVATE,        /* make every mount private, recursively */
    PYSB_SCRATCH,        /* text: options. A tmpfs for all that the run may write; flags 1: the one of the view */
    PYSB_ROOT_TMPFS,     /* text: options. The new root is an empty tmpfs */
    PYSB_OVERLAY,        /* text: options, whose lowerdir names links in scratch:/overlay; text2: where it is shown, or flags 1:
                            it is the new root; flags 2: with what PYSB_UPPER opened */
    PYSB_MKDIR,          /* text: path in the new root; mode, a: uid, b: gid; flags 1: in scratch */
    PYSB_SYMLINK,        /* text: target, text2: path; flags 1: in scratch */
    PYSB_FILE,           /* text: path, text2: offset of the content, a: its length; mode; flags 1: in the view, 2: in scratch */
    PYSB_MOUNT,          /* text: path, text2: type NUL key NUL value NUL ... NUL; a: mount attributes */
    PYSB_BIND,           /* text: path, text2: source; a: mount attributes; flags PYSB_BIND_* */
    PYSB_SETATTR,        /* text: path; a: mount attributes to set */
    PYSB_SWITCH_ROOT,    /* pivot_root; flags 1: chroot where it is refused */
    PYSB_PROC_WRITE,     /* text: path below the private proc, text2: content */
    PYSB_ATTACH,         /* fd: an open cgroup ``tasks`` file; write "0" */
    PYSB_UNSHARE,        /* a: clone flags */
    PYSB_TIME_OFFSETS,   /* text: content of timens_offsets */
    PYSB_PTY,            /* a terminal from the sandbox's own devpts; its master goes to Python */
    PYSB_DROP_GROUPS,    /* no supplementary groups; noted, not fatal, where the map forbids it */
    PYSB_NAMESPACES,     /* open the own user and mount namespace; both go to Python with the order */
    PYSB_LISTEN,         /* be ready to take the program's listener */
    PYSB_SYSINFO,        /* answer sysinfo(2): a memory and b swap in bytes (all ones: the host's), c nanoseconds on
                            the boot clock when the sandbox's began; flags 1: keep CAP_SYS_PTRACE for it (Yama) */
    PYSB_GAUGE,          /* fd: an open file of the cgroup; a: what it tells, PYSB_GAUGE_*; flags 1: memory is in it */
    PYSB_LANDLOCK,       /* a ruleset that handles the rights a of files, b of the network, and the scopes c */
    PYSB_LANDLOCK_PATH,  /* a: the rights at and below text, or fd; flags PYSB_LANDLOCK_* */
    PYSB_JOIN,           /* fd: a namespace, a: its clone flag; 0: a directory, which becomes the root. In the program's
                            process as well */
    PYSB_HAND_OUT,       /* open all namespaces that the program will be in, and the root; all go to Python */
    PYSB_UPPER,          /* upper and work directory of the next overlay: flags 1: made in scratch; else in the directory
                            text, flags 2: which is one in scratch */
    PYSB_ROOT_BIND,      /* text, or flags 1: fd. The new root is this directory itself; a: mount attributes */

    /* run by the program's process, in order, before exec */
    PYSB_SESSION = 64,   /* flags 1: the pty becomes the controlling terminal, a rows by b columns if a is not 0 */
    PYSB_STREAM,         /* fd (or -1: /dev/null); a: the number it gets in the program */
    PYSB_CHDIR,          /* text */
    PYSB_KEYRING,        /* a session keyring of its own */
    PYSB_RLIMIT,         /* a: which, b: soft, c: hard; flags 1: or less, where the caller's hard limit is less */
    PYSB_AFFINITY,       /* text: offset of the mask, a: its length in bytes */
    PYSB_IDS,            /* a: uid, b: gid; flags 1: the permitted set outlives a change from uid 0 */
    PYSB_DROP_BOUNDING,  /* a: mask of what stays in the bounding set; before the ids, which take CAP_SETPCAP away */
    PYSB_DROP_CAPS,      /* a: the same mask, which the other four sets become; flags 1: and refuse if the bounding set
                            is another (without it, in the host's user namespace, nothing may stay) */
    PYSB_NO_NEW_PRIVS,
    PYSB_STARTED,        /* fd (or -1): baseline file; tells Python that billing begins */
    PYSB_SECCOMP,        /* text: offset of the policy's filter, a: its length in bytes; flags PYSB_LISTENER_*: text2,
                            b: the one to load in its place, which asks; text may be empty then */
    PYSB_EXEC,           /* text: a candidates, one after the other, each NUL-terminated */
    PYSB_RESTRICT,       /* enter a Landlock domain with the ruleset */
    PYSB_CONFINE,        /* a filter for what Landlock does not know; flags 1: the network is shared by name */
    PYSB_CHANNEL,        /* a: the fd number by which the listener leaves, to the init or (flags 1) to Python */
    PYSB_WAIT,           /* fd: a pipe; say PYSB_WAITING, go on when a byte has come out of it, fail at its end */

    /* in the plan of lxcfs */
    PYSB_EXPORT = 128    /* text: absolute path of a file below lxcfs' mount point that PYSB_CLONE may ask for */
};

enum { PYSB_UPPER_NUMBER = 400, PYSB_WORK_NUMBER = 401 };

enum {
    PYSB_BIND_RECURSIVE = 1,
    PYSB_BIND_SCRATCH = 2,    /* the source is a path in scratch */
    PYSB_BIND_FD = 4,         /* the source is a detached tree, fd */
    PYSB_BIND_CHARDEV = 8,    /* refuse a source that is not a character device */
    PYSB_BIND_MAKE_FILE = 16, /* make an empty file to mount on */
    PYSB_BIND_MAKE_DIR = 32,  /* make a directory to mount on */
    PYSB_BIND_PROC = 64,      /* the source is a path in the private proc */
    PYSB_BIND_VIEW = 128,     /* the source is a path in the tmpfs of the view */
    PYSB_BIND_OPTIONAL = 256, /* a source that cannot be had is noted and left out */
    PYSB_BIND_ROOT = 512,     /* the source is a path in the new root */
    PYSB_BIND_REPLACE = 1024, /* a name to mount on that leads nowhere is replaced by an empty file */
    PYSB_BIND_IN_SCRATCH = 2048 /* text is a path in scratch */
};

enum {
    PYSB_LANDLOCK_FD = 1,       /* the place is fd, not text */
    PYSB_LANDLOCK_OPTIONAL = 2, /* a place that is not there is left out */
    PYSB_LANDLOCK_QUEUES = 4    /* text: type NUL NUL; the place is a mount of the ipc namespace's message queues */
};

enum {
    PYSB_LISTENER_INIT = 1,
    PYSB_LISTENER_PYTHON = 2,
    PYSB_LISTENER_OR_NOT = 4 /* if somebody listens already, load the policy's filter, and say so */
};

enum {
    PYSB_SPAWNED = 1, /* from the spawner; carries the pidfd of the init */
    PYSB_FAILED,      /* phase, step, error */
    PYSB_TERMINAL,    /* carries the master of the pty */
    PYSB_BEGAN,       /* from the program, just before its filter and exec; pid: its own; extra: the baseline */
    PYSB_ENDED,       /* from the init: all processes are gone; status, times, rusage. From lxcfs' server: status */
    PYSB_NAMESPACE,   /* from the init; carries what lets somebody in, step: PYSB_NS_* */
    PYSB_READY,       /* from lxcfs' server: the files can be cloned; pid of lxcfs */
    PYSB_CLONED,      /* from lxcfs' server, or of a tree; carries the detached mounts that were asked for, in order */
    PYSB_PEELED,      /* from the peeling process; step: how many paths were freed, error: errno of the first failure */
    PYSB_LISTENER,    /* from the program; carries the listener of its filter */
    PYSB_UNHEARD,     /* from the program: its filter has no listener, somebody listens already */
    PYSB_DENIED,      /* from the init: the first call of a kind that was refused; step: its index, extra: pysb_denied */
    PYSB_DENIALS,     /* from the init; extra: u64 calls of each kind in order, then u64 calls of kinds beyond */
    PYSB_WAITING      /* from the program: all is made, it waits at its gate */
};

/* What PYSB_HAND_OUT hands out, in this order; PYSB_NAMESPACES hands out the first two. */
enum {
    PYSB_NS_USER,
    PYSB_NS_MOUNT,
    PYSB_NS_NET,
    PYSB_NS_IPC,
    PYSB_NS_UTS,
    PYSB_NS_PID,
    PYSB_NS_CGROUP,
    PYSB_NS_TIME,
    PYSB_NS_ROOT, /* no namespace: its root directory */
    PYSB_NS_COUNT
};

enum { PYSB_PHASE_SPAWN = 1, PYSB_PHASE_SETUP, PYSB_PHASE_ENTER, PYSB_PHASE_PROGRAM };

enum {
    PYSB_NOTE_CHROOT = 1,
    PYSB_NOTE_GROUPS_KEPT = 2,
    PYSB_NOTE_HOSTNAME_KEPT = 4,
    PYSB_NOTE_NO_LISTENER = 8,      /* none came: somebody else listens, or the program's process ended before */
    PYSB_NOTE_SYSINFO_OF_HOST = 16, /* a call was left to the kernel: its memory was closed to the init */
    PYSB_NOTE_VIEW_LOST = 32
};

enum { PYSB_GAUGE_MEMORY, PYSB_GAUGE_SWAP, PYSB_GAUGE_TASKS, PYSB_GAUGES };

enum { PYSB_KILL = 1, PYSB_SIGNAL, PYSB_CLONE }; /* PYSB_CLONE, to lxcfs' server: number is a mask of exports */

enum {
    PYSB_REQ_FRESH_NET = 1,  /* give the run the network namespace that is ready */
    PYSB_REQ_WRITE_MAP = 2,  /* the spawner writes the id maps of the init */
    PYSB_REQ_CGROUP = 4,     /* CLONE_INTO_CGROUP, cgroup_fd */
    PYSB_REQ_JOIN = 8,       /* no sandbox is made: the run joins one */
    PYSB_REQ_LXCFS = 256,    /* no run: start lxcfs */
    PYSB_REQ_PEEL = 512,     /* no run: take mounts away in a sandbox */
    PYSB_REQ_END = 1024,     /* no run: Python closes the spawner and lives on */
    PYSB_REQ_TREE = 2048,    /* no run: a detached mount of a directory or file in a sandbox */
    PYSB_REQ_ALONE = 4096    /* with PYSB_REQ_TREE: without the mounts below it */
};

struct pysb_request {
    uint32_t magic;
    uint32_t flags;
    uint64_t clone_flags;
    uint32_t setup_bytes;
    uint32_t run_bytes;
    uint32_t setup_fds;
    int32_t cgroup_fd; /* index among the setup's fds */
};

struct pysb_step {
    uint32_t op;
    uint32_t flags;
    uint32_t text;
    uint32_t text2;
    int32_t fd;
    uint32_t mode;
    uint64_t a;
    uint64_t b;
    uint64_t c;
};

struct pysb_plan {
    uint32_t magic;
    uint32_t bytes;
    uint32_t n_init;
    uint32_t n_program;
    uint32_t argv; /* offset in the blob of argc offsets (u32, aligned), then of envc offsets */
    uint32_t argc;
    uint32_t envp;
    uint32_t envc;
};

struct pysb_event {
    uint32_t kind;
    uint32_t phase;
    uint32_t step;
    int32_t error;
    int32_t status; /* as wait(2) returned it */
    uint32_t notes;
    uint32_t extra;
    int32_t pid;
    uint64_t at_ns;
    uint64_t user_us;
    uint64_t system_us;
    uint64_t maxrss_kib;
};

/* A refused call: struct seccomp_data, the SECCOMP_RET_ value of the policy, and the caller's memory where each of
 * the six arguments points to, as many bytes as ``lengths`` says. */
struct pysb_denied {
    uint8_t data[64];
    uint32_t action;
    uint8_t lengths[8];
    uint8_t memory[768];
};

struct pysb_command {
    uint32_t kind;
    int32_t number;
};
