/* Of lib/sync/shared.c and park.c: only loops that sleep are woken, and only if one of their tasks waits. */
#include "support/shared_tests.h"
#include "task/task.h"

TestSuite(shared_wakes, .init = leaks_begin, .fini = leaks_end, .timeout = 30);

enum { MANY = 200 };

static unsigned wakes(void)
{
        return (unsigned)atomic_load(&ouro_this_loop()->wakes_given);
}

static intptr_t puts_many(void *unused)
{
        for (int i = 0; i < MANY; i++)
                put("a");
        return (intptr_t)unused;
}

RUN(shared_wakes, a_loop_that_is_awake_is_not_woken_however_many_of_its_tasks_are)
{
        static ouro_task tasks[MANY];
        struct other thread;
        unsigned before;

        chan = ouro_chan_new_shared(1, 1);
        for (int i = 0; i < MANY; i++)
                tasks[i] = ouro_create_task(receives, NULL);
        while (waiting() < MANY)
                cr_assert_eq(ouro_yield(), 0);
        before = wakes();
        start(&thread, false, puts_many, 0);
        cr_assert_eq(finish(&thread), 0);
        cr_assert_eq(wakes(), before);
        for (int i = 0; i < MANY; i++)
                cr_assert_eq(ouro_await(tasks[i]), 'a');
        cr_assert_eq(wakes(), before);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static intptr_t puts_many_and_says_so(void *done)
{
        puts_many(NULL);
        return ouro_chan_send(done, "");
}

static intptr_t sleeps_until_all_are_put(void *unused)
{
        ouro_chan *done = ouro_chan_new_shared(1, 1);
        struct other thread = {.fn = puts_many_and_says_so, .arg = done};
        unsigned before = wakes();
        char item;

        (void)unused;
        chan = ouro_chan_new_shared(1, MANY);
        cr_assert_eq(pthread_create(&thread.thread, NULL, run_other, &thread), 0);
        cr_assert_eq(ouro_chan_recv(done, &item), 0);
        cr_assert_leq(wakes(), before + 1, "woken by what nobody waits for");
        cr_assert_eq(finish(&thread), 0);
        cr_assert_eq(ouro_chan_len(chan), (size_t)MANY);
        cr_assert_eq(ouro_chan_free(chan), 0);
        cr_assert_eq(ouro_chan_free(done), 0);
        return 0;
}

Test(shared_wakes, a_loop_that_sleeps_is_not_woken_by_what_nobody_waits_for)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.spin_ns = -1;
        for (int i = 0; i < 20; i++)
                cr_assert_eq(ouro_run_with(&options, sleeps_until_all_are_put, NULL), 0);
}
