/* embed.c - a loop inside somebody else's: a descriptor to poll, and a step.
 *
 *      descriptor = epoll of
 *              the backend's own      completions, wakes by other threads
 *              a timerfd              the next timer
 *              an eventfd             the last step has left something to do
 *
 * Between two steps the loop is as one that sleeps: senders find it asleep and wake it, pollers ring their
 * bells, the backend has all operations. A step is then what wakes up, runs, and falls asleep again. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "task/poller.h"
#include "task/task.h"

enum { STEP_PASSES = 8 }; /* of LOOP_BUDGET switches each */

struct embed {
        int fd;
        int timer_fd;
        int more_fd;
        int64_t timer_ns;  /* what timer_fd is set to, CLOCK_MONOTONIC; INT64_MAX: nothing */
        int64_t asleep_ns; /* since when, for the virtual clock */
        bool asleep;       /* senders owe it a wake */
        bool more;         /* more_fd is readable */
        bool ended;        /* nothing can be sent any more */
        bool driven;       /* a step is under way, maybe outside a task: in a job that it runs itself */
};

/* ---- the descriptor ---- */

static void close_descriptors(const struct embed *embed)
{
        const int fds[] = {embed->fd, embed->timer_fd, embed->more_fd};

        for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

static int watch(const struct embed *embed, int fd)
{
        struct epoll_event event = {.events = EPOLLIN};

        return sys_result(epoll_ctl(embed->fd, EPOLL_CTL_ADD, fd, &event));
}

static int first_error(const int *results, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (results[i] < 0)
                        return results[i];
        return 0;
}

/* 0 or the error; what is open then is for close_descriptors(). */
static int open_descriptors(struct embed *embed, const struct ring *ring)
{
        int opened[3], watched[3];

        opened[0] = embed->fd = sys_above_stdio(sys_result(epoll_create1(EPOLL_CLOEXEC)));
        opened[1] = embed->timer_fd =
                sys_above_stdio(sys_result(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)));
        opened[2] = embed->more_fd = sys_above_stdio(sys_result(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)));
        embed->more = true; /* main is to be begun */
        embed->timer_ns = INT64_MAX;
        if (first_error(opened, 3) < 0)
                return first_error(opened, 3);
        watched[0] = watch(embed, ring_descriptor(ring));
        watched[1] = watch(embed, embed->timer_fd);
        watched[2] = watch(embed, embed->more_fd);
        return first_error(watched, 3);
}

static void set_more(struct embed *embed, bool more)
{
        uint64_t count = 1;

        if (more == embed->more)
                return;
        if (more)
                check(sys_result(write(embed->more_fd, &count, sizeof count)) == sizeof count);
        else
                check(sys_result(read(embed->more_fd, &count, sizeof count)) == sizeof count);
        embed->more = more;
}

/* Setting it anew also takes back that it has fired. */
static void set_timer(struct embed *embed, int64_t ns)
{
        struct itimerspec timer = {{0, 0}, {0, 0}};

        if (ns == embed->timer_ns && (ns == INT64_MAX || ns > loop_real_ns()))
                return;
        embed->timer_ns = ns;
        if (ns != INT64_MAX)
                timer.it_value = (struct timespec){ns / OURO_SEC(1), ns % OURO_SEC(1)};
        check(sys_result(timerfd_settime(embed->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL)) == 0);
}

/* ---- falling asleep, waking up ---- */

static int64_t wake_at_ns(struct ouro_loop *loop)
{
        int64_t ns = loop_may_sleep_ns(loop), at_ns;

        if (ns < 0 ||
            __builtin_add_overflow(loop->virtual_clock ? loop_real_ns() : loop_now(loop), ns, &at_ns))
                return INT64_MAX;
        return at_ns;
}

