/* loops_together.c - what several loops share at once: channels, a pool of threads, and threads without a
 * loop. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(loops_together, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

enum { LOOPS = 3, TASKS_EACH = 4, ITEMS = 3000 };

struct farm {
        ouro_chan *orders, *done;
        ouro_executor *pool;
        atomic_int workers_ended;
};

static intptr_t twice(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        *(int64_t *)out.base = 2 * *(const int64_t *)in.base;
        return 0;
}

/* Each order goes through a job of the pool that all loops share. */
static intptr_t serve(void *arg)
{
        struct farm *farm = arg;
        int64_t order, result;
        int error;

        while ((error = ouro_chan_recv(farm->orders, &order)) == 0) {
                intptr_t job = ouro_await(ouro_submit(farm->pool, twice, OURO_IN(order), OURO_OUT(result)));

                if (job < 0 || (error = ouro_chan_send(farm->done, &result)) < 0)
                        return job < 0 ? job : error;
        }
        atomic_fetch_add(&farm->workers_ended, 1);
        return error == -EPIPE ? 0 : error;
}

static void *orders(void *arg)
{
        struct farm *farm = arg;

        for (int64_t i = 0; i < ITEMS; i++)
                cr_assert_eq(ouro_chan_send(farm->orders, &i), 0);
        cr_assert_eq(ouro_chan_close(farm->orders), 0);
        return NULL;
}

static intptr_t collects(void *arg)
{
        static int seen[2 * ITEMS];
        struct farm *farm = arg;

        memset(seen, 0, sizeof seen);
        for (int i = 0; i < ITEMS; i++) {
                int64_t result = -1;

                cr_assert_eq(ouro_chan_recv(farm->done, &result), 0);
                cr_assert(result >= 0 && result < 2 * ITEMS && result % 2 == 0);
                cr_assert_eq(seen[result]++, 0, "each order is done once");
        }
        return 0;
}

static void open_farm(struct farm *farm, size_t capacity)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;

        options.threads = 2;
        *farm = (struct farm){
                .orders = ouro_chan_new_shared(sizeof(int64_t), capacity),
                .done = ouro_chan_new_shared(sizeof(int64_t), capacity),
                .pool = ouro_thread_pool(&options),
        };
        cr_assert(farm->orders && farm->done && farm->pool);
}

static void close_farm(struct farm *farm)
{
        cr_assert_eq(ouro_executor_close(farm->pool), 0);
        cr_assert_eq(ouro_chan_free(farm->orders), 0);
        cr_assert_eq(ouro_chan_free(farm->done), 0);
}

static void run_farm(size_t capacity)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        struct farm farm;
        pthread_t thread;
        ouro_loops *loops;

        open_farm(&farm, capacity);
        options.count = LOOPS;
        cr_assert_eq(ouro_loops_open(&options, &loops), 0);
        for (int i = 0; i < LOOPS * TASKS_EACH; i++)
                cr_assert_eq(ouro_post(ouro_loops_next(loops), serve, &farm), 0);
        cr_assert_eq(pthread_create(&thread, NULL, orders, &farm), 0);
        cr_assert_eq(ouro_run(collects, &farm), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
        cr_assert_eq(atomic_load(&farm.workers_ended), LOOPS * TASKS_EACH);
        close_farm(&farm);
}

Test(loops_together, orders_of_a_thread_are_done_once_by_tasks_of_three_loops_and_one_pool)
{
        run_farm(16);
}

Test(loops_together, likewise_hand_to_hand)
{
        run_farm(0);
}

Test(loops_together, loops_that_are_closed_let_go_of_those_who_wait_at_a_channel)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        struct farm farm;
        ouro_loops *loops;

        open_farm(&farm, 16);
        options.count = LOOPS;
        cr_assert_eq(ouro_loops_open(&options, &loops), 0);
        for (int i = 0; i < LOOPS * TASKS_EACH; i++)
                cr_assert_eq(ouro_post(ouro_loops_next(loops), serve, &farm), 0);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_CANCEL, OURO_FOREVER), 0);
        cr_assert_eq(atomic_load(&farm.workers_ended), LOOPS * TASKS_EACH, "each was cut short");
        close_farm(&farm);
}
