/* corpus.c - the data that all the work moves, made once from the seed.
 *
 * Stretches that do not compress alternate with stretches that do: deflate has to do both of its works. */
#include "corpus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
        BLOCK_BYTES = 1 << 20,
        STRETCH_BYTES = 512,
};

static const struct {
        uint32_t least;
        uint32_t most;
} bounds[CORPUS_SIZES] = {
        [CORPUS_SMALL] = {16, CORPUS_SMALL_MAX},
        [CORPUS_MIDDLE] = {4 << 10, CORPUS_MIDDLE_MAX},
        [CORPUS_LARGE] = {64 << 10, CORPUS_LARGE_MAX},
};

static void fill_with_noise(unsigned char *to, size_t len, struct random *random)
{
        uint64_t word;

        for (size_t i = 0; i < len; i += sizeof(word)) {
                word = random_next(random);
                memcpy(to + i, &word, sizeof(word));
        }
}

static void fill_with_words(unsigned char *to, size_t len, struct random *random)
{
        static const char words[8][9] = {"submit  ", "complete", "cancel  ", "deadline",
                                         "await   ", "gather  ", "channel ", "wake up "};

        for (size_t i = 0; i < len; i += 8)
                memcpy(to + i, words[random_below(random, 8)], 8);
}

static void cut_pieces(struct corpus *corpus, enum corpus_size size, struct random *random)
{
        struct piece *piece;

        for (unsigned i = 0; i < CORPUS_PIECES; i++) {
                piece = &corpus->pieces[size][i];
                piece->len = bounds[size].least +
                             (uint32_t)random_below(random, bounds[size].most - bounds[size].least + 1);
                piece->data = corpus->block + random_below(random, BLOCK_BYTES - piece->len + 1);
                piece->crc = (uint32_t)crc32(0, piece->data, piece->len);
        }
}

int corpus_make(struct corpus *corpus, uint64_t seed)
{
        struct random random = random_stream(seed, UINT64_MAX - 1);

        corpus->block = malloc(BLOCK_BYTES);
        if (!corpus->block)
                return -ENOMEM;
        for (size_t at = 0; at < BLOCK_BYTES; at += 2 * STRETCH_BYTES) {
                fill_with_noise(corpus->block + at, STRETCH_BYTES, &random);
                fill_with_words(corpus->block + at + STRETCH_BYTES, STRETCH_BYTES, &random);
        }
        for (unsigned size = 0; size < CORPUS_SIZES; size++)
                cut_pieces(corpus, (enum corpus_size)size, &random);
        return 0;
}

void corpus_free(struct corpus *corpus)
{
        free(corpus->block);
        corpus->block = NULL;
}
