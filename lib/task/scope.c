/* scope.c - time scopes and shields: what bounds a task's waits, and what protects them; and the timers that
 * are nobody's scope.
 *
 * A scope is open, and then at most one of: armed, expired, cancelled (OVER). What ends it first stays: one
 * that was cancelled does not expire, one that has expired is not cancelled. */
#include <errno.h>

#include "task/task.h"

/* ns from now, when ns is more than zero. */
static inline void arm(struct ouro_loop *loop, struct ouro_scope *scope, int64_t ns)
{
        int64_t deadline_ns;

        if (unlikely(__builtin_add_overflow(loop_now(loop), ns, &deadline_ns)))
                return; /* never */
        scope->context.state |= CONTEXT_ARMED;
        wheel_arm(&loop->wheel, &scope->timer, deadline_ns, TIMER_SCOPE);
}

static void disarm(struct ouro_loop *loop, struct ouro_scope *scope)
{
        if (scope->context.state & CONTEXT_ARMED)
                wheel_cancel(&loop->wheel, &scope->timer);
        scope->context.state &= ~CONTEXT_ARMED;
}

/* For ouro_scope_deadline(). */
static void expire_now(struct ouro_loop *loop, struct ouro_scope *scope)
{
        scope->timer.deadline = (uint64_t)loop_now(loop) << 1;
        scope->context.state |= CONTEXT_EXPIRED;
}

static inline struct task *open_context(struct ouro_loop *loop, struct ouro_scope *scope,
                                        enum context_kind kind)
{
        struct task *self;

        scope->context.kind = (int)kind;
        if (unlikely(!loop)) {
                scope->context.owner = NULL;
                scope->context.state = 0;
                return NULL;
        }
        self = task_self(loop);
        scope->context.owner = self;
        scope->context.state = CONTEXT_OPEN;
        scope->context.outer = self->context;
        self->context = &scope->context;
        return self;
}

/* It is over before it has begun. */
static __attribute__((noinline)) struct ouro_scope *opened_late(struct ouro_loop *loop,
                                                                struct ouro_scope *scope)
{
        expire_now(loop, scope);
        task_refresh(loop, task_self(loop));
        return scope;
}

/* The clock has not been read in this pass. */
static __attribute__((noinline)) struct ouro_scope *opened_first(struct ouro_loop *loop,
                                                                 struct ouro_scope *scope, int64_t ns)
{
        arm(loop, scope, ns);
        return scope;
}

struct ouro_scope *ouro_scope_open(struct ouro_scope *scope, int64_t ns, bool *ret_expired)
{
        struct ouro_loop *loop = loop_here();

        if (unlikely(!scope))
                return NULL;
        scope->ret_expired = ret_expired;
        if (unlikely(!open_context(loop, scope, CONTEXT_SCOPE)))
                return scope;
        if (unlikely(ns <= 0))
                return opened_late(loop, scope);
        if (unlikely(!loop->now_fresh))
                return opened_first(loop, scope, ns);
        arm(loop, scope, ns);
        return scope;
}

struct ouro_scope *ouro_shield_open(struct ouro_scope *shield)
{
        struct ouro_loop *loop = loop_here();
        struct task *self;

        if (unlikely(!shield))
                return NULL;
        self = open_context(loop, shield, CONTEXT_SHIELD);
        shield->ret_expired = NULL;
        if (self)
                task_refresh(loop, self);
        return shield;
}

static void cut_by_time(struct ouro_loop *loop, struct ouro_scope *scope)
{
        context_cut(loop, &scope->context,
                    &(struct cause){.reason = OURO_CANCEL_TIME, .origin = task_handle(scope->context.owner)});
}

void scope_expire(struct ouro_loop *loop, struct ouro_timer *timer)
{
        struct ouro_scope *scope = container_of(timer, struct ouro_scope, timer);

        scope->context.state &= ~CONTEXT_ARMED;
        if (unlikely(scope->context.kind == CONTEXT_TIMER)) {
                struct loop_timer *of_loop = container_of(scope, struct loop_timer, scope);

                of_loop->fire(loop, of_loop);
                return;
        }
        scope->context.state |= CONTEXT_EXPIRED;
        cut_by_time(loop, scope);
}

bool ouro_scope_expired(const struct ouro_scope *scope)
{
        return scope && (scope->context.state & CONTEXT_EXPIRED);
}

/* It was cut short, or is a shield: what the owner's waits return may be another thing now. state: what it
 * was. */
