/* Python's end of the sockets, and the calls that the standard library lacks. All return -errno. */
#ifndef PYSB_CORE_H
#define PYSB_CORE_H

#include "sys.h"

#include "plan.h"

int core_pair(int *two);
int core_send(int socket, const struct pysb_request *request, const int *fds, int count);
int core_receive(int socket, void *buffer, size_t size, int *fd);
int core_receive_fds(int socket, void *buffer, size_t size, int *fds, int *count);
int core_hello(int socket, void *buffer, size_t size);
int core_send_bytes(int socket, const void *bytes, size_t size);
int core_signal(int pidfd, int number);
int core_pidfd(int pid);
int core_open_tree(const char *path, int recursive);
int core_winsize(int from, int to);

#endif
