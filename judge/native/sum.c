/* A sum over pieces that does not depend on their order. Each is hashed by SipHash-2-4 with 128 bits under a key that
 * nobody knows before (Aumasson and Bernstein, "SipHash: a fast short-input PRF", and its 128-bit variant), the hashes
 * are added modulo 2^64 twice: equal sums of different pieces cannot be made on purpose. */

#include <string.h>

#include "bytes.h"

static inline uint64_t left(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void mix(uint64_t v[4], int rounds)
{
    while (rounds--) {
        v[0] += v[1], v[1] = left(v[1], 13) ^ v[0], v[0] = left(v[0], 32);
        v[2] += v[3], v[3] = left(v[3], 16) ^ v[2];
        v[0] += v[3], v[3] = left(v[3], 21) ^ v[0];
        v[2] += v[1], v[1] = left(v[1], 17) ^ v[2], v[2] = left(v[2], 32);
    }
}

static void start(struct jc_sum *sum)
{
    sum->v[0] = 0x736f6d6570736575ULL ^ sum->key[0];
    sum->v[1] = 0x646f72616e646f6dULL ^ sum->key[1] ^ 0xee;
    sum->v[2] = 0x6c7967656e657261ULL ^ sum->key[0];
    sum->v[3] = 0x7465646279746573ULL ^ sum->key[1];
    sum->length = sum->word = 0;
    sum->filled = sum->started = sum->gap = 0;
}

static inline void one(struct jc_sum *sum, uint8_t byte)
{
    sum->word |= (uint64_t)byte << (8 * sum->filled);
    sum->length++;
    if (++sum->filled == 8) {
        sum->v[3] ^= sum->word;
        mix(sum->v, 2);
        sum->v[0] ^= sum->word;
        sum->word = 0;
        sum->filled = 0;
    }
}

static void finish(struct jc_sum *sum)
{
    uint64_t last = sum->word | sum->length << 56;
    uint64_t *v = sum->v;
    v[3] ^= last;
    mix(v, 2);
    v[0] ^= last;
    v[2] ^= 0xee;
    mix(v, 4);
    sum->sum[0] += v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    mix(v, 4);
    sum->sum[1] += v[0] ^ v[1] ^ v[2] ^ v[3];
    sum->pieces++;
    start(sum);
}

void jc_sum_start(struct jc_sum *sum)
{
    sum->sum[0] = sum->sum[1] = sum->pieces = 0;
    start(sum);
}

void jc_sum_add(struct jc_sum *sum, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        uint8_t byte = bytes[at];
        if (sum->by == JC_BY_LINE ? is_line_end(byte) : is_space(byte)) {
            if (sum->started)
                finish(sum);
        } else if (sum->by == JC_BY_LINE && is_space(byte)) {
            sum->started = 1;
            sum->gap = 1;
        } else {
            /* One space stands for each gap between two tokens of a line, none for that at its start. */
            if (sum->gap && sum->length)
                one(sum, ' ');
            sum->gap = 0;
            sum->started = 1;
            one(sum, byte);
        }
    }
}

void jc_sum_end(struct jc_sum *sum)
{
    if (sum->started)
        finish(sum);
}
