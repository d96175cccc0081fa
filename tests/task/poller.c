/* poller.c - a loop asks what cannot send to it, sleeps only while that listens, and lets go of it. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support/leaks.h"
#include "support/run.h"
#include "task/poller.h"
#include "task/task.h"

TestSuite(poller, .init = leaks_begin, .fini = leaks_end, .timeout = 30);

/* Something outside: a number that goes up elsewhere, and a bell that is rung if somebody listens. */
struct outside {
        atomic_int happened, seen;
        atomic_int listening;
        int bell;
        struct ouro_loop *loop;
        struct poller *poller;
        struct ouro_event event; /* set when something that happened was collected */
        atomic_bool listened;
};

static intptr_t sets(void *event)
{
        return ouro_event_set(event);
}

static void collect(void *what, bool for_certain)
{
        struct outside *outside = what;

        (void)for_certain;
        if (outside->seen == outside->happened)
                return;
        outside->seen = outside->happened;
        cr_assert_eq(ouro_post(outside->loop, sets, &outside->event), 0);
}

static bool listens(void *what)
{
        struct outside *outside = what;

        outside->listening = 1;
        outside->listened = true;
        return outside->seen == outside->happened;
}

static void ignores(void *what)
{
        ((struct outside *)what)->listening = 0;
}

static const struct poller_ops ops = {collect, listens, ignores};

static void happens(struct outside *outside)
{
        const uint64_t one = 1;

        outside->happened++;
        if (atomic_exchange(&outside->listening, 0) == 1)
                cr_assert_eq(write(outside->bell, &one, sizeof one), sizeof one);
}

static void begin(struct outside *outside)
{
        *outside = (struct outside){.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        outside->loop = ouro_this_loop();

        cr_assert_eq(poller_attach(outside->loop, &ops, outside, outside->bell, &outside->poller), 0);
        cr_assert_not_null(outside->poller);
        outside->loop->jobs_out++;
}

static void end(struct outside *outside)
{
        outside->loop->jobs_out--;
        poller_detach(outside->poller);
        close(outside->bell);
}

/* Once the loop has begun to sleep. */
static void *happens_later(void *arg)
{
        struct outside *outside = arg;

        while (!outside->listened)
                sched_yield();
        happens(outside);
        return NULL;
}

RUN(poller, a_sleeping_loop_is_woken_by_the_bell)
{
        struct outside outside;
        pthread_t thread;

        for (int i = 0; i < 3; i++) {
                begin(&outside);
                pthread_create(&thread, NULL, happens_later, &outside);
                cr_assert_eq(ouro_event_wait(&outside.event), 0);
                cr_assert_eq(outside.seen, 1);
                pthread_join(thread, NULL);
                end(&outside);
        }
}

RUN(poller, what_happened_before_the_sleep_is_collected_without_a_bell)
{
        struct outside outside;

        begin(&outside);
        outside.happened++;
        cr_assert_eq(ouro_event_wait(&outside.event), 0);
        cr_assert_eq(outside.listening, 0);
        end(&outside);
}

RUN(poller, is_attached_once)
{
        struct outside outside;
        struct poller *second = outside.poller;

        begin(&outside);
        cr_assert_eq(poller_attach(outside.loop, &ops, &outside, outside.bell, &second), 0);
        cr_assert_null(second);
        end(&outside);
}

RUN(poller, is_not_asked_while_no_job_is_out)
{
        struct outside outside;

        begin(&outside);
        outside.loop->jobs_out--;
        outside.happened++;
        for (int i = 0; i < 3; i++)
                cr_assert_eq(ouro_sleep(1), 0);
        cr_assert_eq(outside.seen, 0);
        outside.loop->jobs_out++;
        cr_assert_eq(ouro_event_wait(&outside.event), 0);
        end(&outside);
}

RUN(poller, a_thousand_that_come_and_go_leave_nothing)
{
        struct outside outside;

        for (int i = 0; i < 1000; i++) {
                begin(&outside);
                end(&outside);
                cr_assert_eq(ouro_sleep(1), 0);
                cr_assert_lt(outside.bell, 100);
        }
}

static void *detaches(void *arg)
{
        struct outside *outside = arg;

        poller_detach(outside->poller);
        outside->poller = NULL;
        cr_assert_eq(ouro_post(outside->loop, sets, &outside->event), 0);
        return NULL;
}

RUN(poller, is_detached_by_another_thread)
{
        struct outside outside;
        pthread_t thread;

        begin(&outside);
        pthread_create(&thread, NULL, detaches, &outside);
        cr_assert_eq(ouro_event_wait(&outside.event), 0);
        pthread_join(thread, NULL);
        outside.loop->jobs_out--;
        outside.happened++;
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(outside.seen, 0); /* not asked any more */
        close(outside.bell);
}

static struct outside outlives;

static intptr_t leaves_it_attached(void *unused)
{
        (void)unused;
        begin(&outlives);
        outlives.loop->jobs_out--;
        return 0;
}

Test(poller, outlives_its_loop_until_it_is_detached)
{
        cr_assert_eq(ouro_run(leaves_it_attached, NULL), 0);
        poller_detach(outlives.poller);
        close(outlives.bell);
}

static intptr_t detaches_at_the_end(void *unused)
{
        (void)unused;
        begin(&outlives);
        end(&outlives); /* its poll has not ended when the run does */
        return 0;
}

Test(poller, that_was_detached_just_before_the_end_is_freed_by_it)
{
        cr_assert_eq(ouro_run(detaches_at_the_end, NULL), 0);
}
