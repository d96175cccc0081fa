/* scope.c - time scopes and shields: what bounds a task's waits, and what protects them; and the timers that
 * are nobody's scope. */
#include <errno.h>

#include "task/task.h"

static struct task *open_context(struct ouro_scope *scope, enum context_kind kind)
{
        struct ouro_loop *loop = loop_here();
        struct task *self = loop ? task_self(loop) : NULL;

        scope->context.kind = (int)kind;
        scope->context.owner = self;
        scope->context.state = self ? CONTEXT_OPEN : 0;
        if (!self)
                return NULL;
        scope->context.outer = self->context;
        self->context = &scope->context;
        return self;
}

struct ouro_scope *ouro_scope_open(struct ouro_scope *scope, int64_t ns, bool *ret_expired)
{
        struct ouro_loop *loop = loop_here();
        struct task *self;
        int64_t deadline_ns;

        if (unlikely(!scope))
                return NULL;
        self = open_context(scope, CONTEXT_SCOPE);
        scope->ret_expired = ret_expired;
        if (!self)
                return scope;
        if (unlikely(ns <= 0)) {
                scope->context.state |= CONTEXT_EXPIRED;
                task_refresh(loop, self);
        } else if (!__builtin_add_overflow(loop_now(loop), ns, &deadline_ns)) {
                scope->context.state |= CONTEXT_ARMED;
                wheel_arm(&loop->wheel, &scope->timer, deadline_ns, TIMER_SCOPE);
        }
        return scope;
}

struct ouro_scope *ouro_shield_open(struct ouro_scope *shield)
{
        struct task *self;

        if (unlikely(!shield))
                return NULL;
        self = open_context(shield, CONTEXT_SHIELD);
        shield->ret_expired = NULL;
        if (self)
                task_refresh(loop_here(), self);
        return shield;
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
        context_cut(loop, &scope->context, OURO_CANCEL_TIME);
}

bool ouro_scope_expired(const struct ouro_scope *scope)
{
        return scope && (scope->context.state & CONTEXT_EXPIRED);
}

int ouro_scope_close(struct ouro_scope *scope)
{
        struct ouro_loop *loop = loop_here();
        struct task *self;
        bool expired;

        if (unlikely(!loop))
                return -EPERM;
        self = task_self(loop);
        if (unlikely(!scope || !scope->context.owner || scope->context.kind == CONTEXT_GROUP))
                return -EINVAL;
        if (unlikely(scope->context.owner != self))
                return -EPERM;
        if (unlikely(self->context != &scope->context))
                return -EINVAL;
        expired = scope->context.state & CONTEXT_EXPIRED;
        if (scope->context.state & CONTEXT_ARMED)
                wheel_cancel(&loop->wheel, &scope->timer);
        scope->context.state &= CONTEXT_EXPIRED;
        scope->context.owner = NULL;
        self->context = scope->context.outer;
        if (unlikely(expired || scope->context.kind == CONTEXT_SHIELD))
                task_refresh(loop, self);
        if (scope->ret_expired)
                *scope->ret_expired = expired;
        return expired;
}

void ouro_scope_leave(struct ouro_scope *scope)
{
        if (scope && scope->context.owner)
                ouro_scope_close(scope);
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
