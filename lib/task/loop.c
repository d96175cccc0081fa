/* loop.c - one pass of the loop, and its clock.
 *
 * A pass: run what is ready, take in what other threads have sent, fire timers, then one ring_wait() that
 * hands over all new operations and collects completions, sleeping only if nothing is ready. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "task/poller.h"
#include "task/task.h"

enum {
        SPIN_LOOKS = 32,   /* at the inbox, before the clock is read */
        BLIND_PASSES = 16, /* at the most, in which nobody looks at the clock */
};

static const int64_t TRIM_NS = 1000 * 1000 * 1000; /* stacks idle for so long give their pages back */

/* ---- clock ---- */

int64_t loop_real_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * OURO_SEC(1) + ts.tv_nsec;
}

int64_t loop_look_now(struct ouro_loop *loop)
{
        loop->now_fresh = true;
        if (!loop->virtual_clock)
                loop->sched.look_ns = loop->now_ns = loop_real_ns();
        return loop->now_ns;
}

/* A look for those who will want to know since when a task waits. It is no reading that a pass shares: what a
 * task computes before the first sleep of its pass must not count as slept without need. */
static void look_at_clock(struct ouro_loop *loop)
{
        loop->blind_passes = 0;
        if (!loop->now_fresh && !loop->virtual_clock)
                loop->sched.look_ns = loop_real_ns();
}

static void set_virtual_clock(struct ouro_loop *loop, int64_t ns)
{
        loop->sched.look_ns = loop->now_ns = ns;
}

int64_t ouro_now(void)
{
        struct ouro_loop *loop = loop_here();

        return loop ? loop_now(loop) : -EPERM;
}

static void fire_timer(void *arg, struct ouro_timer *timer)
{
        struct ouro_loop *loop = arg;

        if (timer_kind(timer) == TIMER_SCOPE)
                scope_expire(loop, timer);
        else
                coro_wake(&loop->sched, container_of(timer, struct coro, timer), 0);
}

static void fire_due(struct ouro_loop *loop)
{
        if (!wheel_empty(&loop->wheel))
                wheel_advance(&loop->wheel, loop_now(loop), fire_timer, loop);
}

/* ---- one pass ---- */

static void relax(void)
{
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
}

/* While jobs are out, one of them may be back sooner than a sleep and a wake would take. True: it is. */
static bool spin(struct ouro_loop *loop)
{
        int64_t end_ns;

        if (loop->jobs_out == 0 || !spin_is_due(&loop->spin))
                return false;
        end_ns = loop_real_ns() + loop->spin.ns;
        do {
                for (int i = 0; i < SPIN_LOOKS; i++) {
                        pollers_collect(loop);
                        if (atomic_load_explicit(&loop->inbox, memory_order_relaxed)) {
                                spin_paid(&loop->spin);
                                return true;
                        }
                        relax();
                }
                ring_wait(&loop->ring, 0);
                if (sched_busy(&loop->sched))
                        return true;
        } while (loop_real_ns() < end_ns);
        spin_failed(&loop->spin);
        return false;
}

/* How long to sleep at the most, for the next timer. Less than zero: for ever. */
static int64_t until_next(struct ouro_loop *loop)
{
        int64_t ns;

        if (wheel_empty(&loop->wheel))
                return -1;
        ns = wheel_next(&loop->wheel) - loop_now(loop);
        return ns > 0 ? ns : 0;
}

/* Only timers can wake anybody now: the virtual clock goes to the next. */
static bool jump(struct ouro_loop *loop)
{
        if (!loop->virtual_clock || loop->ring.in_flight > 0 || loop->jobs_out > 0 ||
            wheel_empty(&loop->wheel))
                return false;
        while (!sched_busy(&loop->sched) && !wheel_empty(&loop->wheel)) {
                set_virtual_clock(loop, wheel_next(&loop->wheel));
                fire_due(loop);
        }
        return true;
}

