/* job_queue.h - a bounded queue of jobs for several producers and several consumers, without a lock.
 *
 * D. Vyukov: "Bounded MPMC queue", 2010. Each cell has a turn: producer and consumer of position p own the
 * cell p % size while turn == p and turn == p + 1. The size is a power of two, at least the capacity asked
 * for. A cell keeps its turn less its index, so that a queue begins as memory full of zeros, which nobody has
 * to touch before it is used.
 *
 * Producers do not look at what consumers write unless the queue may be full: seen is what they knew last.
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
        atomic_size_t turn; /* less the cell's index */
        struct ouro_job *job;
};

struct job_queue {
        struct job_cell *cells;
        size_t mask;
        char apart_from_constants[64];
        atomic_size_t pushed; /* next position to push to; highest bit: closed */
        atomic_size_t seen;   /* popped was at least this */
        char apart_from_pushed[64];
        atomic_size_t popped; /* next position to pop from */
        char apart_from_popped[64];
};

/* 0 or -ENOMEM. */
int job_queue_init(struct job_queue *queue, size_t capacity);
void job_queue_fini(struct job_queue *queue);

/* 0; -EAGAIN: capacity jobs, at most what it was made for, are in it, give or take those pushed at the same
 * moment; -ESHUTDOWN: closed. From any thread, as all below. */
int job_queue_push(struct job_queue *queue, struct ouro_job *job, size_t capacity);

/* The oldest job, or NULL: empty. */
struct ouro_job *job_queue_pop(struct job_queue *queue);

void job_queue_close(struct job_queue *queue);

/* Closed, and nothing is left in it. */
bool job_queue_ended(struct job_queue *queue);

/* How many are in it, at some moment during the call. */
size_t job_queue_count(struct job_queue *queue);

/* How many have been taken out of it so far. */
size_t job_queue_popped(struct job_queue *queue);

#endif
