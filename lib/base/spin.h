/* spin.h - whether to poll for a while before a sleep, learned from how often that was in vain.
 *
 * What is waited for may be back sooner than a sleep and a wake would take; or it is not, and the poller
 * burns the CPU that it needs. How long sleeps last tells nothing about that: where a CPU that fell idle
 * wakes slowly, all are long; where the two share a CPU, all are short. So polling is tried now and then:
 * after it was in vain n times in a row, every 2^n-th time. */
#ifndef OURO_BASE_SPIN_H
#define OURO_BASE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

enum { SPIN_VAIN_MOST = 8 };

struct spin {
        int64_t ns;     /* how long to poll; 0 or less: never */
        unsigned vain;  /* tries in vain, in a row */
        unsigned slept; /* times it was not tried since the last try */
};

/* About to sleep: poll before? */
static inline bool spin_is_due(struct spin *spin)
{
        if (spin->ns <= 0)
                return false;
        if (spin->vain == 0)
                return true;
        if (++spin->slept < 1u << spin->vain)
                return false;
        spin->slept = 0;
        return true;
}

static inline void spin_paid(struct spin *spin)
{
        spin->vain = 0;
}

static inline void spin_failed(struct spin *spin)
{
        if (spin->vain < SPIN_VAIN_MOST)
                spin->vain++;
        spin->slept = 0;
}

#endif
