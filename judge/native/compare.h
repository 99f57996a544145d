/* Compares an output with an answer, window by window. cffi reads this file too: declarations only.
 *
 * The caller owns both windows and all reading. Each call goes as far as the windows allow and says in output_at and
 * answer_at from where it wants to see the files next: further on, or (jc_stripped) some way back. No call allocates,
 * keeps a pointer or reads a byte outside of its windows, and a window of JC_NEED bytes, or of all that is left, is
 * enough for every call to get on. */

enum {
    JC_TOKEN = 1024, /* a longer token is text, whatever it holds */
    JC_NEED = 1025,
};

enum {
    JC_CASE = 1,  /* upper and lower case are different */
    JC_SPACE = 2, /* white space must be the same, byte for byte */
    JC_LINES = 4, /* the gap between two tokens holds a line end in both or in neither */
};

enum {
    JC_MORE = 0,
    JC_EQUAL = 1,
    JC_OUTPUT_ENDS = 2, /* the answer has more */
    JC_ANSWER_ENDS = 3, /* the output has more */
    JC_TEXT = 4,
    JC_NO_NUMBER = 5, /* the answer has a number, the output something else */
    JC_TOO_FAR = 6,   /* two numbers, too far apart */
    JC_WHITE = 7,     /* white space differs */
};

struct jc_state {
    uint32_t flags;
    uint32_t phase;
    uint32_t output_line, answer_line; /* the gap under way has a line end; jc_stripped: how many */
    uint32_t first;                    /* no token yet */
    uint32_t reserved;
    double absolute, relative;      /* tolerances, negative for none; with none, numbers are text */
    uint64_t output_at, answer_at;  /* offset in the file of the next byte; after a difference: where it is */
    uint64_t output_tail, answer_tail;
};

/* Token by token: the default output validator of the problem package format. */
int jc_tokens(struct jc_state *state, const uint8_t *output, size_t output_size, int output_end,
              const uint8_t *answer, size_t answer_size, int answer_end);

/* Byte by byte, but white space at the end of a line and empty lines at the end of the file do not count. */
int jc_stripped(struct jc_state *state, const uint8_t *output, size_t output_size, int output_end,
                const uint8_t *answer, size_t answer_size, int answer_end);

/* How many bytes both have in common from their start. */
size_t jc_common(const uint8_t *a, const uint8_t *b, size_t size);

/* Where a byte is, for a message: lines and tokens before the end of the bytes seen so far. */
struct jc_place {
    uint64_t line, token; /* both from 0; token in its line */
    uint32_t inside;      /* the last byte was part of a token */
    uint32_t reserved;
};
void jc_locate(struct jc_place *place, const uint8_t *bytes, size_t size);

/* A sum over all pieces (lines or tokens) that does not depend on their order: SipHash-2-4-128 of each, added. */
enum {
    JC_BY_LINE = 0,  /* pieces end at CR or LF; empty ones do not count; the tokens in them do, not the gaps */
    JC_BY_TOKEN = 1, /* pieces are tokens */
};
struct jc_sum {
    uint64_t key[2];
    uint64_t v[4];   /* of the piece under way */
    uint64_t sum[2];
    uint64_t pieces;
    uint64_t length; /* bytes hashed of the piece under way */
    uint64_t word;   /* its last bytes, fewer than eight */
    uint32_t by;
    uint32_t filled;  /* bytes in word */
    uint32_t started; /* the piece has bytes, even if none of them was hashed */
    uint32_t gap;     /* white space since its last token */
};
void jc_sum_start(struct jc_sum *sum);
void jc_sum_add(struct jc_sum *sum, const uint8_t *bytes, size_t size);
void jc_sum_end(struct jc_sum *sum);
