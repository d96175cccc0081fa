/* fake_backend.h - a backend that does what a test says, to the letter and in the order told.
 *
 * It takes ops while it has room, keeps them in order, and completes one only when the test does, or when a
 * cancel of it has come and the test does not want to do that itself. A program that gives its loops this
 * backend defines choose_backend():
 *
 *      int choose_backend(struct ouro_loop *loop, const struct ouro_options *options)
 *      {
 *              return fake_open(&loop->ring, &loop->sched);
 *      }
 */
#ifndef OURO_TESTS_SUPPORT_FAKE_BACKEND_H
#define OURO_TESTS_SUPPORT_FAKE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>

#include "ring/ring.h"

enum { FAKE_MOST = 16384 };

struct fake {
        struct ring *ring;
        size_t room;        /* entries, for ops and cancels, until the next wait */
        size_t room_a_wait; /* what it is set to then; default: plenty */
        bool deaf;          /* a cancel ends nothing by itself */
        int error;          /* what the next wait returns */
        int64_t timeout_ns; /* that the last wait was given */
        size_t waits;
        size_t wakes;
        struct op *ops[FAKE_MOST]; /* taken and not completed, in order */
        size_t ops_len;
        struct op *cancels[FAKE_MOST]; /* asked for, in order; also of ops that have been completed since */
        size_t cancels_len;
        void (*script)(struct fake *fake); /* called in each wait; completes what it likes */
};

extern struct fake fake;
extern const struct backend fake_backend;

/* Empties the fake, and opens it. */
void fake_reset(void);
int fake_open(struct ring *ring, struct sched *sched);

/* Completes an op that has been taken. With IORING_CQE_F_MORE in flags it stays. */
void fake_complete(struct op *op, int32_t res, uint32_t flags);

bool fake_has(const struct op *op);
bool fake_was_cancelled(const struct op *op);

#endif
