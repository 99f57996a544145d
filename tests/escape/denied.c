/*
 * Tries system calls and says what became of each, a line for each argument:
 *
 *     [fork:]libc:NAME:ARG,...     by the wrapper of libc
 *     [fork:]raw:NUMBER:ARG,...    by syscall(2)
 *     [fork:]x32:NUMBER:ARG,...    the same, a number that has bit 30
 *     [fork:]int80:NUMBER:ARG,...  by the entry of i386
 *
 * "returned ERRNO" (0 if it did not fail), or "signal N" where a fork(2) has made it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef long call(long, long, long, long, long, long);

/* By their symbols: one type for all, and no headers that are too old or too new. */
#define EACH(X) \
	X(mount) X(umount2) X(unshare) X(setns) X(chroot) X(ptrace) X(swapon) X(swapoff) X(acct) X(reboot) \
	X(sethostname) X(setdomainname) X(adjtimex) X(vhangup) X(quotactl) X(fanotify_init) X(inotify_init) \
	X(inotify_init1) X(inotify_rm_watch) X(flock) X(socket) X(socketpair) X(bind) X(connect) X(listen) X(accept) \
	X(getsockname) X(getpeername) X(shutdown) X(splice) X(tee) X(vmsplice) X(syncfs) X(shmget) X(semget) X(msgget) \
	X(process_vm_readv) X(process_vm_writev) X(open_by_handle_at) X(name_to_handle_at) X(personality) X(setuid) \
	X(setgid) X(pipe) X(fork) X(mkdir) X(rename) X(unlink) X(link) X(symlink) X(ioctl) X(fcntl) X(prlimit)
#define DECLARE(name) extern char libc_##name[] __asm__(#name);
#define ROW(name) {#name, libc_##name},
EACH(DECLARE)
static const struct wrapper { const char *name; void *function; } wrappers[] = {EACH(ROW)};

static int attempt(const char *text)
{
	char how[16] = "", name[32] = "";
	long a[6] = {0}, result = 0;
	int used = 0;
	if (sscanf(text, "%15[^:]:%31[^:]:%n", how, name, &used) != 2 || !used)
		exit(2);
	const char *at = text + used;
	for (int i = 0; i < 6 && *at; i++) {
		char *end;
		a[i] = (long)strtoull(at, &end, 0);
		at = *end ? end + 1 : end;
	}
	errno = 0;
	if (!strcmp(how, "libc")) {
		for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
			if (!strcmp(wrappers[i].name, name)) {
				/* Most return an int. */
				result = (int)((call *)wrappers[i].function)(a[0], a[1], a[2], a[3], a[4], a[5]);
				return result == -1 ? errno : 0;
			}
		exit(3);
	}
	const long number = (long)strtoull(name, NULL, 0);
	if (!strcmp(how, "int80")) {
#ifdef __x86_64__
		__asm__ volatile("push %%rbx; mov %[first], %%rbx; int $0x80; pop %%rbx"
		                 : "=a"(result) : "0"(number), [first] "r"(a[0]), "c"(a[1]), "d"(a[2])
		                 : "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
		return result < 0 ? -(int)result : 0;
#endif
		exit(4);
	}
	result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	return result == -1 ? errno : 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *text = argv[i];
		if (strncmp(text, "fork:", 5)) {
			printf("returned %d\n", attempt(text));
			fflush(stdout);
			continue;
		}
		int said[2], error, status;
		if (pipe(said))
			return 5;
		pid_t child = fork();
		if (child < 0)
			return 6;
		if (!child) {
			error = attempt(text + 5);
			_exit(write(said[1], &error, sizeof error) == sizeof error ? 0 : 7);
		}
		close(said[1]);
		if (waitpid(child, &status, 0) != child)
			return 8;
		if (WIFSIGNALED(status))
			printf("signal %d\n", WTERMSIG(status));
		else if (read(said[0], &error, sizeof error) == sizeof error)
			printf("returned %d\n", error);
		else
			printf("exited %d\n", WEXITSTATUS(status));
		fflush(stdout);
		close(said[0]);
	}
	return 0;
}