/* The order is that of a sleep in the kernel: whoever sends after this sees a sleeper. */
static void fall_asleep(struct ouro_loop *loop, bool busy)
{
        struct embed *embed = loop->embed;
        int64_t timer_ns = wake_at_ns(loop), ring_ns = INT64_MAX;

        embed->asleep_ns = loop_real_ns();
        embed->asleep = !busy && inbox_fall_asleep(loop);
        if (!embed->asleep || !pollers_listen(loop))
                busy = true;
        if (!ring_rest(&loop->ring, &ring_ns))
                busy = true;
        set_timer(embed, timer_ns < ring_ns ? timer_ns : ring_ns);
        set_more(embed, busy);
}

static void wake_up(struct ouro_loop *loop)
{
        struct embed *embed = loop->embed;

        pollers_ignore(loop);
        if (embed->asleep) {
                inbox_get_up(loop);
                loop_slept(loop, embed->asleep_ns);
        }
        embed->asleep = false;
        loop->now_fresh = false;
}

/* ---- opening and closing ---- */

int ouro_loop_open(const struct ouro_options *options, ouro_fn *main_fn, void *arg, ouro_loop **ret_loop)
{
        struct embed *embed;
        struct ouro_loop *loop;
        int error;

        if (!ret_loop)
                return -EINVAL;
        embed = mem_calloc(sizeof *embed);
        if (!embed)
                return -ENOMEM;
        error = loop_open(options, main_fn, arg, true, &loop);
        if (error == 0) {
                error = open_descriptors(embed, &loop->ring);
                if (error == 0) {
                        loop->embed = embed;
                        *ret_loop = loop;
                        return 0;
                }
                close_descriptors(embed);
                loop_abandon(loop);
        }
        mem_free(embed, sizeof *embed);
        return error;
}

int ouro_loop_fd(const ouro_loop *loop)
{
        return loop && loop->embed ? loop->embed->fd : -EINVAL;
}

/* From here on, and until it is let go, this thread is in the loop. */
static void begin_driving(struct ouro_loop *loop)
{
        loop->embed->driven = true;
        sched_current = &loop->sched;
        wake_up(loop);
}

static int may_drive(const struct ouro_loop *loop)
{
        if (!loop || !loop->embed)
                return -EINVAL;
        if (!loop_is_mine(loop))
                return -EPERM;
        return sched_current || loop->embed->driven ? -EBUSY : 0;
}

intptr_t ouro_loop_close(ouro_loop *loop)
{
        int error = may_drive(loop), saved_errno = errno;
        struct embed *embed;
        intptr_t result;
        bool clean;

        if (error < 0)
                return error;
        embed = loop->embed;
        begin_driving(loop);
        clean = embed->ended || loop_end(loop);
        sched_current = NULL;
        result = loop->main_result;
        close_descriptors(embed);
        mem_free(embed, sizeof *embed);
        loop->embed = NULL;
        if (clean) {
                loop_destroy(loop);
                loop_free(loop);
        }
        errno = saved_errno;
        return result;
}

/* ---- a step ---- */

/* True: there is nothing to do now. */
static bool pass(struct ouro_loop *loop)
{
        bool idle;

        sched_run(&loop->sched, LOOP_BUDGET);
        if (loop->main_done && loop_try_end(loop)) {
                loop->embed->ended = true;
                return true;
        }
        idle = !sched_busy(&loop->sched) && inbox_empty(loop);
        loop_pass(loop, 0);
        return idle && !sched_busy(&loop->sched) && inbox_empty(loop);
}

int ouro_loop_step(ouro_loop *loop)
{
        int error = may_drive(loop), saved_errno = errno;
        struct embed *embed;
        bool idle = false;

        if (error < 0)
                return error;
        embed = loop->embed;
        if (embed->ended)
                return 0;
        begin_driving(loop);
        for (int i = 0; i < STEP_PASSES && !idle; i++)
                idle = pass(loop);
        if (embed->ended) {
                set_timer(embed, INT64_MAX);
                set_more(embed, false);
        } else {
                fall_asleep(loop, !idle);
        }
        sched_current = NULL;
        embed->driven = false;
        errno = saved_errno;
        return !embed->ended;
}
