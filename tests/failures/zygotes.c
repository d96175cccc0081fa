/* The process that workers come from dies; and workers that stand by for those that do. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/process_tests.h"

TestSuite(zygotes, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static intptr_t tells_parent(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return getppid();
}

static pid_t pid_of_zygote(void)
{
        intptr_t pid = ouro_await(ouro_submit(pool, tells_parent, OURO_NO_IN, OURO_NO_OUT));

        cr_assert(pid > 1);
        return (pid_t)pid;
}

static intptr_t loses_its_zygote(void *arg)
{
        enum { QUEUED = 10 };
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct gate *gate = shared(sizeof *gate);
        int *count = shared(sizeof *count);
        struct ouro_report *report = NULL;
        ouro_task running, queued[QUEUED];
        pid_t zygote = pid_of_zygote();

        (void)arg;
        options.ret_report = &report;
        running = ouro_submit_with(pool, waits, OURO_NO_IN, ouro_out(gate, sizeof *gate), &options);
        await_begun(gate, 1);
        for (int i = 0; i < QUEUED; i++)
                queued[i] = ouro_submit(pool, counts, OURO_NO_IN, ouro_out(count, sizeof *count));
        kill(zygote, SIGKILL);
        cr_assert(ouro_await(running) == -EOWNERDEAD);
        cr_assert(report && report->zygote_died && report->attempts == 1);
        ouro_report_free(report);
        for (int i = 0; i < QUEUED; i++)
                cr_assert(ouro_await(queued[i]) > 0, "what was queued is kept");
        cr_assert(*count == QUEUED);
        cr_assert(pid_of_zygote() != zygote);
        return 0;
}

Test(zygotes, jobs_that_run_are_lost_with_the_zygote_and_no_others)
{
        with_workers(1, loses_its_zygote);
}

static intptr_t waits_once(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        return ouro_job_attempt(job) == 0 ? waits(job, in, out) : 4;
}

static intptr_t retries_over_zygotes(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct gate *gate = shared(sizeof *gate);
        pid_t zygote = pid_of_zygote();
        ouro_task task;

        (void)arg;
        options.retries = 1;
        task = ouro_submit_with(pool, waits_once, OURO_NO_IN, ouro_out(gate, sizeof *gate), &options);
        await_begun(gate, 1);
        kill(zygote, SIGKILL);
        cr_assert(ouro_await(task) == 4);
        return 0;
}

Test(zygotes, an_idempotent_job_is_begun_again_with_the_next_zygote)
{
        with_workers(2, retries_over_zygotes);
}

static intptr_t loses_many_zygotes(void *arg)
{
        (void)arg;
        for (int i = 0; i < 5; i++) {
                pid_t zygote = pid_of_zygote();

                kill(zygote, SIGKILL);
                cr_assert(pid_of_zygote() > 1);
        }
        await_workers(3);
        return 0;
}

Test(zygotes, a_new_one_starts_each_time_and_the_pool_is_complete_again)
{
        with_workers(3, loses_many_zygotes);
}

static intptr_t closes_without_zygote(void *arg)
{
        (void)arg;
        kill(pid_of_zygote(), SIGKILL);
        return 0;
}

Test(zygotes, a_pool_that_has_just_lost_its_zygote_can_be_closed)
{
        for (int i = 0; i < 5; i++)
                with_workers(2, closes_without_zygote);
}

/* ---- standing by ---- */

static intptr_t stays_in_initializer(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return 0;
}

static intptr_t dies_and_tells(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        raise(SIGKILL);
        return 0;
}

static intptr_t tells_number(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        return (intptr_t)ouro_job_worker(job);
}

static intptr_t is_stood_in_for(void *arg)
{
        (void)arg;
        for (int i = 0; i < 10; i++) {
                cr_assert(ouro_await(ouro_submit(pool, dies_and_tells, OURO_NO_IN, OURO_NO_OUT)) ==
                          -EOWNERDEAD);
                cr_assert(ouro_await(ouro_submit(pool, tells_number, OURO_NO_IN, OURO_NO_OUT)) == 0,
                          "it has the number of the one it stands in for");
        }
        cr_assert(stats().restarts == 10 && stats().workers <= 1);
        return 0;
}

Test(zygotes, one_that_stands_by_takes_the_place_and_the_number)
{
        struct ouro_process_options options = options_of(1);

        options.standby = 2;
        options.initializer = stays_in_initializer;
        with_options(options, is_stood_in_for);
}

/* ---- life and death by options ---- */

static intptr_t prints(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        printf("%d to stdout\n", *(const int *)in.base);
        fflush(stdout);
        if (write(2, "and stderr\n", 11) != 11)
                return -EIO;
        if (*(const int *)in.base == 2)
                raise(SIGKILL);
        return 0;
}

static intptr_t captures(void *arg)
{
        (void)arg;
        for (int i = 0; i < 4; i++) {
                struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
                struct ouro_report *report = NULL;
                char wanted[64];

                snprintf(wanted, sizeof wanted, "%d to stdout\nand stderr\n", i);
                if (i != 1)
                        options.ret_report = &report;
                cr_assert(ouro_await(ouro_submit_with(pool, prints, OURO_IN(i), OURO_NO_OUT, &options)) ==
                          (i == 2 ? -EOWNERDEAD : 0));
                if (i == 1)
                        continue;
                cr_assert(report && report->attempts == 1);
                cr_assert_str_eq(report->output, wanted);
                cr_assert(report->output_bytes == strlen(wanted));
                ouro_report_free(report);
        }
        return 0;
}

Test(zygotes, output_is_kept_for_each_job_also_for_one_that_died)
{
        struct ouro_process_options options = options_of(2);

        options.output = OURO_OUTPUT_CAPTURE;
        with_options(options, captures);
}

/* ---- refused ---- */

Test(zygotes, options_out_of_range_are_refused)
{
        struct ouro_process_options options = options_of(1025);
        ouro_executor *made = NULL;

        cr_assert(ouro_process_pool_open(&options, &made) == -EINVAL);
        options = options_of(1);
        options.ahead = 257;
        cr_assert(ouro_process_pool_open(&options, &made) == -EINVAL);
        options = options_of(1);
        options.queue = (1 << 20) + 1;
        cr_assert(ouro_process_pool_open(&options, &made) == -EINVAL);
        options = options_of(1);
        options.name = "longer than fifteen bytes";
        cr_assert(ouro_process_pool_open(&options, &made) == -EINVAL);
        options = options_of(1);
        options.standby = 1;
        options.arena_per_worker = true;
        cr_assert(ouro_process_pool_open(&options, &made) == -EINVAL);
        options = options_of(1);
        options.size = 0;
        cr_assert(ouro_process_pool_open(&options, &made) == -EINVAL);
        cr_assert(ouro_process_pool_open(&options, NULL) == -EINVAL);
        cr_assert(!made);
}
