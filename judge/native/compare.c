/* Token by token. Equal stretches are passed over at the speed of memory; what differs is looked at token by token. */

#define _GNU_SOURCE
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

enum { GAP, LONG };

size_t jc_common(const uint8_t *a, const uint8_t *b, size_t size)
{
    size_t at = 0;
    while (size - at >= 4096 && memcmp(a + at, b + at, 4096) == 0)
        at += 4096;
    for (; size - at >= 8; at += 8) {
        uint64_t x, y;
        memcpy(&x, a + at, 8);
        memcpy(&y, b + at, 8);
        if (x != y)
            break;
    }
    while (at < size && a[at] == b[at])
        at++;
    return at;
}

/* A run of digits: added to the number so far as long as it fits; ``lost`` counts those that did not. */
static size_t digits(const uint8_t *token, size_t at, size_t size, uint64_t *sum, size_t *lost)
{
    for (; at < size && token[at] >= '0' && token[at] <= '9'; at++) {
        if (*sum < 1000000000000000000ULL)
            *sum = *sum * 10 + (token[at] - '0');
        else
            ++*lost;
    }
    return at;
}

/* The decimal point of strtod is the locale's; newlocale gives "C" without an allocation, and each time the same. */
static int slow_number(const uint8_t *token, size_t size, double *value)
{
    static locale_t plain;
    locale_t c = __atomic_load_n(&plain, __ATOMIC_ACQUIRE);
    if (!c) {
        c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        if (!c)
            return 0;
        __atomic_store_n(&plain, c, __ATOMIC_RELEASE);
    }
    char text[JC_TOKEN + 1];
    memcpy(text, token, size);
    text[size] = '\0';
    *value = strtod_l(text, NULL, c);
    return isfinite(*value);
}

/* sign? ( digit* "." digit+ | digit+ "." | digit+ ) ( [Ee] sign? digit+ )?  as the package format has it: no inf, no
 * nan, no hexadecimal, all of which strtod(3) would take. A number beyond the range of double is none. */
static int number(const uint8_t *token, size_t size, double *value)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    size_t at = 0, after = 0, lost = 0;
    uint64_t mantissa = 0, exponent = 0;
    int minus = size && token[0] == '-', small = 0;
    if (size > JC_TOKEN)
        return 0;
    if (at < size && (token[at] == '+' || token[at] == '-'))
        at++;
    size_t from = at;
    at = digits(token, at, size, &mantissa, &lost);
    size_t before = at - from;
    if (at < size && token[at] == '.') {
        from = ++at;
        at = digits(token, at, size, &mantissa, &lost);
        after = at - from;
    }
    if (!before && !after)
        return 0;
    if (at < size && (token[at] == 'e' || token[at] == 'E')) {
        at++;
        if (at < size && (token[at] == '+' || token[at] == '-'))
            small = token[at++] == '-';
        from = at;
        at = digits(token, at, size, &exponent, &lost);
        if (at == from)
            return 0;
    }
    if (at != size)
        return 0;
    /* Both the digits and the power of ten are exact doubles: one rounding, so the nearest double (W. D. Clinger, "How
     * to read floating point numbers accurately"). All else is strtod's. */
    if (!lost && mantissa <= 1ULL << 53 && exponent <= 1000) {
        int64_t power = (small ? -(int64_t)exponent : (int64_t)exponent) - (int64_t)after;
        if (power >= -22 && power <= 22) {
            double magnitude = power < 0 ? (double)mantissa / tens[-power] : (double)mantissa * tens[power];
            *value = minus ? -magnitude : magnitude;
            return 1;
        }
    }
    return slow_number(token, size, value);
}

static int same_text(const struct jc_state *s, const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    if (a_size != b_size)
        return 0;
    if (s->flags & JC_CASE)
        return memcmp(a, b, a_size) == 0;
    for (size_t at = 0; at < a_size; at++)
        if (folded(a[at]) != folded(b[at]))
            return 0;
    return 1;
}

/* Two whole tokens, neither longer than JC_TOKEN. */
static int tokens_differ(const struct jc_state *s, const uint8_t *output, size_t output_size,
                         const uint8_t *answer, size_t answer_size)
{
    double want, got;
    if ((s->absolute >= 0 || s->relative >= 0) && number(answer, answer_size, &want)) {
        if (!number(output, output_size, &got))
            return JC_NO_NUMBER;
        double off = fabs(want - got);
        return off <= s->absolute || off <= s->relative * fabs(want) ? 0 : JC_TOO_FAR;
    }
    return same_text(s, output, output_size, answer, answer_size) ? 0 : JC_TEXT;
}

