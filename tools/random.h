/* random.h - choices that can be repeated: splitmix64.
 *
 * Every worker has a stream of its own, so that what one chooses does not depend on when the others run. */
#ifndef OURO_TOOL_RANDOM_H
#define OURO_TOOL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
        uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
        uint64_t z = (random->state += 0x9e3779b97f4a7c15u);

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

/* The stream of one worker. Mixed twice: neighbours must not run in step. */
static inline struct random random_stream(uint64_t seed, uint64_t number)
{
        struct random mixed = {seed ^ (number + 1) * 0xd1342543de82ef95u};

        mixed.state = random_next(&mixed);
        return mixed;
}

/* From 0 to bound - 1. The bias of the remainder is far below what a stress run could show. */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
        return random_next(random) % bound;
}

static inline bool random_one_in(struct random *random, uint64_t n)
{
        return random_below(random, n) == 0;
}

#endif
