/* coro.c - switching between coroutines.
 *
 * Fresh coroutines have no stack. One is taken when its turn comes, and given back when it has ended; if the
 * next in the queue is fresh too and wants the default size, it runs on the stack of the one that ended,
 * without any switch. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "coro/coro.h"

__thread struct sched *sched_current __attribute__((tls_model("initial-exec")));

/* Itanium C++ ABI, 2.2.2. Weak: absent in a program without the C++ runtime. */
extern struct cxx_globals *__cxa_get_globals(void) __attribute__((weak));

enum {
        POOL_SHIFT = 24, /* a stack's number holds that of its pool above this */
        NUMBER_MASK = (1 << POOL_SHIFT) - 1,
        POOLS_MOST = 254,
};

void sched_init(struct sched *sched, size_t stack_bytes)
{
        memset(sched, 0, sizeof *sched);
        sched->current = &sched->loop;
        sched->loop.stack = STACK_LOOP;
        sched->ready_tail = &sched->ready;
        sched->low_tail = &sched->low;
        sched->starved_tail = &sched->starved;
        sched->errno_at = &errno;
        sched->cxx = __cxa_get_globals ? __cxa_get_globals() : &sched->no_cxx;
        sched->loop_extent.tsan = sanitize_fiber_current();
        stack_pool_init(&sched->stacks, stack_bytes);
}

void sched_destroy(struct sched *sched)
{
        struct stack_pool *pool;

        while ((pool = sched->stacks.next)) {
                sched->stacks.next = pool->next;
                stack_pool_destroy(pool);
                mem_free(pool, sizeof *pool);
        }
        stack_pool_destroy(&sched->stacks);
}

static inline struct stack_pool *pool_of(struct sched *sched, uint32_t stack)
{
        struct stack_pool *pool = &sched->stacks;

        for (uint32_t i = stack >> POOL_SHIFT; i > 0; i--)
                pool = pool->next;
        return pool;
}

/* The pool of stacks of this size, made if it must be. NULL: no memory for that. */
static struct stack_pool *pool_for(struct sched *sched, size_t bytes, uint32_t *ret_index)
{
        struct stack_pool *pool = &sched->stacks, wanted;
        uint32_t index = 0;

        stack_pool_init(&wanted, bytes);
        for (;; pool = pool->next, index++) {
                if (pool->stack_bytes == wanted.stack_bytes)
                        break;
                if (pool->next)
                        continue;
                if (index + 1 == POOLS_MOST || !(pool->next = mem_alloc(sizeof *pool)))
                        return NULL;
                *pool->next = wanted;
        }
        *ret_index = index;
        return pool;
}

/* Sets *ret_pool on failure too; NULL: there is not even a pool of that size. */
static inline bool take_stack(struct sched *sched, struct coro *coro, struct stack_pool **ret_pool)
{
        struct stack_pool *pool = &sched->stacks;
        uint32_t index = 0, number;

        if (unlikely(coro->value != 0))
                pool = pool_for(sched, (size_t)coro->value, &index);
        *ret_pool = pool;
        if (unlikely(!pool || !stack_get(pool, &number)))
                return false;
        coro->stack = index << POOL_SHIFT | number;
        return true;
}

static inline void give_stack_back(struct sched *sched, uint32_t stack)
{
        stack_put(pool_of(sched, stack), stack & NUMBER_MASK);
}

static void ready_before_all(struct sched *sched, struct coro *coro)
{
        if (!sched->ready)
                sched->ready_tail = &coro->next;
        coro->next = sched->ready;
        sched->ready = coro;
}

/* A stack of this pool is about to be free: it is for the one that has been short of such a stack longest. */
static __attribute__((noinline)) void feed_starved(struct sched *sched, const struct stack_pool *pool)
{
        for (struct coro **at = &sched->starved; *at; at = &(*at)->next) {
                struct coro *coro = *at;
                size_t bytes = coro->value ? (size_t)coro->value : sched->stacks.stack_bytes;

                if (stack_round_up(bytes) != pool->stack_bytes)
                        continue;
                *at = coro->next;
                if (sched->starved_tail == &coro->next)
                        sched->starved_tail = at;
                ready_before_all(sched, coro);
                return;
        }
}

static void end_unstartable(struct sched *sched, struct coro *coro)
{
        void (*unstartable)(void *arg) = (void (*)(void *))coro->sp;

        if (unstartable) {
                int saved_errno = errno; /* of the task on whose stack we are */

                sched_current = NULL; /* it runs outside any task: what it calls gets -EPERM */
                unstartable(coro->start.arg);
                sched_current = sched;
                errno = saved_errno;
        }
        sched->ended(sched, coro, -ENOMEM);
}

/* No stack for it now: it waits for one that is given back. Where none of its size is out, none will be. */
static void starve(struct sched *sched, struct coro *coro, const struct stack_pool *pool)
{
        if (!pool || pool->total == 0) {
                end_unstartable(sched, coro);
                return;
        }
        coro->next = NULL;
        *sched->starved_tail = coro;
        sched->starved_tail = &coro->next;
}

