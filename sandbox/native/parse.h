/* Taking a plan in: the one place that reads what came over the socket. Fuzzed by tests/native. */
#ifndef PYSB_PARSE_H
#define PYSB_PARSE_H

#include "child.h"

/* Bytes of memory that a plan of this size takes, with the pointer arrays of argv and envp. */
size_t pysb_plan_memory(uint32_t plan_bytes);

/* Copies the plan out of ``memfd`` into memory of our own and checks all of it: sizes, offsets,
 * terminators, indexes, and that a program is locked down before it is executed. Fills plan, steps,
 * blob, argv and envp of ``run``. NULL with errno set (EBADMSG for a bad plan). */
void *pysb_load_plan(const struct pysb_request *request, int memfd, struct pysb_run *run);

#endif
