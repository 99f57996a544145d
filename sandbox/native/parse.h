/* Taking a plan in: the one place that reads what came over the socket. Fuzzed by tests/native. */
#ifndef PYSB_PARSE_H
#define PYSB_PARSE_H

#include "child.h"

enum { PYSB_SETUP_PLAN, PYSB_RUN_PLAN, PYSB_LXCFS_PLAN };

/* Copies ``bytes`` of plan from ``offset`` of ``memfd`` into memory of our own and checks all of it:
 * sizes, offsets, terminators, indexes below ``nfds``, and (run plan) that a program is locked down
 * before it is executed. 0, or -1 with errno (EBADMSG for a bad plan). */
int pysb_load_plan(int kind, int memfd, uint32_t offset, uint32_t bytes, uint32_t nfds, struct pysb_view *view);
void pysb_drop_plan(struct pysb_view *view);

#endif
