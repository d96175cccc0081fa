/* sleep.c - the plainest waits: for a time, and for everybody else. */
#include <errno.h>

#include "task/task.h"

static void cut_sleep(struct sched *sched, struct coro *coro, int interrupt)
{
        wheel_cancel(&loop_of(sched)->wheel, &coro->timer);
        coro_wake(sched, coro, interrupt);
}

static void cut_forever(struct sched *sched, struct coro *coro, int interrupt)
{
        coro_wake(sched, coro, interrupt);
}

static const struct wait_kind waits_for_time = {.name = "time", .cut = cut_sleep};
static const struct wait_kind waits_forever = {.name = "the end of time", .cut = cut_forever};

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