bool sched_end_starved(struct sched *sched)
{
        struct coro *coro = sched->starved;

        if (!coro)
                return false;
        sched->starved = coro->next;
        if (!sched->starved)
                sched->starved_tail = &sched->starved;
        end_unstartable(sched, coro);
        return true;
}

static inline bool is_fresh(const struct coro *coro)
{
        return coro->stack == STACK_NONE;
}

/* Takes the first of the ready queue out. */
static inline void take_ready(struct sched *sched, struct coro *first)
{
        struct coro *next = first->next;

        sched->ready = next;
        if (likely(next))
                __builtin_prefetch(next->sp);
        else
                sched->ready_tail = &sched->ready;
}

/* Who runs next: never NULL. */
static inline struct coro *pick(struct sched *sched)
{
        struct coro *coro = sched->ready;

        if (unlikely(!coro || (sched->budget -= SWITCH_COST) < 0))
                return &sched->loop;
        take_ready(sched, coro);
        return coro;
}

static struct sanitize_stack extent_of(struct sched *sched, const struct coro *coro)
{
        struct stack_pool *pool;

        if (coro == &sched->loop)
                return sched->loop_extent;
        pool = pool_of(sched, coro->stack);
        return stack_extent(pool, coro->stack & NUMBER_MASK);
}

static void arrive(struct sched *sched, void *fake)
{
        struct sanitize_stack left = {NULL, 0, NULL};

        sanitize_arrive(fake, &left);
        if (!sched->loop_extent.bottom) { /* the first switch of all comes from the loop */
                sched->loop_extent.bottom = left.bottom;
                sched->loop_extent.bytes = left.bytes;
        }
}

/* Must a sanitizer or the C++ runtime know of this switch? Whoever is suspended without that left, and
 * expects to find, a C++ state of zeroes; whoever is suspended with it brings its own state back. */
static inline bool needs_care(const struct sched *sched)
{
        return sanitize_active() || sched->cxx->caught || sched->cxx->uncaught;
}

/* The switch under a sanitizer, or in the middle of a C++ exception. top: of a fresh coroutine's stack. */
static __attribute__((noinline)) intptr_t switch_careful(struct sched *sched, struct coro *from,
                                                         struct coro *to, void *top)
{
        struct cxx_globals cxx = *sched->cxx;
        void *fake = NULL;
        intptr_t value;

        *sched->cxx = (struct cxx_globals){NULL, 0};
        sanitize_leave(&fake, extent_of(sched, to));
        if (top)
                value = switch_start(&from->sp, top, to, sched->errno_at);
        else
                value = switch_to(&from->sp, to->sp, to->value, sched->errno_at);
        arrive(sched, fake);
        *sched->cxx = cxx;
        return value;
}

static inline intptr_t resume_from(struct sched *sched, struct coro *from, struct coro *to)
{
        if (unlikely(to == from))
                return to->value;
        sched->current = to;
        if (unlikely(needs_care(sched)))
                return switch_careful(sched, from, to, NULL);
        return switch_to(&from->sp, to->sp, to->value, sched->errno_at);
}

/* Starts a fresh one with a stack of its own. Those for whom there is none are passed over. */
static __attribute__((noinline)) intptr_t start_carefully(struct sched *sched, struct coro *from,
                                                          struct coro *to)
{
        struct stack_pool *pool;

        while (!take_stack(sched, to, &pool)) {
                starve(sched, to, pool);
                to = pick(sched);
                if (!is_fresh(to))
                        return resume_from(sched, from, to);
        }
        sched->current = to;
        if (needs_care(sched))
                return switch_careful(sched, from, to, stack_top(pool, to->stack & NUMBER_MASK));
        return switch_start(&from->sp, stack_top(pool, to->stack & NUMBER_MASK), to, sched->errno_at);
}

/* The same, where a stack of the default size is at hand, which is most of the time. */
static inline intptr_t start_from(struct sched *sched, struct coro *from, struct coro *to)
{
        struct stack_pool *pool = &sched->stacks;

        if (unlikely(to->value != 0 || pool->free_count == 0 || needs_care(sched)))
                return start_carefully(sched, from, to);
        to->stack = stack_take(pool);
        sched->current = to;
        return switch_start(&from->sp, stack_top(pool, to->stack), to, sched->errno_at);
}

intptr_t coro_suspend(struct sched *sched)
{
        struct coro *from = sched->current, *to = pick(sched);

        if (unlikely(is_fresh(to)))
                return start_from(sched, from, to);
        return resume_from(sched, from, to);
}

int coro_yield(struct sched *sched)
{
        struct coro *self = sched->current, *to = sched->ready;

        self->value = 0;
        coro_ready(sched, self);
        if (unlikely(!to || is_fresh(to) || (sched->budget -= SWITCH_COST) < 0))
                return coro_suspend_int(sched);
        take_ready(sched, to);
        sched->current = to;
        if (unlikely(needs_care(sched)))
                return (int)switch_careful(sched, self, to, NULL);
        return switch_to_int(&self->sp, to->sp, to->value, sched->errno_at);
}