static __attribute__((noinline)) int closed_with_effect(struct ouro_loop *loop, struct ouro_scope *scope,
                                                        int state)
{
        bool expired = state & CONTEXT_EXPIRED;

        task_refresh(loop, task_self(loop));
        if (scope->ret_expired)
                *scope->ret_expired = expired;
        return expired;
}

int ouro_scope_close(struct ouro_scope *scope)
{
        struct ouro_loop *loop = loop_here();
        struct task *self;
        int state;

        if (unlikely(!loop))
                return -EPERM;
        self = task_self(loop);
        if (unlikely(!scope || !scope->context.owner || scope->context.kind == CONTEXT_GROUP))
                return -EINVAL;
        if (unlikely(scope->context.owner != self))
                return -EPERM;
        if (unlikely(self->context != &scope->context))
                return -EINVAL;
        state = scope->context.state;
        if (state & CONTEXT_ARMED)
                wheel_cancel(&loop->wheel, &scope->timer);
        scope->context.state = state & (CONTEXT_EXPIRED | CONTEXT_OVER);
        scope->context.owner = NULL;
        self->context = scope->context.outer;
        if (unlikely((state & (CONTEXT_EXPIRED | CONTEXT_OVER)) || scope->context.kind == CONTEXT_SHIELD))
                return closed_with_effect(loop, scope, state);
        if (scope->ret_expired)
                *scope->ret_expired = false;
        return 0;
}

void ouro_scope_leave(struct ouro_scope *scope)
{
        if (scope && scope->context.owner)
                ouro_scope_close(scope);
}

/* ---- from inside and outside ---- */

/* An open time scope of this loop: 0, or why it is none. */
static int refuse(const struct ouro_loop *loop, const struct ouro_scope *scope)
{
        if (!loop)
                return -EPERM;
        if (!scope || scope->context.kind != CONTEXT_SCOPE || !scope->context.owner)
                return -EINVAL;
        return task_loop(scope->context.owner) == loop ? 0 : -EPERM;
}

int ouro_scope_reschedule(struct ouro_scope *scope, int64_t ns)
{
        struct ouro_loop *loop = loop_here();
        int error = refuse(loop, scope);

        if (error < 0)
                return error;
        if (scope->context.state & CONTEXT_EXPIRED)
                return -ETIME;
        if (scope->context.state & CONTEXT_OVER)
                return -ECANCELED;
        disarm(loop, scope);
        if (ns > 0) {
                arm(loop, scope, ns);
                return 0;
        }
        expire_now(loop, scope);
        cut_by_time(loop, scope);
        return 0;
}

int64_t ouro_scope_deadline(const struct ouro_scope *scope)
{
        int error = refuse(loop_here(), scope);

        if (error < 0)
                return error;
        if (!(scope->context.state & (CONTEXT_ARMED | CONTEXT_EXPIRED)))
                return OURO_FOREVER;
        return timer_ns(&scope->timer);
}

int ouro_scope_cancel_with(struct ouro_scope *scope, const char *text)
{
        struct ouro_loop *loop = loop_here();
        struct cause cause = {.reason = OURO_CANCEL_ASKED, .text = text};
        int error = refuse(loop, scope);

        if (error < 0 || (scope->context.state & (CONTEXT_EXPIRED | CONTEXT_OVER)))
                return error;
        disarm(loop, scope);
        cause.origin = cause_asker(loop);
        scope->text = cause.text;
        scope->origin = cause.origin;
        context_end(loop, &scope->context, &cause);
        return 0;
}

int ouro_scope_cancel(struct ouro_scope *scope)
{
        return ouro_scope_cancel_with(scope, NULL);
}

bool ouro_scope_cancelled(const struct ouro_scope *scope)
{
        return scope && scope->context.kind == CONTEXT_SCOPE && (scope->context.state & CONTEXT_OVER);
}

/* ---- timers of nobody ---- */

void loop_timer_arm(struct ouro_loop *loop, struct loop_timer *timer, int64_t ns)
{
        int64_t deadline_ns;

        timer->scope.context.kind = CONTEXT_TIMER;
        if (__builtin_add_overflow(loop_now(loop), ns, &deadline_ns))
                return; /* never */
        timer->scope.context.state = CONTEXT_ARMED;
        wheel_arm(&loop->wheel, &timer->scope.timer, deadline_ns, TIMER_SCOPE);
}

void loop_timer_disarm(struct ouro_loop *loop, struct loop_timer *timer)
{
        if (timer->scope.context.state & CONTEXT_ARMED)
                wheel_cancel(&loop->wheel, &timer->scope.timer);
        timer->scope.context.state = 0;
}
