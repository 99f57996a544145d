#ifndef PYSB_UNTHROTTLE_H
#define PYSB_UNTHROTTLE_H

#include "sys.h"

/* The cgroup ``name`` in ``parent``, of either version. Fails silently: whatever cannot be lifted is not there. */
void pysb_unthrottle(int parent, const char *name);

#endif
