/* Byte by byte, without white space before a line end or the end of the file, and without empty lines at the end. */

#include "bytes.h"

enum { GAP, TAIL, TEXT };

/* Over a gap: how many lines end in it, and where what follows the last of them starts. */
static size_t over(const uint8_t *bytes, size_t at, size_t size, uint64_t base, uint32_t *lines, uint64_t *tail)
{
    for (; at < size && is_space(bytes[at]); at++) {
        if (bytes[at] == '\n') {
            ++*lines; /* modulo 2^32: of two files that differ by that much one is beyond every output limit */
            *tail = base + at + 1;
        }
    }
    return at;
}

int jc_stripped(struct jc_state *s, const uint8_t *output, size_t output_size, int output_end,
                const uint8_t *answer, size_t answer_size, int answer_end)
{
    const uint64_t output_base = s->output_at, answer_base = s->answer_at;
    size_t i = 0, j = 0;
    int said = JC_MORE;

    for (;;) {
        if (s->phase == TEXT) {
            size_t left = output_size - i < answer_size - j ? output_size - i : answer_size - j;
            size_t same = jc_common(output + i, answer + j, left);
            /* Back to where the last gap starts: the rest of it may be longer in one of them. If this is all gap, it
             * is the first byte after a text that has been passed, or text has yet to come. */
            while (same && is_space(output[i + same - 1]))
                same--;
            i += same, j += same;
            if ((i == output_size && !output_end) || (j == answer_size && !answer_end))
                goto out;
            if (i < output_size && j < answer_size && !is_space(output[i]) && !is_space(answer[j])) {
                said = JC_TEXT;
                goto out;
            }
            s->phase = GAP;
            s->output_line = s->answer_line = 0;
            s->output_tail = output_base + i;
            s->answer_tail = answer_base + j;
        }
        if (s->phase == GAP) {
            i = over(output, i, output_size, output_base, &s->output_line, &s->output_tail);
            j = over(answer, j, answer_size, answer_base, &s->answer_line, &s->answer_tail);
            if ((i == output_size && !output_end) || (j == answer_size && !answer_end))
                goto out;
            if (i == output_size || j == answer_size) {
                said = i < output_size ? JC_ANSWER_ENDS : j < answer_size ? JC_OUTPUT_ENDS : JC_EQUAL;
                goto out;
            }
            if (s->output_line != s->answer_line) {
                said = JC_WHITE;
                goto out;
            }
            s->phase = TAIL;
            if (s->output_tail < output_base || s->answer_tail < answer_base) {
                s->output_at = s->output_tail;
                s->answer_at = s->answer_tail;
                return JC_MORE;
            }
            i = (size_t)(s->output_tail - output_base);
            j = (size_t)(s->answer_tail - answer_base);
        }
        /* TAIL: white space before a text counts. Both have a text after it. */
        while (i < output_size && j < answer_size && output[i] == answer[j] && is_space(output[i]))
            i++, j++;
        if (i == output_size || j == answer_size)
            goto out;
        if (output[i] != answer[j]) {
            said = is_space(output[i]) || is_space(answer[j]) ? JC_WHITE : JC_TEXT;
            goto out;
        }
        s->phase = TEXT;
        i++, j++;
    }
out:
    s->output_at = output_base + i;
    s->answer_at = answer_base + j;
    return said;
}
