/* The messages between Python and the keeper (keeper.c). cffi reads this file as it stands, as plan.h.
 *
 * hello (keeper -> Python, when it connects; one SEQPACKET datagram)
 *     struct pysb_keep_hello. With a refusal the keeper hangs up afterwards.
 * want (Python -> keeper)
 *     struct pysb_keep_want, with SCM_RIGHTS: [0] the spawner's end of its control socket.
 * answer (keeper -> Python)
 *     struct pysb_keep_answer, with SCM_RIGHTS [0] the pidfd of the spawner, unless ``error`` is set.
 */

enum {
    PYSB_KEEP_PROTOCOL = 1, /* raise it with every change of these structs */
    PYSB_KEEP_PATH_BYTES = 1024,
    PYSB_KEEP_MAP_BYTES = 64,
    PYSB_KEEP_CPU_BYTES = 1024, /* 8192 CPUs, the most that Linux can be built for */
    PYSB_KEEP_LIMITS = 16,
    PYSB_KEEP_CLIENTS = 512
};

/* Why a caller is refused. */
enum {
    PYSB_KEEP_WELCOME = 0,
    PYSB_KEEP_FULL,    /* no room for one more client */
    PYSB_KEEP_IDS,     /* another uid or gid */
    PYSB_KEEP_GROUPS,  /* other supplementary groups */
    PYSB_KEEP_HIDDEN,  /* its /proc/PID cannot be read; ``error`` */
    PYSB_KEEP_ROOT,    /* another root directory */
    PYSB_KEEP_USER_NS, /* another namespace of this kind; and so on */
    PYSB_KEEP_MNT_NS,
    PYSB_KEEP_PID_NS,
    PYSB_KEEP_NET_NS,
    PYSB_KEEP_IPC_NS,
    PYSB_KEEP_UTS_NS,
    PYSB_KEEP_CGROUP_NS,
    PYSB_KEEP_TIME_NS
};

enum { PYSB_KEEP_WANT_USER = 1, PYSB_KEEP_WANT_NET = 2 };

struct pysb_keep_hello {
    uint32_t protocol;
    uint32_t refusal;
    int32_t error;
    int32_t pid; /* of the keeper */
    char cgroup[PYSB_KEEP_PATH_BYTES]; /* directory of the subtree, "" without one */
};

/* What a child of the caller would have inherited. */
struct pysb_keep_want {
    uint32_t protocol;
    uint32_t flags;
    int32_t nice;
    int32_t oom_score_adj;
    uint64_t soft[PYSB_KEEP_LIMITS]; /* by RLIMIT number */
    uint64_t hard[PYSB_KEEP_LIMITS];
    uint32_t cpu_bytes; /* of ``cpus`` in use */
    uint32_t unused;
    uint8_t cpus[PYSB_KEEP_CPU_BYTES]; /* sched_setaffinity(2) */
    char uid_map[PYSB_KEEP_MAP_BYTES]; /* as the words of the spawner */
    char gid_map[PYSB_KEEP_MAP_BYTES];
};

struct pysb_keep_answer {
    int32_t error;
    int32_t pid;
};
