/* helpers.c: what the spawner starts that is no run. */
#ifndef PYSB_HELPERS_H
#define PYSB_HELPERS_H

#include "child.h"

enum { PYSB_HELPERS = PYSB_REQ_LXCFS | PYSB_REQ_PEEL | PYSB_REQ_TREE };

/* For a request with one of the flags above, and its ``count`` fds, which stay the caller's: the pid of a child of ours, or
 * -1 with errno, of which nobody has been told. */
pid_t pysb_start_helper(const struct pysb_request *request, const int *fds, int count);

#endif