static int64_t real_ns(const struct ouro_loop *loop)
{
        return loop->virtual_clock || !loop->now_fresh ? loop_real_ns() : loop->now_ns;
}

static int64_t least(int64_t a, int64_t b)
{
        return a < 0 || b < a ? b : a;
}

int64_t loop_may_sleep_ns(struct ouro_loop *loop)
{
        int64_t ns = until_next(loop);

        return loop->trim_at_ns ? least(ns, TRIM_NS) : ns;
}

void loop_slept(struct ouro_loop *loop, int64_t began_ns)
{
        loop->now_fresh = false;
        if (loop->virtual_clock) /* held by the kernel or by jobs, it runs with real time */
                set_virtual_clock(loop, loop->now_ns + loop_real_ns() - began_ns);
}

/* Sleeps in the kernel, unless the inbox has something; limit_ns less than zero: for ever. */
static int sleep_in_ring(struct ouro_loop *loop, int64_t limit_ns)
{
        int64_t timeout_ns = loop_may_sleep_ns(loop), began_ns = loop->virtual_clock ? loop_real_ns() : 0;
        bool asleep;
        int error;

        if (limit_ns >= 0)
                timeout_ns = least(timeout_ns, limit_ns);
        asleep = inbox_fall_asleep(loop);
        error = ring_wait(&loop->ring, asleep && pollers_listen(loop) ? timeout_ns : 0);
        pollers_ignore(loop);
        if (asleep)
                inbox_get_up(loop);
        loop_slept(loop, began_ns);
        return error;
}

/* Before a sleep: stacks that have been idle give their pages back. */
static void trim_stacks(struct ouro_loop *loop)
{
        int64_t now_ns;

        if (!sched_can_trim(&loop->sched)) {
                loop->trim_at_ns = 0;
                return;
        }
        now_ns = real_ns(loop);
        if (loop->trim_at_ns && now_ns >= loop->trim_at_ns)
                sched_trim(&loop->sched);
        if (!loop->trim_at_ns || now_ns >= loop->trim_at_ns)
                loop->trim_at_ns = now_ns + TRIM_NS;
}

/* Tasks are short of stacks, and all that have one wait for nothing but others: one of the former ends. */
static bool relieve(struct ouro_loop *loop)
{
        return loop->ring.in_flight == 0 && loop->jobs_out == 0 && wheel_empty(&loop->wheel) &&
               sched_end_starved(&loop->sched);
}

/* Before a sleep: a job of its own that nobody has begun, and that it may run itself. */
static bool run_within(struct ouro_loop *loop)
{
        return unlikely(loop->jobs_within != NULL) && loop->run_within(loop);
}

void loop_pass(struct ouro_loop *loop, int64_t limit_ns)
{
        int error = 0;

        pollers_collect(loop);
        inbox_take(loop);
        loop->now_fresh = false;
        fire_due(loop);
        if (unlikely(++loop->blind_passes >= BLIND_PASSES))
                look_at_clock(loop);
        if (sched_busy(&loop->sched) || loop->taken) {
                error = ring_wait(&loop->ring, 0);
        } else if (limit_ns == 0 || !spin(loop)) {
                if (loop->virtual_clock) /* nothing may be on its way when time jumps */
                        error = ring_wait(&loop->ring, 0);
                if (error == 0 && !sched_busy(&loop->sched) && inbox_empty(loop) && !jump(loop) &&
                    !relieve(loop) && !run_within(loop) && !(limit_ns < 0 && deadlock_resolve(loop))) {
                        if (unlikely(loop->member != NULL))
                                loops_look(loop);
                        trim_stacks(loop);
                        error = sleep_in_ring(loop, limit_ns);
                        fire_due(loop);
                        look_at_clock(loop);
                }
        }
        if (error < 0)
                die("the loop's ring fails: %s", strerror(-error));
        pollers_collect(loop);
        inbox_take(loop);
}
