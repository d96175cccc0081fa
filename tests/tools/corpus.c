/* Of tools/corpus.c and tools/random.h: the same seed makes the same choices and the same data. */
#include "../../tools/corpus.h"

#include <criterion/criterion.h>
#include <string.h>
#include <zlib.h>

static struct corpus corpus;

static void release(void)
{
        corpus_free(&corpus);
}

TestSuite(corpus, .fini = release);

Test(corpus, same_seed_same_data)
{
        struct corpus again;

        cr_assert_eq(corpus_make(&corpus, 7), 0);
        cr_assert_eq(corpus_make(&again, 7), 0);
        for (unsigned size = 0; size < CORPUS_SIZES; size++) {
                for (unsigned i = 0; i < CORPUS_PIECES; i++) {
                        const struct piece *a = &corpus.pieces[size][i], *b = &again.pieces[size][i];

                        cr_assert_eq(a->len, b->len);
                        cr_assert_eq(memcmp(a->data, b->data, a->len), 0);
                }
        }
        corpus_free(&again);
}

Test(corpus, other_seed_other_data)
{
        struct corpus other;
        unsigned same = 0;

        cr_assert_eq(corpus_make(&corpus, 7), 0);
        cr_assert_eq(corpus_make(&other, 8), 0);
        for (unsigned i = 0; i < CORPUS_PIECES; i++)
                same += corpus.pieces[CORPUS_LARGE][i].crc == other.pieces[CORPUS_LARGE][i].crc;
        cr_assert_eq(same, 0);
        corpus_free(&other);
}

Test(corpus, pieces_have_their_size_and_checksum)
{
        static const uint32_t most[CORPUS_SIZES] = {CORPUS_SMALL_MAX, CORPUS_MIDDLE_MAX, CORPUS_LARGE_MAX};

        cr_assert_eq(corpus_make(&corpus, 1), 0);
        for (unsigned size = 0; size < CORPUS_SIZES; size++) {
                for (unsigned i = 0; i < CORPUS_PIECES; i++) {
                        const struct piece *piece = &corpus.pieces[size][i];

                        cr_assert_gt(piece->len, 0);
                        cr_assert_leq(piece->len, most[size]);
                        cr_assert_eq(piece->crc, crc32(0, piece->data, piece->len));
                }
        }
}

Test(corpus, data_can_be_compressed_but_not_to_nothing)
{
        static unsigned char packed[CORPUS_LARGE_MAX * 2];
        uLongf packed_len = sizeof(packed);
        const struct piece *piece;

        cr_assert_eq(corpus_make(&corpus, 1), 0);
        piece = &corpus.pieces[CORPUS_LARGE][0];
        cr_assert_eq(compress(packed, &packed_len, piece->data, piece->len), Z_OK);
        cr_assert_lt(packed_len, piece->len * 3 / 4);
        cr_assert_gt(packed_len, piece->len / 4);
}

Test(corpus, same_seed_same_choices)
{
        struct random a = random_stream(42, 3), b = random_stream(42, 3), c = random_stream(42, 4);
        unsigned same = 0;

        for (unsigned i = 0; i < 1000; i++) {
                uint64_t next = random_next(&a);

                cr_assert_eq(next, random_next(&b));
                same += next == random_next(&c);
        }
        cr_assert_eq(same, 0);
}
