/* The keeper's face: for spawner.c, and for Python's end (core_keeper.c). */
#ifndef PYSB_KEEPER_H
#define PYSB_KEEPER_H

#include "sys.h"

#include "keep.h"

/* keeper.c: serves until it has been idle for long enough; the exit status */
int pysb_keep(char **words);
/* spawner.c: a hello of a spawner */
int pysb_say(int socket, char kind, char step, int error);
/* keep_wire.c: one datagram and at most one fd (-1: none). As sendmsg(2) and recvmsg(2). */
ssize_t pysb_keep_send(int socket, const void *message, size_t size, int fd);
ssize_t pysb_keep_receive(int socket, void *message, size_t size, int *fd, int flags);

#endif