intptr_t coro_rest(struct sched *sched, intptr_t result)
{
        struct coro *self = sched->current;

        if (unlikely(self == &sched->loop)) /* a job that it runs itself */
                return result;
        self->value = result;
        coro_ready(sched, self);
        return coro_suspend(sched);
}

intptr_t coro_body(struct coro *fresh)
{
        struct sched *sched = sched_current;

        if (sanitize_active())
                arrive(sched, NULL);
        return fresh->start.fn(fresh->start.arg);
}

/* Does this one, which is next, go on with the stack of the one that has just ended? */
static inline bool inherits(const struct coro *fresh, uint32_t stack)
{
        return fresh->value == 0 && stack >> POOL_SHIFT == 0;
}

/* To one that inherits the stack this is a switch too: it arrives like any other. */
static sanitize_not_instrumented void leave_for_good(struct sched *sched, const struct coro *to)
{
        *sched->cxx = (struct cxx_globals){NULL, 0};
        sanitize_leave(NULL, extent_of(sched, to));
}

sanitize_not_instrumented struct coro_next coro_exit(intptr_t result)
{
        struct sched *sched = sched_current;
        struct coro *self, *to;
        uint32_t stack;

        if (unlikely(!sched))
                die("a forked child returned from a task that it inherited");
        coro_check_stack(sched);
        self = sched->current;
        stack = self->stack;
        self->stack = STACK_NONE;
        sched->ended(sched, self, result); /* from here on self may be another coroutine's record */
        if (unlikely(sched->starved))
                feed_starved(sched, pool_of(sched, stack));
        to = pick(sched);
        if (is_fresh(to)) {
                if (inherits(to, stack)) {
                        to->stack = stack;
                        sched->current = to;
                        if (unlikely(needs_care(sched)))
                                leave_for_good(sched, to);
                        return (struct coro_next){NULL, (intptr_t)to};
                }
                ready_before_all(sched, to); /* to be started from a stack that lives: by the loop */
                to = &sched->loop;
        }
        give_stack_back(sched, stack);
        sched->current = to;
        if (unlikely(needs_care(sched)))
                leave_for_good(sched, to);
        return (struct coro_next){to->sp, to->value};
}

/* The first of low priority comes before all others. */
static void raise_low(struct sched *sched)
{
        struct coro *coro = sched->low;

        sched->low = coro->next;
        if (!sched->low)
                sched->low_tail = &sched->low;
        ready_before_all(sched, coro);
}

void sched_run(struct sched *sched, int switches)
{
        bool low_had_a_turn = false;

        sched->budget = switches * SWITCH_COST;
        for (;;) {
                while (sched->ready &&
                       sched->budget > 0) /* again: one that has to be started from this stack */
                        coro_suspend(sched);
                if (!sched->low || (sched->budget <= 0 && low_had_a_turn))
                        return;
                if (sched->budget <= 0)
                        sched->budget = LOW_BUDGET;
                low_had_a_turn = true;
                raise_low(sched);
        }
}

void coro_interrupt(struct sched *sched, struct coro *coro, int interrupt)
{
        const struct wait_kind *wait = coro->wait;

        coro->interrupt = (int8_t)interrupt;
        if (interrupt != 0 && wait && wait->cut)
                wait->cut(sched, coro, interrupt);
}

void coro_target(const struct coro *coro, struct wait_target *ret_target)
{
        const struct wait_kind *wait = coro->wait;

        *ret_target = (struct wait_target){.fd = -1};
        if (wait->target)
                wait->target(coro, ret_target);
        if (!ret_target->name)
                ret_target->name = wait->name;
}

void sched_trim(struct sched *sched)
{
        for (struct stack_pool *pool = &sched->stacks; pool; pool = pool->next)
                stack_pool_trim(pool);
}

bool sched_can_trim(const struct sched *sched)
{
        for (const struct stack_pool *pool = &sched->stacks; pool; pool = pool->next)
                if (pool->clean < pool->free_count)
                        return true;
        return false;
}

bool coro_guards(const struct sched *sched, const void *addr)
{
        for (const struct stack_pool *pool = &sched->stacks; pool; pool = pool->next)
                if (stack_pool_guards(pool, addr))
                        return true;
        return false;
}

bool coro_owns(struct sched *sched, const struct coro *coro, const void *addr)
{
        struct sanitize_stack extent;

        if (coro == &sched->loop || coro->stack == STACK_NONE)
                return false;
        extent = extent_of(sched, coro);
        return (uintptr_t)addr - (uintptr_t)extent.bottom < extent.bytes;
}

size_t coro_stack_bytes(struct sched *sched, const struct coro *coro)
{
        return pool_of(sched, coro->stack)->stack_bytes;
}

_Static_assert(offsetof(struct coro, start.fn) == 24, "the offset in switch_start");

ouro_fn *coro_entry(struct sched *sched, const struct coro *coro)
{
        ouro_fn **top = stack_top(pool_of(sched, coro->stack), coro->stack & NUMBER_MASK);

        return top[-2]; /* switch_start leaves it there */
}
