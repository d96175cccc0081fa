/* What holds for all that tasks wait for among themselves, of whatever kind: waits are cut short by time,
 * many of them at once, and fail on entry in a cancelled task; releases act there; who never has to wait lets
 * others run. */
#include <errno.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(every_wait, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static struct ouro_mutex mutex, notice_mutex;
static struct ouro_rwlock lock;
static struct ouro_semaphore semaphore;
static struct ouro_condition condition;
static struct ouro_event event;
static struct ouro_barrier barrier;
static struct ouro_latch latch;
static struct ouro_wait_group work;
static struct ouro_once once;
static ouro_chan *chan, *full, *shared, *shared_full;
static ouro_broadcast *broadcast;
static ouro_watch *watch;
static ouro_task doer;

/* ---- the waits: what each returns, having let go of what it got ---- */

static int locks(void)
{
        int result = ouro_mutex_lock(&mutex);

        return result < 0 ? result : ouro_mutex_unlock(&mutex);
}

static int reads(void)
{
        int result = ouro_rwlock_read(&lock);

        return result < 0 ? result : ouro_rwlock_unlock(&lock);
}

static int writes(void)
{
        int result = ouro_rwlock_write(&lock);

        return result < 0 ? result : ouro_rwlock_unlock(&lock);
}

static int acquires_two(void)
{
        int result = ouro_semaphore_acquire_n(&semaphore, 2);

        return result < 0 ? result : ouro_semaphore_release_n(&semaphore, 2);
}

static int waits_for_notice(void)
{
        int result = ouro_mutex_lock(&notice_mutex);

        if (result < 0)
                return result;
        result = ouro_condition_wait(&condition, &notice_mutex);
        cr_assert_eq(ouro_mutex_unlock(&notice_mutex), 0);
        return result;
}

static int waits_for_event(void)
{
        return ouro_event_wait(&event);
}

static int waits_for_parties(void)
{
        return (int)ouro_barrier_wait(&barrier);
}

static int waits_for_latch(void)
{
        return ouro_latch_wait(&latch);
}

static int waits_for_work(void)
{
        return ouro_wait_group_wait(&work);
}

static int wants_it_done(void)
{
        return (int)ouro_once_do(&once, gives, as_arg(5));
}

static int receives(void)
{
        char item;

        return ouro_chan_recv(chan, &item);
}

static int sends(void)
{
        return ouro_chan_send(full, "x");
}

static int receives_shared(void)
{
        char item;

        return ouro_chan_recv(shared, &item);
}

static int sends_shared(void)
{
        return ouro_chan_send(shared_full, "x");
}

static int hears(void)
{
        ouro_subscription *subscription = ouro_broadcast_subscribe(broadcast);
        char item;
        int result = ouro_broadcast_recv(subscription, &item, NULL);

        cr_assert_eq(ouro_broadcast_unsubscribe(subscription), 0);
        return result;
}

static int watches(void)
{
        return (int)ouro_watch_wait(watch, 0, NULL);
}

static int selects(void)
{
        char item[2];
        struct ouro_case cases[] = {OURO_CASE_RECV(chan, &item[0]), OURO_CASE_RECV(shared, &item[1]),
                                    OURO_CASE_SEND(full, "x"), OURO_CASE_SEND(shared_full, "x"),
                                    OURO_CASE_EVENT(&event)};

        return (int)ouro_select(cases, 5);
}

static int (*const waits[])(void) = {locks,
                                     reads,
                                     writes,
                                     acquires_two,
                                     waits_for_notice,
                                     waits_for_event,
                                     waits_for_parties,
                                     waits_for_latch,
                                     waits_for_work,
                                     wants_it_done,
                                     receives,
                                     sends,
                                     receives_shared,
                                     sends_shared,
                                     hears,
                                     watches,
                                     selects};

enum { WAITS = sizeof waits / sizeof *waits };

static intptr_t waits_once(void *kind)
{
        return waits[(intptr_t)kind]();
}

