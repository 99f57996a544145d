/* What is left of the program's capabilities: nothing, or what the plan names, in all five sets alike.
 *
 * They are rights in the user namespace of this run. The bounding set goes first, while CAP_SETPCAP is there, the
 * others after the change of ids (CVE-2022-24769, CVE-2022-29162: none may be forgotten). What is kept has to be
 * in the ambient set too, or exec takes it from a program that is not uid 0; uid 0 gets the bounding set by exec.
 * Nothing is believed: all sets are read back, and a difference ends the run before the program begins.
 */
#include "child.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

int pysb_reduce_bounding(const struct pysb_step *step)
{
    for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (cap > PYSB_MAX_CAPABILITY || !(step->a >> cap & 1))
            TRY(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0));
    return 0;
}

static int is_exactly(uint64_t kept, int bounding)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct held[2];
    int present;
    unsigned cap;

    TRY(syscall(SYS_capget, &header, held));
    for (unsigned i = 0; i < 2; i++) {
        uint32_t word = (uint32_t)(kept >> (32 * i));
        if (held[i].permitted != word || held[i].effective != word || held[i].inheritable != word)
            return 0;
    }
    for (cap = 0; (present = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++) {
        int meant = cap <= PYSB_MAX_CAPABILITY && kept >> cap & 1;
        if ((bounding && present != meant) || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) != meant)
            return 0;
    }
    return kept >> cap == 0; /* else one that this kernel does not have */
}

int pysb_reduce_capabilities(const struct pysb_step *step)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct kept[2];

    memset(kept, 0, sizeof kept);
    for (unsigned i = 0; i < 2; i++)
        kept[i].permitted = kept[i].effective = kept[i].inheritable = (uint32_t)(step->a >> (32 * i));
    TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    TRY(syscall(SYS_capset, &header, kept));
    for (unsigned cap = 0; cap <= PYSB_MAX_CAPABILITY; cap++)
        if (step->a >> cap & 1)
            TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0));
    TRY(prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0));
    if (is_exactly(step->a, step->flags & 1) == 1)
        return 0;
    errno = EPERM;
    return -1;
}
