/* Random outputs through random windows, against the same comparison written without windows. Windows are allocated to
 * the byte, so that the address sanitizer sees a byte read beyond them. Tokens are "long" from nine bytes on. */

#define _GNU_SOURCE
#include <assert.h>
#include <stdio.h>

#include "bytes.h"

#define JC_TOKEN 8
#define JC_NEED 9
#include "compare.c"
#include "sum.c"

#define GAP STRIPPED_GAP
#define TAIL STRIPPED_TAIL
#define TEXT STRIPPED_TEXT
#include "stripped.c"

enum { MOST = 200 };

struct text {
    uint8_t bytes[MOST];
    size_t size;
};

static uint64_t seed;

static unsigned below(unsigned limit)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)((seed >> 33) % limit);
}

static void put(struct text *t, size_t at, const char *piece)
{
    size_t size = strlen(piece);
    if (t->size + size > MOST || at > t->size)
        return;
    memmove(t->bytes + at + size, t->bytes + at, t->size - at);
    memcpy(t->bytes + at, piece, size);
    t->size += size;
}

static void add(struct text *t, size_t at)
{
    static const char *pieces[] = {"a", "A", "b", " ", "\n", "  ", "\r\n", " \n ", "1", "1.5", "2", "\t", "aaaaaaaa", "aaaaaaaaa",
                                   "abababababababab", "\n\n\n", "          ", "1.50001", "-", "."};
    put(t, at, pieces[below(sizeof(pieces) / sizeof(*pieces))]);
}

static void spoil(struct text *t)
{
    size_t at = below((unsigned)t->size + 1);
    if (below(2) && at < t->size) {
        size_t gone = 1 + below((unsigned)(t->size - at < 10 ? t->size - at : 10));
        memmove(t->bytes + at, t->bytes + at + gone, t->size - at - gone);
        t->size -= gone;
    }
    if (below(2))
        add(t, at);
}

/* Without windows: the next token and the gap before it. */
struct step {
    size_t gap, token, end;
    int line;
};

static struct step next(const struct text *t, size_t at)
{
    struct step s = {.gap = at};
    while (at < t->size && is_space(t->bytes[at]))
        s.line |= is_line_end(t->bytes[at++]);
    s.token = at;
    while (at < t->size && !is_space(t->bytes[at]))
        at++;
    s.end = at;
    return s;
}

static int plain_tokens(const struct jc_state *s, const struct text *a, const struct text *b)
{
    size_t i = 0, j = 0;
    for (int first = 1;; first = 0) {
        struct step x = next(a, i), y = next(b, j);
        if (s->flags & JC_SPACE && (x.token - x.gap != y.token - y.gap ||
                                    memcmp(a->bytes + x.gap, b->bytes + y.gap, x.token - x.gap)))
            return 0;
        if (x.token == x.end || y.token == y.end)
            return x.token == x.end && y.token == y.end;
        if (s->flags & JC_LINES && !first && x.line != y.line)
            return 0;
        if (tokens_differ(s, a->bytes + x.token, x.end - x.token, b->bytes + y.token, y.end - y.token))
            return 0;
        i = x.end, j = y.end;
    }
}

static struct text plain_stripped(const struct text *t)
{
    struct text out = {.size = 0};
    size_t content = 0; /* up to where ``out`` has no white space that may still go */
    for (size_t at = 0; at < t->size; at++) {
        if (t->bytes[at] == '\n') {
            while (out.size > content && out.bytes[out.size - 1] != '\n')
                out.size--;
        }
        out.bytes[out.size++] = t->bytes[at];
        if (!is_space(t->bytes[at]))
            content = out.size;
    }
    out.size = content;
    return out;
}

/* What a caller does, with windows of random size. */
static const uint8_t *window(const struct text *t, uint64_t at, size_t *size, int *end)
{
    size_t left = t->size - (size_t)at, least = left < JC_NEED ? left : JC_NEED;
    *size = least + below((unsigned)(left - least) + 1);
    *end = *size == left;
    uint8_t *copy = malloc(*size ? *size : 1);
    assert(copy);
    memcpy(copy, t->bytes + at, *size);
    return copy;
}

