/* job_classes.h - jobs that wait, by priority: a queue for each, looked at in order.
 *
 * Strictly in order: as long as jobs of a higher priority keep coming faster than they are done, those of a
 * lower one wait. The bound counts for all three together. */
#ifndef OURO_EXECUTORS_JOB_CLASSES_H
#define OURO_EXECUTORS_JOB_CLASSES_H

#include "executors/job_queue.h"

enum { JOB_CLASSES = 3 };

struct job_classes {
        struct job_queue of[JOB_CLASSES]; /* the highest priority first */
        size_t capacity;
};

/* 0 or -ENOMEM. */
int job_classes_init(struct job_classes *classes, size_t capacity);
void job_classes_fini(struct job_classes *classes);

/* Puts a job into the queue of its priority. Results as job_queue_push(). From any thread, as all below. */
int job_classes_push(struct job_classes *classes, struct ouro_job *job, enum ouro_priority priority);

/* The oldest job of the highest priority, or NULL: empty. */
struct ouro_job *job_classes_pop(struct job_classes *classes);

void job_classes_close(struct job_classes *classes);

/* Closed, and nothing is left. */
bool job_classes_ended(struct job_classes *classes);

size_t job_classes_count(struct job_classes *classes);
size_t job_classes_popped(struct job_classes *classes);

#endif
