/* What a seccomp filter answers: the instructions of classic BPF that libseccomp makes of a policy, and no other.
 *
 * The kernel took the same bytes for a filter (seccomp_check_filter(), kernel/seccomp.c), but this may not rest on
 * that: whatever it does not know, or what leads out of the program or of the data, is answered with death.
 */
#include "child.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

/* ``program`` need not be aligned. No instruction jumps back, so this ends after ``length`` of them at most. */
uint32_t pysb_bpf(const void *program, uint32_t length, const struct seccomp_data *data)
{
    uint32_t a = 0;

    for (uint32_t at = 0; at < length; at++) {
        struct sock_filter now;
        uint32_t skip;

        memcpy(&now, (const char *)program + at * sizeof now, sizeof now);
        switch (now.code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (now.k % sizeof a || now.k > sizeof *data - sizeof a)
                return SECCOMP_RET_KILL_PROCESS;
            memcpy(&a, (const char *)data + now.k, sizeof a);
            continue;
        case BPF_ALU | BPF_AND | BPF_K: a &= now.k; continue;
        case BPF_RET | BPF_K: return now.k;
        case BPF_JMP | BPF_JA: skip = now.k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: skip = a == now.k ? now.jt : now.jf; break;
        case BPF_JMP | BPF_JGT | BPF_K: skip = a > now.k ? now.jt : now.jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: skip = a >= now.k ? now.jt : now.jf; break;
        case BPF_JMP | BPF_JSET | BPF_K: skip = a & now.k ? now.jt : now.jf; break;
        default: return SECCOMP_RET_KILL_PROCESS;
        }
        if (skip >= length - at)
            return SECCOMP_RET_KILL_PROCESS;
        at += skip;
    }
    return SECCOMP_RET_KILL_PROCESS;
}
