/* loop.c - one pass of the loop, its clock, its inbox, and the run from begin to end.
 *
 * A pass: run what is ready, take in what other threads have sent, fire timers, then one ring_wait() that
 * hands over all new operations and collects completions, sleeping only if nothing is ready.
 *
 * Sleeping and waking: a loop that goes to sleep puts a mark into its empty inbox. The one sender that takes
 * the mark's place owes it a wake. No other touches the loop after its message is in, because by then the run
 * may be over; for those wakes it waits before it frees anything. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/log.h"
#include "task/choose.h"
#include "task/task.h"

enum {
        PASS_BUDGET = 128, /* switches before the kernel and the clock are looked at again */
        TAKE_MOST = 64,    /* messages taken in at a time, twice a pass: no more than a pass can run */
        SPIN_LOOKS = 32,   /* at the inbox, before the clock is read */
};

static const int64_t SPIN_DEFAULT_NS = 20 * 1000;
static const int64_t SPIN_LEAST_NS = 1000;         /* less is not worth the two readings of the clock */
static const int64_t TRIM_NS = 1000 * 1000 * 1000; /* stacks idle for so long give their pages back */

/* What inbox holds when nothing more may be sent. */
static struct ouro_message closed_mark;

/* What an empty inbox holds while its loop sleeps. */
static struct ouro_message asleep_mark;

/* ---- clock ---- */

static int64_t read_clock(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * OURO_SEC(1) + ts.tv_nsec;
}

