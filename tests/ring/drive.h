/* drive.h - a ring without tasks: ops are started by hand and waited for by hand. */
#ifndef OURO_TESTS_RING_DRIVE_H
#define OURO_TESTS_RING_DRIVE_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "ring/ring.h"

struct drive {
        struct sched sched;
        struct ring ring;
};

static inline void drive_completed(struct ring *ring, struct op *op)
{
        (void)ring;
        cr_assert_eq(op->state, OP_IDLE);
}

static inline int drive_open(struct drive *drive, const struct backend *backend, unsigned kernel,
                             unsigned kernel_workers)
{
        const struct ring_config config = {.entries = 64, .kernel = kernel, .kernel_workers = kernel_workers};

        memset(&drive->sched, 0, sizeof drive->sched);
        return ring_open(&drive->ring, &drive->sched, backend, &config);
}

static inline int64_t drive_now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return OURO_SEC((int64_t)now.tv_sec) + now.tv_nsec;
}

/* Submitting never completes anything. */
static inline void drive_start(struct drive *drive, struct op *op)
{
        op->complete = drive_completed;
        cr_assert_eq(ring_begin(&drive->ring, op), 0);
        cr_assert_neq(op->state, OP_IDLE);
}

static inline int32_t drive_finish(struct drive *drive, struct op *op)
{
        int64_t give_up_ns = drive_now_ns() + OURO_SEC(20);

        while (op->state != OP_IDLE) {
                cr_assert_eq(ring_wait(&drive->ring, OURO_MS(100)), 0);
                cr_assert_lt(drive_now_ns(), give_up_ns, "opcode %d does not complete", op->sqe.opcode);
        }
        return op->res;
}

static inline int32_t drive_run(struct drive *drive, struct op *op)
{
        drive_start(drive, op);
        return drive_finish(drive, op);
}

/* Lets everything happen that can, and looks whether op still waits. */
static inline void drive_waits(struct drive *drive, struct op *op)
{
        for (int i = 0; i < 3; i++)
                cr_assert_eq(ring_wait(&drive->ring, OURO_MS(5)), 0);
        cr_assert_neq(op->state, OP_IDLE, "opcode %d ended with %d", op->sqe.opcode, op->res);
}

/* Neither does cancelling complete anything. */
static inline int32_t drive_cancel(struct drive *drive, struct op *op)
{
        cr_assert_neq(op->state, OP_IDLE);
        ring_cancel(&drive->ring, op);
        cr_assert_neq(op->state, OP_IDLE);
        return drive_finish(drive, op);
}

#endif
