/* run.c - a run from begin to end: a loop is made, its main task runs, and what is left is cancelled and
 * awaited before anything is freed. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/options.h"
#include "task/choose.h"
#include "task/poller.h"
#include "task/task.h"

enum { RECV_BUFFER_MOST_BYTES = 16 << 20 };

static const int64_t SPIN_DEFAULT_NS = 20 * 1000;

/* Nothing but operations that the kernel was asked to end, and does not: only they keep the run from ending.
 */
static bool only_stuck_ops(struct ouro_loop *loop)
{
        return !sched_busy(&loop->sched) && wheel_empty(&loop->wheel) && loop->jobs_out == 0 &&
               ring_all_cancelled(&loop->ring);
}

static int64_t drain_end(const struct ouro_loop *loop)
{
        int64_t end_ns;

        return __builtin_add_overflow(loop_real_ns(), loop->drain_ns, &end_ns) ? INT64_MAX : end_ns;
}

static bool all_ended(const struct ouro_loop *loop)
{
        return loop->root.live == 0 && loop->guests == 0 && list_empty(&loop->children);
}

static void cancel_all(struct ouro_loop *loop)
{
        const struct cause cause = {.reason = OURO_CANCEL_END, .origin = loop->main_handle};

        group_cancel(loop, &loop->root, &cause);
}

/* A task may still use its processes while it is cancelled; after that nobody does. */
static void end_children(struct ouro_loop *loop)
{
        if (loop->root.live == 0 && !list_empty(&loop->children))
                loop->end_children(loop);
}

/* Cancels what is left and waits for it: from when nothing but the kernel is in the way, for drain_ns,
 * however often a signal or a wake ends a pass before. False: the kernel does not give everything back in
 * time. */
static bool drain(struct ouro_loop *loop)
{
        int64_t give_up_ns = 0; /* 0: they are not stuck yet */

        cancel_all(loop);
        while (!all_ended(loop)) {
                size_t in_flight = loop->ring.in_flight;
                uint64_t ended = loop->ended;
                int64_t left_ns;

                sched_run(&loop->sched, LOOP_BUDGET);
                end_children(loop);
                if (all_ended(loop))
                        break;
                if (!only_stuck_ops(loop)) {
                        give_up_ns = 0;
                        loop_pass(loop, -1);
                        continue;
                }
                if (give_up_ns == 0)
                        give_up_ns = drain_end(loop);
                left_ns = give_up_ns - loop_real_ns();
                loop_pass(loop, left_ns > 0 ? left_ns : 0);
                if (!only_stuck_ops(loop) || loop->ring.in_flight != in_flight || loop->ended != ended ||
                    !inbox_empty(loop)) {
                        give_up_ns = 0;
                } else if (left_ns <= 0) {
                        log_line(OURO_LOG_ERROR,
                                 "%zu operations have not ended %lld ms after their cancellation: their "
                                 "memory "
                                 "is left to the kernel",
                                 in_flight, (long long)(loop->drain_ns / 1000000));
                        return false;
                }
        }
        return true;
}

static void end_reports(struct ouro_loop *loop)
{
        if (loop->interrupt.signals)
                interrupt_off(loop);
        loop->interrupt.signals = 0;
        if (loop->reports_overflow)
                overflow_report_off();
        loop->reports_overflow = false;
}

bool loop_end(struct ouro_loop *loop)
{
        do {
                if (!drain(loop)) {
                        end_reports(loop);
                        return false;
                }
                inbox_take(loop);
        } while (!all_ended(loop) || !inbox_close(loop));
        return true;
}

bool loop_try_end(struct ouro_loop *loop)
{
        cancel_all(loop);
        end_children(loop);
        return all_ended(loop) && inbox_close(loop);
}

bool loop_run(struct ouro_loop *loop)
{
        bool clean;

        sched_current = &loop->sched;
        while (!loop->main_done) {
                sched_run(&loop->sched, LOOP_BUDGET);
                if (!loop->main_done)
                        loop_pass(loop, -1);
        }
        clean = loop_end(loop);
        sched_current = NULL;
        return clean;
}

unsigned loop_forks;

static void forget_loop(void)
{
        sched_current = NULL; /* a forked child has no loop: the ring is the parent's */
        loop_forks++;
        interrupt_forked();
}

static void watch_forks(void)
{
        pthread_atfork(NULL, NULL, forget_loop);
}

static void init_loop(struct ouro_loop *loop, const struct ouro_options *options)
{
        memset(loop, 0, sizeof *loop);
        sched_init(&loop->sched, options->stack_bytes ? options->stack_bytes : STACK_DEFAULT_BYTES);
        loop->sched.ended = task_ended;
        loop->sched.name = task_name_of;
        loop->reachable = options->no_deadlock_check || options->interrupt; /* ctrl-C may */
        loop->virtual_clock = options->clock == OURO_CLOCK_VIRTUAL;
        loop->sched.look_ns = loop->now_ns = loop->virtual_clock ? 0 : loop_real_ns();
        loop->spin.ns = options->spin_ns ? options->spin_ns : SPIN_DEFAULT_NS;
        loop->drain_ns = options->drain_ns ? options->drain_ns : OURO_SEC(10);
        loop->thread = pthread_self();
        loop->forks = loop_forks;
        wheel_init(&loop->wheel, loop->virtual_clock ? 0 : WHEEL_REAL_SHIFT, loop->now_ns);
        loop->root.context.kind = CONTEXT_GROUP;
        loop->root.context.state = CONTEXT_OPEN;
        loop->root.flags = OURO_GROUP_KEEP;
        list_init(&loop->root.members);
        list_init(&loop->pollers);
        list_init(&loop->children);
}

