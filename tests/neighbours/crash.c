/* crash.c - what a process pool must outlive: {error, exit, crash} at each stage of a job, workers that kill
 * each other, a crash while the pool closes, a large span on its way. For each way of starting workers.
 *
 * Stages: a job's input is looked at (decode), it runs (run), its result is half written (encode), and its
 * result is written whole (done). Whatever happens there, the job has one outcome, its output is whole or
 * untouched, and the next job finds a working pool. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(crash, .init = leaks_begin, .fini = leaks_end, .timeout = 120);

enum stage { AT_DECODE, AT_RUN, AT_ENCODE, AT_DONE, STAGES };
enum way { BY_ERROR, BY_EXIT, BY_RAW_EXIT, BY_ABORT, BY_SEGV, BY_KILL, BY_TERM, WAYS };

enum { BYTES = 64 * 1024, ERROR = -EDOM, EXIT_STATUS = 7 };

/* What a job is told: where and how to fail, before a span as large as its result. */
struct order {
        enum stage stage;
        enum way way;
        char span[BYTES];
};

static void fails_by(enum way way)
{
        switch (way) {
        case BY_EXIT:
                exit(EXIT_STATUS);
        case BY_RAW_EXIT:
                _exit(EXIT_STATUS);
        case BY_ABORT:
                abort();
        case BY_SEGV:
                raise(SIGSEGV);
                break;
        case BY_KILL:
                kill(getpid(), SIGKILL);
                break;
        case BY_TERM:
                kill(getpid(), SIGTERM);
                break;
        default:
                break;
        }
}

static intptr_t obeys(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct order *order = in.base;
        char *result = out.base;

        (void)job;
        if (order->stage == AT_DECODE)
                fails_by(order->way);
        if (!filled(order->span, BYTES, 0))
                return -EBADMSG;
        if (order->stage == AT_RUN)
                fails_by(order->way);
        fill(result, BYTES / 2, 0);
        if (order->stage == AT_ENCODE)
                fails_by(order->way);
        fill(result + BYTES / 2, BYTES / 2, BYTES / 2);
        if (order->stage == AT_DONE)
                fails_by(order->way);
        return order->way == BY_ERROR ? ERROR : BYTES;
}

static int signal_of(enum way way)
{
        static const int signals[WAYS] = {
                [BY_ABORT] = SIGABRT, [BY_SEGV] = SIGSEGV, [BY_KILL] = SIGKILL, [BY_TERM] = SIGTERM};

        return signals[way];
}

static void check_report(const struct ouro_report *report, enum way way)
{
        cr_assert_not_null(report);
        EQ(report->signal, signal_of(way));
        EQ(report->exit_status, signal_of(way) ? 0 : EXIT_STATUS);
        EQ(report->attempts, 1);
        EQ(report->deaths, 1);
        EQ(report->zygote_died, false);
        cr_assert_str_eq(report->function, "obeys");
}

/* One job that fails, alone. */
static void fail_once(ouro_executor *pool, struct order *order, char *result)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = NULL;
        intptr_t outcome;

        options.name = "obeys";
        options.ret_report = &report;
        memset(result, 0x5a, BYTES);
        outcome = ouro_call(pool, obeys, ouro_in(order, sizeof *order), ouro_out(result, BYTES), &options);
        if (order->way == BY_ERROR) {
                EQ(outcome, ERROR);
                cr_assert(filled(result, BYTES, 0));
        } else {
                EQ(outcome, -EOWNERDEAD);
                check_report(report, order->way);
                for (int i = 0; i < BYTES; i++)
                        EQ(result[i], 0x5a); /* nothing of it, not half */
        }
        ouro_report_free(report);
}

static ouro_executor *open_pool(enum ouro_start start, unsigned workers)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool;

        options.workers = workers;
        options.start = start;
        EQ(ouro_process_pool_open(&options, &pool), 0);
        return pool;
}

static void fail_at_each_stage(enum ouro_start start)
{
        static char result[BYTES];
        static struct order order;
        ouro_executor *pool = open_pool(start, 2);

        fill(order.span, BYTES, 0);
        for (int way = 0; way < WAYS; way++)
                for (int stage = 0; stage < STAGES; stage++) {
                        order.way = (enum way)way;
                        order.stage = (enum stage)stage;
                        fail_once(pool, &order, result);
                }
        EQ(ouro_executor_close(pool), 0);
}

IN_LOOP(crash, f71_f73_at_each_stage_fails_that_job_alone)
{
        fail_at_each_stage(OURO_START_AUTO);
        return 0;
}

static intptr_t fails_with_forks(void *unused)
{
        (void)unused;
        fail_at_each_stage(OURO_START_FORK);
        return 0;
}

/* In a child, because this process has a thread of the test framework. */
Test(crash, f71_f73_at_each_stage_fails_that_job_alone_after_a_fork)
{
        pid_t child = fork();
        int status;

        if (child == 0)
                _exit(ouro_run(fails_with_forks, NULL) == 0 ? 0 : 1);
        EQ(waitpid(child, &status, 0), child);
        EQ(status, 0);
}

