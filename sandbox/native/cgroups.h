/* cgroups.c: the spawner's part in removing its caller's cgroups. */
#ifndef PYSB_CGROUPS_H
#define PYSB_CGROUPS_H

/* The fds of a request that gives directories; kept, what does not fit is left to the caller's next start. */
void pysb_remember_cgroups(const int *fds, int count);
/* Lift what would keep killed processes from dying. */
void pysb_unthrottle_cgroups(void);
/* ``closed``: the caller has only closed us. */
void pysb_remove_cgroups(int closed);

#endif
