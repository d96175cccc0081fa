/* process_tests.h - what tests of the process pool share: a pool for each test, and jobs to meet with. */
#ifndef OURO_TESTS_SUPPORT_PROCESS_TESTS_H
#define OURO_TESTS_SUPPORT_PROCESS_TESTS_H

#include <criterion/criterion.h>
#include <stddef.h>
#include <sys/types.h>

#include <ouro.h>

#include "support/leaks.h"

/* The pool of the test that runs. */
extern ouro_executor *pool;

struct ouro_process_options options_of(unsigned workers); /* that lose no time after a crash */

/* Runs fn(NULL), which must return 0, in a loop with a pool, and closes that in the loop. */
void with_options(struct ouro_process_options options, ouro_fn *fn);
void with_workers(unsigned workers, ouro_fn *fn);

struct ouro_stats stats(void);
void await_workers(unsigned n); /* that are ready */

/* Zeroed, in the arena: jobs write to it directly. It goes with the pool. */
void *shared(size_t bytes);

intptr_t tells_pid(struct ouro_job *job, struct ouro_in in, struct ouro_out out);
pid_t pid_of_worker(void); /* of one that runs a job now; awaits it */

/* Adds 1 to the int that is its out: returns the sum. */
intptr_t counts(struct ouro_job *job, struct ouro_in in, struct ouro_out out);

/* Where a job and the test meet: from shared(). */
struct gate {
        int began, open;
};

intptr_t waits(struct ouro_job *job, struct ouro_in in,
               struct ouro_out out); /* at the gate that is its out */
ouro_task submit_waiter(struct gate *gate);
void await_begun(const struct gate *gate, int n);
void let_go(struct gate *gate);

#endif
