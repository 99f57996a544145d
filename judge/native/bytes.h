/* What both comparisons and the sum need to know of a byte. */

#ifndef JC_BYTES_H
#define JC_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "compare.h"

/* The six of the problem package format: space, \t \n \v \f \r. isspace(3) would ask the locale. */
static inline int is_space(uint8_t byte)
{
    return byte == ' ' || (uint8_t)(byte - '\t') <= '\r' - '\t';
}

static inline int is_line_end(uint8_t byte)
{
    return byte == '\n' || byte == '\r';
}

static inline uint8_t folded(uint8_t byte)
{
    return (uint8_t)(byte - 'A') <= 'Z' - 'A' ? byte + ('a' - 'A') : byte;
}

#endif