/* ---- many at once ---- */

static intptr_t gives_its_input(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        return *(const int *)in.base;
}

static intptr_t dies(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        abort();
}

IN_LOOP(crash, f71_among_many_fails_no_other_job)
{
        enum { JOBS = 200 };
        ouro_executor *pool = open_pool(OURO_START_AUTO, 2);
        ouro_task tasks[JOBS];
        intptr_t results[JOBS];
        int numbers[JOBS];

        for (int i = 0; i < JOBS; i++) {
                numbers[i] = i;
                tasks[i] = ouro_submit(pool, i % 10 == 9 ? dies : gives_its_input, OURO_IN(numbers[i]),
                                       OURO_NO_OUT);
        }
        EQ(ouro_gather(tasks, JOBS, results), -EOWNERDEAD);
        for (int i = 0; i < JOBS; i++)
                EQ(results[i], i % 10 == 9 ? -EOWNERDEAD : i);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

static intptr_t tells_pid(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return getpid();
}

/* Worker w is asked for its pid; then each kills the next, all at once. */
static intptr_t kills_friend(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        return kill(*(const int *)in.base, SIGKILL) < 0 && errno != ESRCH ? -errno : 0;
}

static void kill_each_other(unsigned workers)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        ouro_executor *pool = open_pool(OURO_START_AUTO, workers);
        ouro_task tasks[16];
        intptr_t results[16];
        int pids[16];

        for (unsigned w = 0; w < workers; w++) {
                options.worker = w + 1;
                pids[w] = (int)ouro_call(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT, &options);
                cr_assert(pids[w] > 0);
        }
        for (unsigned w = 0; w < workers; w++) {
                options.worker = w + 1;
                tasks[w] = ouro_submit_with(pool, kills_friend, OURO_IN(pids[(w + 1) % workers]), OURO_NO_OUT,
                                            &options);
        }
        ouro_gather(tasks, workers, results);
        for (unsigned w = 0; w < workers; w++)
                cr_assert(results[w] == 0 || results[w] == -EOWNERDEAD, "worker %u: %ld", w,
                          (long)results[w]);
        for (unsigned w = 0; w < workers; w++) { /* each place is filled again */
                options.worker = w + 1;
                cr_assert(ouro_call(pool, tells_pid, OURO_NO_IN, OURO_NO_OUT, &options) > 0);
        }
        EQ(ouro_executor_close(pool), 0);
}

IN_LOOP(crash, f71_workers_that_kill_each_other_are_replaced)
{
        kill_each_other(1);
        kill_each_other(2);
        kill_each_other(5);
        kill_each_other(13);
        return 0;
}

/* ---- closing, and large spans ---- */

static intptr_t dies_later(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        ouro_job_sleep(job, OURO_MS(20));
        abort();
}

IN_LOOP(crash, f69_while_the_pool_closes_is_told_and_does_not_hold_it_up)
{
        ouro_executor *pool = open_pool(OURO_START_AUTO, 2);
        ouro_task task = ouro_submit(pool, dies_later, OURO_NO_IN, OURO_NO_OUT);

        EQ(ouro_executor_close(pool), 0);
        EQ(ouro_await(task), -EOWNERDEAD);
        return 0;
}

static intptr_t dies_with_data(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        memset(out.base, ((const char *)in.base)[in.len - 1], out.len / 2);
        abort();
}

IN_LOOP(crash, f73_with_large_spans_on_their_way_tears_nothing)
{
        enum { JOBS = 10, LARGE = 4 << 20 };
        ouro_executor *pool = open_pool(OURO_START_AUTO, 2);
        char *in = calloc(1, LARGE), *out = calloc(JOBS, LARGE);
        ouro_task tasks[JOBS];
        intptr_t results[JOBS];

        memset(in, 1, LARGE);
        for (int i = 0; i < JOBS; i++)
                tasks[i] = ouro_submit(pool, dies_with_data, ouro_in(in, LARGE),
                                       ouro_out(out + (size_t)i * LARGE, LARGE));
        EQ(ouro_gather(tasks, JOBS, results), -EOWNERDEAD);
        for (int i = 0; i < JOBS; i++)
                EQ(results[i], -EOWNERDEAD);
        for (size_t i = 0; i < (size_t)JOBS * LARGE; i += 509)
                EQ(out[i], 0);
        EQ(ouro_executor_close(pool), 0);
        free(in);
        free(out);
        return 0;
}

/* ---- a member's crash in its group ---- */

static intptr_t waits_a_day(void *unused)
{
        (void)unused;
        return ouro_sleep(OURO_SEC(86400));
}

IN_LOOP(crash, of_a_member_cancels_its_siblings_as_any_failure_does)
{
        ouro_executor *pool = open_pool(OURO_START_AUTO, 2);
        int error = 0;

        OURO_GROUP(group, &error) {
                ouro_go(waits_a_day, NULL);
                ouro_submit(pool, dies, OURO_NO_IN, OURO_NO_OUT);
        }
        EQ(error, -EOWNERDEAD);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}
