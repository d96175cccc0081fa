/* corpus.h - the data that all the work moves, made once from the seed.
 *
 * Pieces are spans of one block with their checksums: so nobody needs a buffer to send from, and whoever
 * receives can compare byte by byte. */
#ifndef OURO_TOOL_CORPUS_H
#define OURO_TOOL_CORPUS_H

#include "random.h"

#include <stddef.h>
#include <stdint.h>

enum corpus_size {
        CORPUS_SMALL,  /* 16 bytes to 4 KiB: a request */
        CORPUS_MIDDLE, /* 4 to 64 KiB: more than a socket holds without its reader */
        CORPUS_LARGE,  /* 64 to 256 KiB: a file */
        CORPUS_SIZES,
};

enum {
        CORPUS_PIECES = 128, /* of each size */
        CORPUS_SMALL_MAX = 4 << 10,
        CORPUS_MIDDLE_MAX = 64 << 10,
        CORPUS_LARGE_MAX = 256 << 10,
};

struct piece {
        const unsigned char *data;
        uint32_t len;
        uint32_t crc; /* zlib's crc32 of it */
};

struct corpus {
        unsigned char *block;
        struct piece pieces[CORPUS_SIZES][CORPUS_PIECES];
};

/* Returns 0 or -ENOMEM. */
int corpus_make(struct corpus *corpus, uint64_t seed);
void corpus_free(struct corpus *corpus);

static inline const struct piece *corpus_pick(const struct corpus *corpus, enum corpus_size size,
                                              struct random *random)
{
        return &corpus->pieces[size][random_below(random, CORPUS_PIECES)];
}

#endif