static void free_spare_jobs(struct ouro_loop *loop)
{
        struct ouro_job *job;

        while ((job = loop->spare_jobs)) {
                loop->spare_jobs = job->next;
                mem_free_lines(job, sizeof *job);
        }
}

void loop_destroy(struct ouro_loop *loop)
{
        end_reports(loop);
        inbox_await_wakers(loop);
        sched_current = &loop->sched; /* failures that nobody saw are told of */
        group_drop_results(loop, &loop->root);
        sched_current = NULL;
        pollers_close(loop);
        ring_close(&loop->ring);
        sched_destroy(&loop->sched);
        task_records_return(loop);
        free_spare_jobs(loop);
}

void loop_free(struct ouro_loop *loop)
{
        mem_free_lines(loop, sizeof *loop);
}

void loop_abandon(struct ouro_loop *loop)
{
        end_reports(loop);
        task_uncreate_job(loop, loop->main);
        ring_close(&loop->ring);
        sched_destroy(&loop->sched);
        task_records_return(loop);
        loop_free(loop);
}

static int check_options(const struct ouro_options *options)
{
        if (options->entries > 32768 || (unsigned)options->clock > OURO_CLOCK_VIRTUAL ||
            (unsigned)options->backend > OURO_BACKEND_EPOLL || options->drain_ns < 0 ||
            (options->interrupt & ~(unsigned)(OURO_INTERRUPT_SIGINT | OURO_INTERRUPT_SIGTERM)))
                return -EINVAL;
        if (options->without >= 2 * OURO_WITHOUT_FIXED || options->recv_buffers > 32768 ||
            options->recv_buffer_bytes > RECV_BUFFER_MOST_BYTES)
                return -EINVAL;
        if (options->stack_bytes &&
            (options->stack_bytes < STACK_MIN_BYTES || options->stack_bytes > STACK_MAX_BYTES))
                return -EINVAL;
        return 0;
}

static int create_main(struct ouro_loop *loop, ouro_fn *fn, void *arg)
{
        static const struct ouro_site site = {.name = "main"};
        const struct ouro_task_options options = {.size = sizeof options};

        loop->main = task_create(loop, &loop->root, fn, arg, &options, &site);
        if (!loop->main)
                return -ENOMEM;
        loop->main->detached = 1;
        loop->main_handle = task_handle(loop->main);
        return 0;
}

/* With a loop that is nobody's yet. */
static int set_up(struct ouro_loop *loop, const struct ouro_options *options, ouro_fn *main_fn, void *arg)
{
        int error = choose_backend(loop, options);

        if (error < 0)
                return error;
        error = create_main(loop, main_fn, arg);
        if (error < 0) {
                ring_close(&loop->ring);
                return error;
        }
        loop->reports_overflow = options->report_stack_overflow && overflow_report_on() == 0;
        if (options->report_stack_overflow && !loop->reports_overflow)
                log_line(OURO_LOG_WARNING, "stack overflows will not be reported: no memory");
        if (options->interrupt)
                interrupt_on(loop, options->interrupt);
        return 0;
}

int loop_open(const struct ouro_options *given, ouro_fn *main_fn, void *arg, bool polled,
              struct ouro_loop **ret_loop)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        struct ouro_options options = OURO_OPTIONS_INIT;
        struct ouro_loop *loop;
        int error;

        if (given && options_read(&options, sizeof options, given) < 0)
                return -EINVAL;
        if (!main_fn || check_options(&options) < 0)
                return -EINVAL;
        if (sched_current) {
                coro_check_stack(sched_current);
                return -EBUSY;
        }
        pthread_once(&once, watch_forks);
        loop = mem_alloc_lines(sizeof *loop);
        if (!loop)
                return -ENOMEM;
        init_loop(loop, &options);
        loop->polled = polled;
        loop->reachable |= polled; /* whoever steps it may post */
        error = set_up(loop, &options, main_fn, arg);
        if (error < 0)
                loop_free(loop);
        else
                *ret_loop = loop;
        return error;
}

intptr_t ouro_run_with(const struct ouro_options *given, ouro_fn *main_fn, void *arg)
{
        int saved_errno = errno;
        struct ouro_loop *loop;
        intptr_t result = loop_open(given, main_fn, arg, false, &loop);

        if (result == 0) {
                bool clean =
                        loop_run(loop); /* else its memory is left to the kernel, which may write to it */

                result = loop->main_result;
                if (clean) {
                        loop_destroy(loop);
                        loop_free(loop);
                }
        }
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
        struct ouro_loop *loop = loop_here();

        if (loop)
                loop->reachable = true; /* others can be told of it, and post */
        return loop;
}
