/*
 * Asks a filter about calls, and runs none of them.
 *
 *     walk true|asking PROGRAM CASES RESULTS
 *
 * PROGRAM is the filter of a policy (struct sock_filter[]), CASES are calls (struct walked), RESULTS gets one
 * struct outcome for each. A child loads the filter together with one that is less strict than every refusal
 * (seccomp(2): KILL > TRAP > ERRNO > USER_NOTIF > TRACE > LOG > ALLOW), and makes the calls:
 *
 *     true     the other one is USER_NOTIF for everything: what the policy refuses is answered by its own action;
 *              what it allows (or logs) arrives here, and is answered with MARKER.
 *     asking   the filter itself has the listener, and the other one is TRACE for everything, which is ENOSYS where
 *              nobody traces: what the policy asks about is answered with MARKER, what it lets pass with ENOSYS.
 *
 * The child makes no call of its own meanwhile, so that no number is left out: it speaks by shared memory, shares its
 * table of descriptors with the parent (which so has the listener), comes back from handlers without rt_sigreturn(2),
 * and ends by a trap. A child that a filter has killed is followed by another one, from the next call on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define BREAKPOINT "int3" /* SIGTRAP, which the kernel's log says nothing of */
#elif defined(__aarch64__)
#define BREAKPOINT "brk #0"
#endif

enum { NATIVE, INT80 };
enum { MARKER = 999 };
enum kind { NOTHING, RETURNED, KILLED, TRAPPED, PASSED_BY }; /* PASSED_BY: the kernel asked no filter */

struct walked {
	uint32_t by, number;
	uint64_t args[6];
};

struct outcome {
	uint32_t kind;
	int32_t value;          /* what the call returned, si_syscall of a trap */
	uint32_t seen, arch;    /* what a filter saw, if the listener was asked */
};

static struct shared {
	volatile uint32_t at, loaded, done;
	volatile int listener;
} *shared;
static volatile struct outcome *outcomes;
static sigjmp_buf back;
static volatile siginfo_t caught;

static void must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "walk: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static void *whole(const char *path, size_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && !fstat(fd, &st), path);
	char *text = malloc(st.st_size + 1);
	must(text && read(fd, text, st.st_size) == st.st_size, path);
	close(fd);
	*size = st.st_size;
	return text;
}

#if defined(__x86_64__)
static long native(uint32_t number, const uint64_t *a)
{
	/* All 64 bits of the register: the kernel takes the low half as an int. */
	long result = number;
	register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
	__asm__ volatile("syscall" : "+a"(result), "+r"(r10), "+r"(r8), "+r"(r9)
	                 : "D"(a[0]), "S"(a[1]), "d"(a[2]) : "rcx", "r11", "memory");
	return result;
}

static long int80(uint32_t number, const uint64_t *a)
{
	/* Since Linux 4.4 the kernel clears r8 to r11 here; rbp is the sixth argument, and the frame's. */
	long result = number;
	uint64_t sixth = a[5];
	__asm__ volatile("push %%rbx; push %%rbp; mov %[first], %%rbx; mov %[sixth], %%rbp; int $0x80; pop %%rbp; pop %%rbx"
	                 : "+a"(result) : [first] "r"(a[0]), [sixth] "r"(sixth), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
	                 : "r8", "r9", "r10", "r11", "memory");
	return (int32_t)result;
}
#elif defined(__aarch64__)
static long native(uint32_t number, const uint64_t *a)
{
	register uint64_t x8 __asm__("x8") = number, x0 __asm__("x0") = a[0], x1 __asm__("x1") = a[1],
		x2 __asm__("x2") = a[2], x3 __asm__("x3") = a[3], x4 __asm__("x4") = a[4], x5 __asm__("x5") = a[5];
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

static long int80(uint32_t number, const uint64_t *a)
{
	(void)number, (void)a;
	return -ENOSYS;
}
#endif

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)context;
	caught.si_signo = signal;
	if (signal == SIGSYS)
		caught.si_value.sival_int = info->si_syscall;
	siglongjmp(back, 1); /* without rt_sigreturn, and no mask to restore */
}

static int load(const struct sock_fprog *filter, unsigned int flags)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, filter);
}