/* ---- what they wait for ---- */

static intptr_t does_it_late(void *unused)
{
        (void)unused;
        return ouro_once_do(&once, waits_for_ever, NULL);
}

static void set_up(void)
{
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        barrier.parties = SIZE_MAX / 4;
        latch.count = work.count = 1;
        doer = ouro_create_task(does_it_late, NULL);
        chan = ouro_chan_new(1, 1);
        full = ouro_chan_new(1, 1);
        shared = ouro_chan_new_shared(1, 1);
        shared_full = ouro_chan_new_shared(1, 1);
        cr_assert_eq(ouro_chan_send(full, "x"), 0);
        cr_assert_eq(ouro_chan_send(shared_full, "x"), 0);
        broadcast = ouro_broadcast_new(1, 1);
        watch = ouro_watch_new(0, NULL);
        cr_assert_eq(ouro_yield(), 0);
}

/* All that is waited for is there, each as far as it goes. Releases only: they act in a cancelled task, too.
 */
static void release_all(void)
{
        char item;

        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_rwlock_downgrade(&lock), 0);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_semaphore_release_n(&semaphore, 2), 0);
        cr_assert_geq(ouro_condition_notify_all(&condition), 0);
        cr_assert_eq(ouro_event_set(&event), 0);
        cr_assert_eq(ouro_barrier_abort(&barrier), 0);
        cr_assert_eq(ouro_latch_count_down(&latch, 1), 0);
        cr_assert_eq(ouro_wait_group_done(&work), 0);
        cr_assert_eq(ouro_cancel(doer), 0);
        cr_assert_eq(ouro_chan_try_send(chan, "x"), 0);
        cr_assert_eq(ouro_chan_try_recv(full, &item), 0);
        cr_assert_eq(ouro_chan_try_send(shared, "x"), 0);
        cr_assert_eq(ouro_chan_try_recv(shared_full, &item), 0);
        cr_assert_geq(ouro_broadcast_send(broadcast, "x"), 0);
        cr_assert_eq(ouro_watch_set(watch, NULL), 1);
}

static void close_all(void)
{
        cr_assert_eq(ouro_broadcast_close(broadcast), 0);
        cr_assert_eq(ouro_watch_close(watch), 0);
        cr_assert_eq(ouro_chan_close(chan), 0);
        cr_assert_eq(ouro_chan_close(shared), 0);
}

static void clean_up(void)
{
        cr_assert_eq(ouro_await(doer), -ECANCELED);
        cr_assert_eq(ouro_chan_free(chan), 0);
        cr_assert_eq(ouro_chan_free(full), 0);
        cr_assert_eq(ouro_chan_free(shared), 0);
        cr_assert_eq(ouro_chan_free(shared_full), 0);
        cr_assert_eq(ouro_broadcast_free(broadcast), 0);
        cr_assert_eq(ouro_watch_free(watch), 0);
}

/* One of each waits, and all end when what they wait for comes: a select and the channels share, so that it
 * is for the select to be content with what is left. */
static void all_still_serve(void)
{
        ouro_task tasks[WAITS];

        for (intptr_t i = 0; i < WAITS; i++)
                tasks[i] = ouro_create_task(waits_once, as_arg(i));
        cr_assert_eq(ouro_yield(), 0);
        for (int i = 0; i < WAITS; i++)
                cr_assert_eq(ouro_task_state(tasks[i]), OURO_STATE_WAITING, "wait %d", i);
        release_all();
        for (int i = 0; i < WAITS; i++) {
                intptr_t result = ouro_await(tasks[i]);

                cr_assert(result >= 0 || (result == -EPIPE && waits[i] == waits_for_parties), "wait %d: %ld",
                          i, (long)result);
        }
}

/* ---- the tests ---- */

enum { OF_EACH = 600 }; /* beyond ten thousand in all */

static int64_t deadline_ns;
static unsigned timed_out;