/* Length of the token at the start, or JC_NEED if it is longer than JC_TOKEN, or ``size`` if it may go on. */
static size_t token_size(const uint8_t *bytes, size_t size)
{
    size_t at = 0, most = size < JC_NEED ? size : JC_NEED;
    while (at < most && !is_space(bytes[at]))
        at++;
    return at;
}

int jc_tokens(struct jc_state *s, const uint8_t *output, size_t output_size, int output_end,
              const uint8_t *answer, size_t answer_size, int answer_end)
{
    const uint64_t output_base = s->output_at, answer_base = s->answer_at;
    size_t i = 0, j = 0;
    int said = JC_MORE;

    while (s->phase == GAP || s->phase == LONG) {
        if (s->phase == LONG) {
            /* Two tokens that are too long to wait for: text, byte by byte. */
            while (i < output_size && j < answer_size && !is_space(output[i]) && !is_space(answer[j])) {
                uint8_t x = output[i], y = answer[j];
                if (x != y && (s->flags & JC_CASE || folded(x) != folded(y))) {
                    said = JC_TEXT;
                    goto out;
                }
                i++, j++;
            }
            if ((i == output_size && !output_end) || (j == answer_size && !answer_end))
                goto out;
            int output_over = i == output_size || is_space(output[i]);
            if (!output_over || !(j == answer_size || is_space(answer[j]))) {
                said = JC_TEXT;
                goto out;
            }
            s->phase = GAP;
            s->output_line = s->answer_line = 0;
            continue;
        }

        /* A stretch that is the same in both. It may be passed over up to the end of its last whole token, for then
         * both stand at the start of a gap that has not been looked at. */
        if (!(s->flags & JC_LINES) || s->output_line == s->answer_line) {
            size_t left = output_size - i < answer_size - j ? output_size - i : answer_size - j;
            size_t same = jc_common(output + i, answer + j, left);
            int over = 0;
            if (same && !is_space(output[i + same - 1])) {
                int output_over = i + same < output_size ? is_space(output[i + same]) : output_end;
                over = output_over && (j + same < answer_size ? is_space(answer[j + same]) : answer_end);
            }
            if (!over) {
                while (same && !is_space(output[i + same - 1]))
                    same--;
                while (same && is_space(output[i + same - 1]))
                    same--;
            }
            if (same) {
                i += same, j += same;
                s->first = 0;
                s->output_line = s->answer_line = 0;
            }
        }

        if (s->flags & JC_SPACE) {
            while (i < output_size && j < answer_size && is_space(output[i]) && output[i] == answer[j])
                i++, j++;
            if ((i == output_size && !output_end) || (j == answer_size && !answer_end))
                goto out;
            if ((i < output_size && is_space(output[i])) || (j < answer_size && is_space(answer[j]))) {
                said = JC_WHITE;
                goto out;
            }
        } else {
            for (; i < output_size && is_space(output[i]); i++)
                s->output_line |= (uint32_t)is_line_end(output[i]);
            for (; j < answer_size && is_space(answer[j]); j++)
                s->answer_line |= (uint32_t)is_line_end(answer[j]);
            if ((i == output_size && !output_end) || (j == answer_size && !answer_end))
                goto out;
        }

        if (i == output_size || j == answer_size) {
            said = i < output_size ? JC_ANSWER_ENDS : j < answer_size ? JC_OUTPUT_ENDS : JC_EQUAL;
            goto out;
        }
        if (s->flags & JC_LINES && !s->first && s->output_line != s->answer_line) {
            said = JC_WHITE;
            goto out;
        }

        size_t output_token = token_size(output + i, output_size - i);
        size_t answer_token = token_size(answer + j, answer_size - j);
        if ((output_token == output_size - i && output_token < JC_NEED && !output_end) ||
            (answer_token == answer_size - j && answer_token < JC_NEED && !answer_end))
            goto out;
        if (output_token == JC_NEED && answer_token == JC_NEED) {
            s->phase = LONG;
            s->first = 0;
            continue;
        }
        said = tokens_differ(s, output + i, output_token, answer + j, answer_token);
        if (said)
            goto out;
        i += output_token, j += answer_token;
        s->first = 0;
        s->output_line = s->answer_line = 0;
    }
out:
    s->output_at = output_base + i;
    s->answer_at = answer_base + j;
    return said;
}

void jc_locate(struct jc_place *place, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        if (is_space(bytes[at])) {
            if (place->inside)
                place->token++;
            place->inside = 0;
            if (bytes[at] == '\n') {
                place->line++;
                place->token = 0;
            }
        } else {
            place->inside = 1;
        }
    }
}
