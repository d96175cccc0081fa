/* job_queue.h - a bounded queue of jobs for several producers and several consumers, without a lock.
 *
 * D. Vyukov: "Bounded MPMC queue", 2010. Each cell has a turn: producer and consumer of position p own the
 * cell p % size while turn == p and turn == p + 1. The size is a power of two, at least the capacity asked
 * for; the queue is full at exactly that capacity, give or take those who push at the same moment.
 *
 * Closing sets the highest bit of the push position, so that every later push fails and none can slip in
 * between closing and the consumers' last look. */
#ifndef OURO_EXECUTORS_JOB_QUEUE_H
#define OURO_EXECUTORS_JOB_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "ouro/executor.h"

struct job_cell {
        atomic_size_t turn;
        struct ouro_job *job;
};

struct job_queue {
        struct job_cell *cells;
        size_t mask;
        size_t capacity;
        char apart_from_constants[64];
        atomic_size_t pushed; /* next position to push to; highest bit: closed */
        char apart_from_pushed[64];
        atomic_size_t popped; /* next position to pop from */
        char apart_from_popped[64];
};

/* 0 or -ENOMEM. */
int job_queue_init(struct job_queue *queue, size_t capacity);
void job_queue_fini(struct job_queue *queue);

/* 0, -EAGAIN: full, -ESHUTDOWN: closed. From any thread, as all below. */
int job_queue_push(struct job_queue *queue, struct ouro_job *job);

/* The oldest job, or NULL: empty. */
struct ouro_job *job_queue_pop(struct job_queue *queue);

void job_queue_close(struct job_queue *queue);

/* Closed, and nothing is left in it. */
bool job_queue_ended(struct job_queue *queue);

/* How many are in it, at some moment during the call. */
size_t job_queue_count(struct job_queue *queue);

#endif
