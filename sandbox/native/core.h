/* Python's end of the sockets, and the calls that the standard library lacks. All return -errno. */
#ifndef PYSB_CORE_H
#define PYSB_CORE_H

#include "sys.h"

#include "plan.h"

#include "keeper.h"

int core_pair(int *two);
int core_send(int socket, const struct pysb_request *request, const int *fds, int count);
int core_receive(int socket, void *buffer, size_t size, int *fd);
int core_receive_fds(int socket, void *buffer, size_t size, int *fds, int *count);
int core_hello(int socket, void *buffer, size_t size);
int core_send_bytes(int socket, const void *bytes, size_t size);
int core_signal(int pidfd, int number);
int core_pidfd(int pid);
int core_open_tree(const char *path, int recursive);
int core_listener(void);
int64_t core_nofile(void);
int core_winsize(int from, int to);
int core_keeper_connect(const char *path, int timeout_ms, struct pysb_keep_hello *hello);
int core_keeper_inherit(struct pysb_keep_want *want);
int core_keeper_ask(int keeper, const struct pysb_keep_want *want, int control, struct pysb_keep_answer *answer,
                    int *pidfd);

#endif