typedef int compare_fn(struct jc_state *, const uint8_t *, size_t, int, const uint8_t *, size_t, int);

static int driven(compare_fn *compare, struct jc_state *s, const struct text *a, const struct text *b)
{
    for (int calls = 0; calls < 2000; calls++) {
        size_t a_size, b_size;
        int a_end, b_end;
        const uint8_t *x = window(a, s->output_at, &a_size, &a_end), *y = window(b, s->answer_at, &b_size, &b_end);
        int said = compare(s, x, a_size, a_end, y, b_size, b_end);
        free((void *)x);
        free((void *)y);
        assert(s->output_at <= a->size && s->answer_at <= b->size);
        if (said != JC_MORE)
            return said;
    }
    return -1; /* it does not get on */
}

static void show(const char *name, const struct text *t)
{
    fprintf(stderr, "%s:", name);
    for (size_t at = 0; at < t->size; at++)
        fprintf(stderr, " %02x", t->bytes[at]);
    fprintf(stderr, "\n");
}

static int wrong(const char *what, const struct text *a, const struct text *b, unsigned flags, int said)
{
    fprintf(stderr, "%s: flags %u, said %d\n", what, flags, said);
    show("output", a);
    show("answer", b);
    return 1;
}

static struct jc_sum summed(const struct text *t, uint32_t by)
{
    struct jc_sum sum = {.key = {1, 2}, .by = by};
    jc_sum_start(&sum);
    for (size_t at = 0; at < t->size;) {
        size_t size = 1 + below((unsigned)(t->size - at));
        uint8_t *copy = malloc(size);
        assert(copy);
        memcpy(copy, t->bytes + at, size);
        jc_sum_add(&sum, copy, size);
        free(copy);
        at += size;
    }
    jc_sum_end(&sum);
    return sum;
}

int main(int argc, char **argv)
{
    assert(argc == 3);
    seed = strtoull(argv[1], NULL, 10);
    long rounds = strtol(argv[2], NULL, 10), equal = 0;
    for (long round = 0; round < rounds; round++) {
        struct text a = {.size = 0}, b;
        for (unsigned pieces = below(16); pieces; pieces--)
            add(&a, a.size);
        b = a;
        for (unsigned changes = below(4); changes; changes--)
            spoil(&b);
        struct jc_state s = {.flags = below(8), .first = 1, .absolute = -1, .relative = below(2) ? -1 : 1e-3};
        int want = plain_tokens(&s, &a, &b), said = driven(jc_tokens, &s, &a, &b);
        if (said <= JC_MORE || (said == JC_EQUAL) != want)
            return wrong("tokens", &a, &b, s.flags, said);
        equal += want;

        struct jc_state z = {.flags = 0};
        struct text x = plain_stripped(&a), y = plain_stripped(&b);
        want = x.size == y.size && memcmp(x.bytes, y.bytes, x.size) == 0;
        said = driven(jc_stripped, &z, &a, &b);
        if (said <= JC_MORE || (said == JC_EQUAL) != want)
            return wrong("stripped", &a, &b, 0, said);

        size_t least = a.size < b.size ? a.size : b.size, same = 0;
        while (same < least && a.bytes[same] == b.bytes[same])
            same++;
        if (jc_common(a.bytes, b.bytes, least) != same)
            return wrong("common", &a, &b, 0, 0);

        struct jc_sum one = summed(&a, round & 1), two = summed(&a, round & 1);
        if (memcmp(one.sum, two.sum, sizeof(one.sum)) != 0 || one.pieces != two.pieces)
            return wrong("sum", &a, &a, round & 1, 0);
    }
    printf("%ld %ld\n", rounds, equal);
    return 0;
}
