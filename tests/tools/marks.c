/* Of tools/marks.c: a job that ran twice, or never, or that nobody was told of, is seen. */
#include "../../tools/marks.h"

#include <criterion/criterion.h>
#include <pthread.h>

static struct marks marks;
static struct job_totals job;

static void empty(void)
{
        marks = (struct marks){0};
        job = (struct job_totals){0};
}

static void release(void)
{
        marks_free(&marks);
}

TestSuite(marks, .init = empty, .fini = release);

static void add(unsigned runs, enum mark_fate fate)
{
        struct mark *mark = marks_add(&marks);

        cr_assert_not_null(mark);
        for (unsigned i = 0; i < runs; i++)
                mark_ran(mark);
        mark->fate = (uint8_t)fate;
}

Test(marks, none_gives_all_zeros)
{
        marks_sweep(&marks, &job);
        cr_assert_eq(job.submitted, 0);
        cr_assert_eq(job.untold, 0);
}

Test(marks, each_fate_is_counted_once)
{
        add(1, MARK_DONE);
        add(1, MARK_CANCELLED);
        add(0, MARK_CANCELLED);
        add(1, MARK_FAILED);
        marks_sweep(&marks, &job);
        cr_assert_eq(job.submitted, 4);
        cr_assert_eq(job.runs, 3);
        cr_assert_eq(job.done, 1);
        cr_assert_eq(job.cancelled, 2);
        cr_assert_eq(job.cut_runs, 1);
        cr_assert_eq(job.failed, 1);
        cr_assert_eq(job.lost + job.repeated + job.untold, 0);
}

Test(marks, done_without_a_run_is_lost)
{
        add(0, MARK_DONE);
        marks_sweep(&marks, &job);
        cr_assert_eq(job.lost, 1);
}

Test(marks, second_run_is_seen_whatever_the_waiter_was_told)
{
        add(2, MARK_DONE);
        add(2, MARK_CANCELLED);
        marks_sweep(&marks, &job);
        cr_assert_eq(job.repeated, 2);
}

Test(marks, run_256_does_not_look_like_none)
{
        add(256, MARK_DONE);
        marks_sweep(&marks, &job);
        cr_assert_eq(job.lost, 0);
        cr_assert_eq(job.repeated, 1);
}

Test(marks, job_that_nobody_was_told_of_is_seen)
{
        add(1, MARK_OPEN);
        marks_sweep(&marks, &job);
        cr_assert_eq(job.untold, 1);
}

Test(marks, marks_stay_where_they_are)
{
        struct mark *first = marks_add(&marks);

        for (unsigned i = 0; i < 200000; i++)
                add(1, MARK_DONE);
        mark_ran(first);
        first->fate = MARK_DONE;
        marks_sweep(&marks, &job);
        cr_assert_eq(job.submitted, 200001);
        cr_assert_eq(job.runs, 200001);
        cr_assert_eq(job.lost + job.repeated + job.untold, 0);
}

Test(marks, death_is_a_fate_of_its_own)
{
        add(1, MARK_DIED);
        marks_sweep(&marks, &job);
        cr_assert_eq(job.died, 1);
        cr_assert_eq(job.failed, 0);
}

Test(marks, numbers_find_marks_and_none_beyond_the_last)
{
        struct mark *first = marks_add(&marks);

        for (unsigned i = 0; i < 100000; i++)
                cr_assert_not_null(marks_add(&marks));
        cr_assert_eq(marks_at(&marks, 0), first);
        cr_assert_not_null(marks_at(&marks, 100000));
        cr_assert_null(marks_at(&marks, 100001));
}

Test(marks, attempts_are_seen_once_each_and_only_as_many_as_are_allowed)
{
        struct mark *mark = marks_add(&marks);

        mark->retries = 2;
        cr_assert(mark_ran_again(mark, 0));
        cr_assert(mark_ran_again(mark, 2));
        cr_assert_not(mark_ran_again(mark, 2));
        cr_assert_not(mark_ran_again(mark, 3));
        marks_sweep(&marks, &job);
        cr_assert_eq(job.runs, 4);
        cr_assert_eq(job.repeated, 1);
}

static void *run_all(void *arg)
{
        for (unsigned i = 0; i < 100; i++)
                mark_ran(arg);
        return NULL;
}

Test(marks, no_run_is_lost_between_threads)
{
        struct mark *mark = marks_add(&marks);
        pthread_t other;

        cr_assert_eq(pthread_create(&other, NULL, run_all, mark), 0);
        run_all(mark);
        pthread_join(other, NULL);
        mark->fate = MARK_DONE;
        marks_sweep(&marks, &job);
        cr_assert_eq(job.runs, 200);
        cr_assert_eq(job.repeated, 1);
}