static intptr_t waits_until_the_deadline(void *kind)
{
        int result = 0;

        OURO_TIMEOUT(deadline_ns - ouro_now())
                result = waits[(intptr_t)kind]();
        cr_assert_eq(result, -ETIME, "wait %ld: %d", (long)(intptr_t)kind, result);
        timed_out++;
        return 0;
}

RUN(every_wait, f06_ten_thousand_of_all_kinds_that_time_out_in_one_tick_leave_all_whole)
{
        set_up();
        deadline_ns = ouro_now() + OURO_MS(300);
        OURO_GROUP(group)
                for (intptr_t i = 0; i < OF_EACH * WAITS; i++)
                        ouro_create_task(waits_until_the_deadline, as_arg(i % WAITS));
        cr_assert_eq(timed_out, OF_EACH * WAITS);
        all_still_serve();
        close_all();
        clean_up();
}

RUN(every_wait, f06_ten_thousand_of_all_kinds_that_are_cancelled_at_once_leave_all_whole)
{
        static ouro_task tasks[OF_EACH * WAITS];

        set_up();
        for (intptr_t i = 0; i < OF_EACH * WAITS; i++)
                tasks[i] = ouro_create_task(waits_once, as_arg(i % WAITS));
        cr_assert_eq(ouro_yield(), 0);
        for (size_t i = 0; i < OF_EACH * WAITS; i++)
                cr_assert_eq(ouro_cancel(tasks[i]), 0);
        for (size_t i = 0; i < OF_EACH * WAITS; i++)
                cr_assert_eq(ouro_await(tasks[i]), -ECANCELED, "wait %zu", i % WAITS);
        all_still_serve();
        close_all();
        clean_up();
}

static intptr_t waits_cancelled(void *unused)
{
        (void)unused;
        set_up();
        cr_assert_eq(ouro_cancel(ouro_self()), 0);
        release_all();
        barrier = (struct ouro_barrier)OURO_BARRIER_INIT(1);
        for (int i = 0; i < WAITS; i++)
                cr_assert_eq(waits[i](), -ECANCELED, "wait %d", i);
        cr_assert_eq(semaphore.count, 2u);
        cr_assert(ouro_chan_len(chan) == 1 && ouro_chan_len(full) == 0);
        cr_assert(ouro_chan_len(shared) == 1 && ouro_chan_len(shared_full) == 0);
        cr_assert_eq(ouro_mutex_try_lock(&mutex), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_rwlock_try_write(&lock), 0);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        close_all();
        return 0;
}

RUN(every_wait, fails_on_entry_in_a_cancelled_task_where_releases_act)
{
        cr_assert_eq(ouro_await(ouro_create_task(waits_cancelled, NULL)), 0);
        clean_up();
}

static bool came;

static intptr_t comes(void *unused)
{
        (void)unused;
        came = true;
        return 0;
}

/* What a wait takes is put back, so that it never has to wait. */
static void put_back(void)
{
        ouro_chan_try_send(chan, "x");
        ouro_chan_try_send(shared, "x");
        for (char item; ouro_chan_try_recv(full, &item) == 0 || ouro_chan_try_recv(shared_full, &item) == 0;)
                ;
}

static intptr_t never_waits(void *kind)
{
        while (!came) {
                put_back();
                cr_assert_geq(waits[(intptr_t)kind](), 0, "wait %ld", (long)(intptr_t)kind);
        }
        return 0;
}

RUN(every_wait, f39_that_never_waits_lets_others_run)
{
        set_up();
        release_all();
        cr_assert_eq(ouro_wait(doer), 0);
        barrier = (struct ouro_barrier)OURO_BARRIER_INIT(1);
        for (intptr_t i = 0; i < WAITS; i++) {
                if (waits[i] == waits_for_notice || waits[i] == hears)
                        continue; /* these wait, always */
                came = false;
                OURO_GROUP(group) {
                        ouro_create_task(never_waits, as_arg(i));
                        ouro_create_task(comes, NULL);
                }
        }
        close_all();
        clean_up();
}
