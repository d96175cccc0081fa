/* leave.c - control that leaves a task other than by return.
 *
 * Two ways lead out. An unwinder (a C++ exception that nobody catches, pthread_exit(), a cancelled thread)
 * comes to the task's first frame, which is switch_start's: its personality routine is ours. A longjmp()
 * shows later, when the library is called on a stack that is not the running coroutine's. Neither can be
 * put right, so each ends the process with one line; the task it names is the one that left. */
#include <pthread.h>
#include <unwind.h>

#include "base/sys.h"
#include "coro/coro.h"

/* The personality of switch_start: the unwinder asks it before it would take the frame away. */
__attribute__((used)) _Unwind_Reason_Code coro_unwound(int version, _Unwind_Action actions,
                                                       _Unwind_Exception_Class kind,
                                                       struct _Unwind_Exception *exception,
                                                       struct _Unwind_Context *context)
{
        const struct sched *sched = sched_current;
        const char *name = sched ? sched->name(sched->current) : "of a forked child";

        (void)version, (void)kind, (void)exception, (void)context;
        if (actions & _UA_FORCE_UNWIND)
                die("task %s was left by pthread_exit() or a cancelled thread: a task ends by return only",
                    name);
        die("task %s was left by an exception: a task ends by return only", name);
}

static bool in_stacks(const struct sched *sched, const void *addr)
{
        for (const struct stack_pool *pool = &sched->stacks; pool; pool = pool->next)
                for (const struct stack_slab *slab = pool->slabs; slab; slab = slab->next)
                        if ((uintptr_t)addr - (uintptr_t)slab->base < slab->bytes)
                                return true;
        return false;
}

static bool in_thread_stack(const void *addr)
{
        int saved_errno = errno;
        pthread_attr_t attr;
        size_t bytes = 0;
        void *base = NULL;

        if (pthread_getattr_np(pthread_self(), &attr) == 0) {
                pthread_attr_getstack(&attr, &base, &bytes);
                pthread_attr_destroy(&attr);
        }
        errno = saved_errno;
        return (uintptr_t)addr - (uintptr_t)base < bytes;
}

void coro_astray(struct sched *sched, const void *here)
{
        const struct coro *self = sched->current;

        if (self == &sched->loop || coro_owns(sched, self, here))
                return;
        if (in_stacks(sched, here))
                die("task %s has jumped into the stack of another task: a task ends by return only",
                    sched->name(self));
        if (in_thread_stack(here))
                die("task %s has jumped out of its stack: a task ends by return only", sched->name(self));
        /* A stack that the task has made itself: it may call us from there. */
}
