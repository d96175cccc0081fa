/* owner.c - what follows from who holds which lock: cycles, and locks that were left.
 *
 * A task waits for one lock at most, and a lock's holder is one task here: so who waits for whom is a chain,
 * and a new wait closes a cycle exactly if the chain from the lock's holder leads back to the caller. A lock
 * that changes hands goes to a task that waits for nothing from then on: that closes no cycle. */
#include "sync/owner.h"

static bool is_for_lock(const struct wait_kind *kind)
{
        return kind &&
               (kind->target == mutex_target || kind->target == rwlock_target || kind->target == once_target);
}

bool owner_waits_for_us(const struct sched *sched, const struct task *holder)
{
        const struct coro *coro = &holder->coro;

        while (coro && coro != sched->current && is_for_lock(coro->wait)) {
                struct wait_target target = {.fd = -1};

                coro->wait->target(coro, &target);
                coro = target.holder;
        }
        return coro == sched->current;
}

static void fail_if_orphan(struct ouro_loop *loop, struct task *task)
{
        mutex_fail_if_orphan(loop, task);
        rwlock_fail_if_orphan(loop, task);
}

void owner_watch_deaths(struct ouro_loop *loop)
{
        loop->orphan_check = fail_if_orphan;
}