/* The child; it never returns. */
static _Noreturn void walk(const struct sock_fprog *policy, int asking, const struct walked *calls, uint32_t count)
{
	/* Lets the loading of the policy's filter pass, which is known by its pointer. */
	const struct sock_filter traced[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(uintptr_t)policy, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
	};
	const struct sock_filter notified[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)};
	const struct sock_fprog other = asking ? (struct sock_fprog){6, (struct sock_filter *)traced}
	                                       : (struct sock_fprog){1, (struct sock_filter *)notified};

	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
	must(!sigaction(SIGSYS, &action, NULL) && !sigaction(SIGILL, &action, NULL), "sigaction");
	/* Not dumpable: the deaths are many, and no handler of core dumps is to hear of them. */
	must(!prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl");
	/* The one without a listener gives 0 here. Until ``loaded``, the parent lets calls go on, whatever the filter says. */
	int first = load(&other, asking ? 0 : SECCOMP_FILTER_FLAG_NEW_LISTENER);
	must(first >= 0, "seccomp: the other filter");
	if (!asking)
		shared->listener = first;
	int failed = load(policy, asking ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
	if (asking)
		shared->listener = failed;
	failed = failed < 0;
	shared->loaded = failed ? 2 : 1;
	while (!failed && shared->at < count) {
		const uint32_t at = shared->at;
		volatile struct outcome *out = &outcomes[at];
		if (sigsetjmp(back, 0)) {
			const int trapped = caught.si_signo == SIGSYS;
			out->value = trapped ? caught.si_value.sival_int : -caught.si_signo;
			out->kind = trapped ? TRAPPED : PASSED_BY;
		} else {
			long result = (calls[at].by == INT80 ? int80 : native)(calls[at].number, calls[at].args);
			out->value = (int32_t)result;
			out->kind = RETURNED;
		}
		shared->at = at + 1;
	}
	shared->done = 1;
	for (;;)
		__asm__ volatile(BREAKPOINT);
}

/* Answers until the child is dead; its wait status. */
static int serve(pid_t child, int pidfd)
{
	struct seccomp_notif ask;
	struct seccomp_notif_resp reply;
	const struct timespec soon = {0, 100000};
	for (;;) {
		struct pollfd ready[2] = {{pidfd, POLLIN, 0}, {shared->listener, POLLIN, 0}};
		/* Until the listener is there, its number is -1, which ppoll(2) passes over: look again. */
		must(ppoll(ready, 2, ready[1].fd < 0 ? &soon : NULL, NULL) >= 0, "ppoll");
		if (ready[0].revents) {
			int status;
			must(waitpid(child, &status, 0) == child, "waitpid");
			return status;
		}
		if (!(ready[1].revents & POLLIN))
			continue;
		memset(&ask, 0, sizeof ask);
		if (ioctl(shared->listener, SECCOMP_IOCTL_NOTIF_RECV, &ask)) {
			must(errno == ENOENT || errno == EINTR, "NOTIF_RECV");
			continue;
		}
		memset(&reply, 0, sizeof reply);
		reply.id = ask.id;
		if (!shared->loaded) {
			reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		} else {
			outcomes[shared->at].seen = ask.data.nr;
			outcomes[shared->at].arch = ask.data.arch;
			reply.error = -MARKER;
		}
		must(!ioctl(shared->listener, SECCOMP_IOCTL_NOTIF_SEND, &reply) || errno == ENOENT, "NOTIF_SEND");
	}
}

int main(int argc, char **argv)
{
	size_t size, room;
	must(argc == 5, "walk true|asking PROGRAM CASES RESULTS");
	const int asking = !strcmp(argv[1], "asking");
	struct sock_fprog policy;
	policy.filter = whole(argv[2], &size);
	policy.len = size / sizeof *policy.filter;
	const struct walked *calls = whole(argv[3], &size);
	const uint32_t count = size / sizeof *calls;
	room = count * sizeof *outcomes + sizeof *shared;
	shared = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(shared != MAP_FAILED, "mmap");
	outcomes = (struct outcome *)(shared + 1);

	while (shared->at < count) {
		int pidfd = -1;
		shared->listener = -1;
		shared->loaded = 0;
		const uint32_t first = shared->at;
		struct clone_args how = {.flags = CLONE_FILES | CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
		pid_t child = syscall(SYS_clone3, &how, sizeof how);
		must(child >= 0, "clone3");
		if (!child)
			walk(&policy, asking, calls, count);
		int status = serve(child, pidfd);
		must(shared->loaded == 1 && WIFSIGNALED(status), "the child did not get to its calls");
		if (!shared->done) {
			must(WTERMSIG(status) == SIGSYS, "the child died of something else than the filter");
			outcomes[shared->at].kind = KILLED;
			shared->at++;
		}
		must(shared->at > first, "no progress");
		close(shared->listener);
		close(pidfd);
	}
	int fd = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0, argv[4]);
	for (size_t at = 0, whole = count * sizeof *outcomes; at < whole;) {
		ssize_t n = write(fd, (const char *)outcomes + at, whole - at);
		must(n > 0, argv[4]);
		at += n;
	}
	return 0;
}