int64_t loop_now(struct ouro_loop *loop)
{
        if (!loop->now_fresh) {
                loop->now_fresh = true;
                if (!loop->virtual_clock)
                        loop->now_ns = read_clock();
        }
        return loop->now_ns;
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

/* ---- inbox ---- */

bool loop_send(struct ouro_loop *loop, struct ouro_message *newest, struct ouro_message *oldest)
{
        struct ouro_message *old = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

        do {
                if (old == &closed_mark)
                        return false;
                oldest->next = old == &asleep_mark ? NULL : old;
        } while (!atomic_compare_exchange_weak(&loop->inbox, &old, newest));
        if (old == &asleep_mark) {
                ring_wake(&loop->ring);
                atomic_fetch_add_explicit(&loop->wakes_given, 1, memory_order_release);
        }
        return true;
}

static bool inbox_empty(struct ouro_loop *loop)
{
        return !loop->taken && atomic_load(&loop->inbox) == NULL;
}

/* False: there is something in the inbox. */
static bool fall_asleep(struct ouro_loop *loop)
{
        struct ouro_message *none = NULL;

        return !loop->taken && atomic_compare_exchange_strong(&loop->inbox, &none, &asleep_mark);
}

static void get_up(struct ouro_loop *loop)
{
        struct ouro_message *mark = &asleep_mark;

        if (!atomic_compare_exchange_strong(&loop->inbox, &mark, NULL))
                loop->wakes_owed++;
}

/* The inbox, emptied: oldest first. */
static struct ouro_message *empty_inbox(struct ouro_loop *loop)
{
        struct ouro_message *newest = atomic_exchange(&loop->inbox, NULL), *message = NULL;

        while (newest) {
                struct ouro_message *older = newest->next;

                newest->next = message;
                message = newest;
                newest = older;
        }
        return message;
}

/* Some of what was sent: a flood of it must not keep the tasks that are ready from running. */
static void take_in(struct ouro_loop *loop)
{
        if (likely(!loop->taken)) {
                if (likely(atomic_load_explicit(&loop->inbox, memory_order_relaxed) == NULL))
                        return;
                loop->taken = empty_inbox(loop);
        }
        for (int i = 0; i < TAKE_MOST && loop->taken; i++) {
                struct ouro_message *message = loop->taken;

                loop->taken = message->next;
                message->deliver(loop, message);
        }
}

/* A function posted from another thread. */
struct post {
        struct ouro_message message;
        ouro_fn *fn;
        void *arg;
};

static void deliver_post(struct ouro_loop *loop, struct ouro_message *message)
{
        struct post *post = container_of(message, struct post, message);
        struct ouro_task_options options = {.name = "posted"};
        struct task *task = task_create(loop, &loop->root, post->fn, post->arg, &options);

        if (!task) { /* no memory now: it must not be lost */
                loop_send(loop, message, message);
                return;
        }
        task->detached = 1;
        mem_free(post, sizeof *post);
}

int ouro_post(ouro_loop *loop, ouro_fn *fn, void *arg)
{
        struct post *post;

        if (!loop || !fn)
                return -EINVAL;
        post = mem_alloc(sizeof *post);
        if (!post)
                return -ENOMEM;
        *post = (struct post){.message = {.deliver = deliver_post}, .fn = fn, .arg = arg};
        if (loop_send(loop, &post->message, &post->message))
                return 0;
        mem_free(post, sizeof *post);
        return -ESHUTDOWN;
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

/* While jobs are out, one of them may be back sooner than a sleep and a wake would take. True: it is. Each
 * time it is not, the next try is half as long, so that a loop whose jobs run long does not burn the CPU that
 * they need; sleep_in_ring() makes it long again when a sleep was shorter than a spin. */
static bool spin(struct ouro_loop *loop)
{
        int64_t end_ns;

        if (loop->jobs_out == 0 || loop->spin_now_ns < SPIN_LEAST_NS)
                return false;
        end_ns = read_clock() + loop->spin_now_ns;
        do {
                for (int i = 0; i < SPIN_LOOKS; i++) {
                        if (atomic_load_explicit(&loop->inbox, memory_order_relaxed)) {
                                loop->spin_now_ns = loop->spin_ns;
                                return true;
                        }
                        relax();
                }
                ring_wait(&loop->ring, 0);
                if (loop->sched.ready)
                        return true;
        } while (read_clock() < end_ns);
        loop->spin_now_ns /= 2;
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
        while (!loop->sched.ready && !wheel_empty(&loop->wheel)) {
                loop->now_ns = wheel_next(&loop->wheel);
                fire_due(loop);
        }
        return true;
}

static int64_t real_ns(const struct ouro_loop *loop)
{
        return loop->virtual_clock || !loop->now_fresh ? read_clock() : loop->now_ns;
}

static int64_t least(int64_t a, int64_t b)
{
        return a < 0 || b < a ? b : a;
}

/* Sleeps in the kernel, unless the inbox has something; limit_ns less than zero: for ever. */
static int sleep_in_ring(struct ouro_loop *loop, int64_t limit_ns)
{
        int64_t timeout_ns = until_next(loop),
                began_ns = loop->virtual_clock || loop->jobs_out ? read_clock() : 0;
        bool asleep;
        int error;

        if (limit_ns >= 0)
                timeout_ns = least(timeout_ns, limit_ns);
        if (loop->trim_at_ns)
                timeout_ns = least(timeout_ns, TRIM_NS);
        asleep = fall_asleep(loop);
        error = ring_wait(&loop->ring, asleep ? timeout_ns : 0);
        if (asleep)
                get_up(loop);
        loop->now_fresh = false;
        if (loop->jobs_out > 0 && loop->spin_ns > 0 && read_clock() - began_ns < loop->spin_ns)
                loop->spin_now_ns = loop->spin_ns;
        if (loop->virtual_clock) /* held by the kernel or by jobs, it runs with real time */
                loop->now_ns += read_clock() - began_ns;
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

static void pass(struct ouro_loop *loop, int64_t limit_ns)
{
        int error = 0;

        take_in(loop);
        loop->now_fresh = false;
        fire_due(loop);
        if (loop->sched.ready || loop->taken) {
                error = ring_wait(&loop->ring, 0);
        } else if (!spin(loop)) {
                if (loop->virtual_clock) /* nothing may be on its way when time jumps */
                        error = ring_wait(&loop->ring, 0);
                if (error == 0 && !loop->sched.ready && inbox_empty(loop) && !jump(loop) && !relieve(loop)) {
                        trim_stacks(loop);
                        error = sleep_in_ring(loop, limit_ns);
                        fire_due(loop);
                }
        }
        if (error < 0)
                die("the loop's ring fails: %s", strerror(-error));
        take_in(loop);
}

/* ---- a run ---- */

/* Nothing but operations that the kernel was asked to end, and does not: only they keep the run from ending.
 */
static bool only_stuck_ops(struct ouro_loop *loop)
{
        return !loop->sched.ready && wheel_empty(&loop->wheel) && loop->jobs_out == 0 &&
               ring_all_cancelled(&loop->ring);
}

static int64_t drain_end(const struct ouro_loop *loop)
{
        int64_t end_ns;

        return __builtin_add_overflow(read_clock(), loop->drain_ns, &end_ns) ? INT64_MAX : end_ns;
}

/* Cancels what is left and waits for it: from when nothing but the kernel is in the way, for drain_ns,
 * however often a signal or a wake ends a pass before. False: the kernel does not give everything back in
 * time. */
static bool drain(struct ouro_loop *loop)
{
        int64_t give_up_ns = 0; /* 0: they are not stuck yet */

        group_cancel(loop, &loop->root, OURO_CANCEL_END);
        while (loop->root.live > 0) {
                size_t in_flight = loop->ring.in_flight;
                uint64_t ended = loop->ended;
                int64_t left_ns;

                sched_run(&loop->sched, PASS_BUDGET);
                if (loop->root.live == 0)
                        break;
                if (!only_stuck_ops(loop)) {
                        give_up_ns = 0;
                        pass(loop, -1);
                        continue;
                }
                if (give_up_ns == 0)
                        give_up_ns = drain_end(loop);
                left_ns = give_up_ns - read_clock();
                pass(loop, left_ns > 0 ? left_ns : 0);
                if (!only_stuck_ops(loop) || loop->ring.in_flight != in_flight || loop->ended != ended ||
                    !inbox_empty(loop)) {
                        give_up_ns = 0;
                } else if (left_ns <= 0) {
                        log_line(OURO_LOG_ERROR,
                                 "%zu operations have not ended %lld ms after their cancellation: their memory "
                                 "is left to the kernel",
                                 in_flight, (long long)(loop->drain_ns / 1000000));
                        return false;
                }
        }
        return true;
}

/* From here on ouro_post() fails; what came before still runs, cancelled. */
static bool close_inbox(struct ouro_loop *loop)
{
        struct ouro_message *none = NULL;

        return !loop->taken && atomic_compare_exchange_strong(&loop->inbox, &none, &closed_mark);
}

/* Senders that are about to wake this loop, or have just done so, still hold on to it. */
static void await_wakers(struct ouro_loop *loop)
{
        while (atomic_load_explicit(&loop->wakes_given, memory_order_acquire) != loop->wakes_owed)
                sched_yield();
}

/* True: all memory is ours again. */
static bool run_loop(struct ouro_loop *loop)
{
        while (!loop->main_done) {
                sched_run(&loop->sched, PASS_BUDGET);
                if (!loop->main_done)
                        pass(loop, -1);
        }
        do {
                if (!drain(loop))
                        return false;
                take_in(loop);
        } while (loop->root.live > 0 || !close_inbox(loop));
        await_wakers(loop);
        group_drop_results(loop, &loop->root);
        return true;
}

static void forget_loop(void)
{
        sched_current = NULL; /* a forked child has no loop: the ring is the parent's */
}

static void watch_forks(void)
{
        pthread_atfork(NULL, NULL, forget_loop);
}

static void init_loop(struct ouro_loop *loop, const struct ouro_options *options)
{
        sched_init(&loop->sched, options->stack_bytes ? options->stack_bytes : STACK_DEFAULT_BYTES);
        loop->sched.ended = task_ended;
        loop->sched.name = task_name;
        loop->virtual_clock = options->clock == OURO_CLOCK_VIRTUAL;
        loop->now_ns = loop->virtual_clock ? 0 : read_clock();
        loop->spin_ns = options->spin_ns ? options->spin_ns : SPIN_DEFAULT_NS;
        loop->spin_now_ns = loop->spin_ns;
        loop->drain_ns = options->drain_ns ? options->drain_ns : OURO_SEC(10);
        wheel_init(&loop->wheel, loop->virtual_clock ? 0 : WHEEL_REAL_SHIFT, loop->now_ns);
        loop->root.context.kind = CONTEXT_GROUP;
        loop->root.context.state = CONTEXT_OPEN;
        loop->root.flags = OURO_GROUP_KEEP;
        list_init(&loop->root.members);
}

/* The loop's memory; aligned by hand, the allocator promises no more than malloc(). */
struct loop_memory {
        struct ouro_loop *loop;
        void *block;
};

enum { LOOP_ALIGN = 64, LOOP_BYTES = sizeof(struct ouro_loop) + LOOP_ALIGN };

static bool allocate_loop(struct loop_memory *memory)
{
        memory->block = mem_calloc(LOOP_BYTES);
        memory->loop = (struct ouro_loop *)(((uintptr_t)memory->block + LOOP_ALIGN - 1) &
                                            ~(uintptr_t)(LOOP_ALIGN - 1));
        return memory->block != NULL;
}

static void free_spare_jobs(struct ouro_loop *loop)
{
        struct ouro_job *job;

        while ((job = loop->spare_jobs)) {
                loop->spare_jobs = job->next;
                mem_free(job, sizeof *job);
        }
}

static intptr_t run_main(struct loop_memory *memory, const struct ouro_options *options, ouro_fn *fn,
                         void *arg)
{
        struct ouro_loop *loop = memory->loop;
        struct ouro_task_options main_options = {.name = "main"};
        bool clean;

        sched_current = &loop->sched;
        loop->main = task_create(loop, &loop->root, fn, arg, &main_options);
        if (!loop->main) {
                sched_current = NULL;
                ring_close(&loop->ring);
                return -ENOMEM;
        }
        loop->main->detached = 1;
        if (options->report_stack_overflow && overflow_report_on() < 0)
                log_line(OURO_LOG_WARNING, "stack overflows will not be reported: no memory");
        clean = run_loop(loop);
        if (options->report_stack_overflow)
                overflow_report_off();
        sched_current = NULL;
        if (clean) {
                ring_close(&loop->ring);
                sched_destroy(&loop->sched);
                task_records_return(loop);
                free_spare_jobs(loop);
        } else {
                memory->block = NULL; /* the kernel may still write into it */
        }
        return loop->main_result;
}

static int check_options(const struct ouro_options *options)
{
        if (options->size != sizeof *options || options->entries > 32768 ||
            (unsigned)options->clock > OURO_CLOCK_VIRTUAL ||
            (unsigned)options->backend > OURO_BACKEND_EPOLL || options->drain_ns < 0)
                return -EINVAL;
        if (options->stack_bytes &&
            (options->stack_bytes < STACK_MIN_BYTES || options->stack_bytes > STACK_MAX_BYTES))
                return -EINVAL;
        return 0;
}

intptr_t ouro_run_with(const struct ouro_options *given, ouro_fn *main_fn, void *arg)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        struct ouro_options options = OURO_OPTIONS_INIT;
        struct loop_memory memory;
        int saved_errno = errno;
        intptr_t result;

        if (given)
                options = *given;
        if (!main_fn || check_options(&options) < 0)
                return -EINVAL;
        if (sched_current) {
                coro_check_stack(sched_current);
                return -EBUSY;
        }
        pthread_once(&once, watch_forks);
        if (!allocate_loop(&memory))
                return -ENOMEM;
        init_loop(memory.loop, &options);
        result = choose_backend(memory.loop, &options);
        if (result == 0)
                result = run_main(&memory, &options, main_fn, arg);
        mem_free(memory.block, LOOP_BYTES);
        errno = saved_errno;
        return result;
}

intptr_t ouro_run(ouro_fn *main_fn, void *arg)
{
        return ouro_run_with(NULL, main_fn, arg);
}

const char *ouro_backend_name(void)
{
        struct ouro_loop *loop = loop_here();

        return loop ? loop->ring.backend->name : NULL;
}

ouro_loop *ouro_this_loop(void)
{
        return loop_here();
}

/* ---- the plainest waits ---- */

static void cut_sleep(struct sched *sched, struct coro *coro, int interrupt)
{
        wheel_cancel(&loop_of(sched)->wheel, &coro->timer);
        coro_wake(sched, coro, interrupt);
}

static void cut_forever(struct sched *sched, struct coro *coro, int interrupt)
{
        coro_wake(sched, coro, interrupt);
}

static const struct wait_kind waits_for_time = {"time", cut_sleep};
static const struct wait_kind waits_forever = {"the end of time", cut_forever};

int ouro_yield(void)
{
        struct sched *sched = sched_current;
        struct coro *self;

        if (unlikely(!sched))
                return -EPERM;
        self = sched->current;
        if (unlikely(self->interrupt))
                return self->interrupt;
        return coro_yield(sched);
}

int ouro_sleep(int64_t ns)
{
        struct ouro_loop *loop = loop_here();
        struct coro *self;
        int64_t deadline_ns;

        if (unlikely(!loop))
                return -EPERM;
        if (ns <= 0)
                return ouro_yield();
        self = loop->sched.current;
        if (unlikely(self->interrupt))
                return self->interrupt;
        if (__builtin_add_overflow(loop_now(loop), ns, &deadline_ns))
                return coro_wait_int(&loop->sched, &waits_forever);
        wheel_arm(&loop->wheel, &self->timer, deadline_ns, TIMER_SLEEP);
        return coro_wait_int(&loop->sched, &waits_for_time);
}
