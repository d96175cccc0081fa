/* Of lib/sync/select.c: what ends elsewhere, on another loop or in an executor. */
#include <errno.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(select_far, .init = leaks_begin, .fini = leaks_end, .timeout = 30);

static intptr_t receives(void *chan)
{
        char item = '-';
        int error = ouro_chan_recv(chan, &item);

        return error < 0 ? error : item;
}

struct source {
        ouro_chan *chan;
};

static intptr_t receives_as_job(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        return receives(((const struct source *)in.base)->chan);
}

/* Two that end there when they are told, and are selected here; the other is left alone. */
static void selects_of(const ouro_task tasks[2], ouro_chan *const chans[2])
{
        struct ouro_case cases[] = {OURO_CASE_TASK(tasks[0]), OURO_CASE_TASK(tasks[1]),
                                    OURO_CASE_AFTER(OURO_MS(2))};

        cr_assert_eq(ouro_select(cases, 3), 2);
        OURO_TIMEOUT(OURO_MS(1))
                cr_assert_eq(ouro_select(cases, 2), -ETIME);
        cr_assert_eq(ouro_chan_send(chans[1], "b"), 0);
        cr_assert_eq(ouro_select(cases, 2), 1);
        cr_assert_eq(ouro_await(tasks[1]), 'b');
        cr_assert_eq(ouro_select(cases, 2), -ESRCH, "its result has been taken");
        cr_assert_eq(ouro_try_select(cases, 1), -EAGAIN);
        cr_assert_eq(ouro_chan_send(chans[0], "a"), 0);
        cr_assert_eq(ouro_select(cases, 1), 0);
        cr_assert_eq(ouro_await(tasks[0]), 'a');
}

static void with_channels(void (*body)(ouro_chan **chans))
{
        ouro_chan *chans[2] = {ouro_chan_new_shared(1, 1), ouro_chan_new_shared(1, 1)};

        body(chans);
        cr_assert_eq(ouro_chan_free(chans[0]), 0);
        cr_assert_eq(ouro_chan_free(chans[1]), 0);
}

static void of_another_loop(ouro_chan **chans)
{
        ouro_task tasks[2];
        ouro_loops *loops;

        cr_assert_eq(ouro_loops_open(NULL, &loops), 0);
        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_create_task_on(ouro_loops_at(loops, 0), receives, chans[i]);
        selects_of(tasks, chans);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
}

RUN(select_far, tasks_of_another_loop)
{
        with_channels(of_another_loop);
}

static void of_an_executor(ouro_chan **chans)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        struct source sources[2] = {{chans[0]}, {chans[1]}};
        ouro_executor *pool;
        ouro_task tasks[2];

        options.threads = 2;
        cr_assert_eq(ouro_thread_pool_open(&options, &pool), 0);
        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_submit(pool, receives_as_job, OURO_IN(sources[i]), OURO_NO_OUT);
        selects_of(tasks, chans);
        cr_assert_eq(ouro_executor_close(pool), 0);
}

RUN(select_far, jobs)
{
        with_channels(of_an_executor);
}
