/* rwlock.c - a fair reader-writer lock: first come, first served, neighbouring readers together.
 *
 * Invariants: there is a writer, or readers, or neither. Somebody waits only while it is held, and no reader
 * waits at the head of the queue while readers hold it: who comes behind a writer waits, so that no stream of
 * readers starves it. There is always room in the set of readers for those who wait to join it, so that
 * handing over cannot fail. */
#include <errno.h>

#include "sync/holders.h"

static struct ouro_rwlock *waited_for(const struct coro *coro)
{
        return container_of(coro->waiter.what, struct ouro_rwlock, waiters);
}

/* Who must let go of it: of several readers, one. NULL: there are so many that none is looked for. */
static const struct task *a_holder(const struct ouro_rwlock *lock)
{
        const struct ouro_holder *reader;

        if (lock->writer.task)
                return lock->writer.task;
        reader = lock->readers.many ? NULL : holders_some(&lock->readers, true);
        return reader ? reader->task : NULL;
}

void rwlock_target(const struct coro *coro, struct wait_target *target)
{
        const struct ouro_rwlock *lock = waited_for(coro);
        const struct task *holder = a_holder(lock);

        target->object = lock;
        target->holder = holder ? &holder->coro : NULL;
}

static void cut_reader(struct sched *sched, struct coro *coro, int interrupt);
static void cut_writer(struct sched *sched, struct coro *coro, int interrupt);

static const struct wait_kind waits_to_read = {
        .name = "reader-writer lock, to read", .cut = cut_reader, .target = rwlock_target};
static const struct wait_kind waits_to_write = {
        .name = "reader-writer lock, to write", .cut = cut_writer, .target = rwlock_target};

/* ---- holding ---- */

static void begin_to_write(struct ouro_rwlock *lock, struct task *task)
{
        lock->writer = (struct ouro_holder){task, task->generation};
        task->coro.locks_held++;
}

static void begin_to_read(struct ouro_rwlock *lock, struct task *task)
{
        holders_add(&lock->readers, task);
        task->coro.locks_held++;
}

static bool is_written(const struct ouro_rwlock *lock)
{
        return lock->writer.task != NULL;
}

static bool is_held(const struct ouro_rwlock *lock)
{
        return is_written(lock) || lock->readers.count > 0;
}

static bool is_written_by(const struct ouro_rwlock *lock, const struct task *task)
{
        return lock->writer.task == task && lock->writer.generation == task->generation;
}

/* The readers at the head of the queue, up to the first writer. */
static void let_read(struct sched *sched, struct ouro_rwlock *lock)
{
        struct coro *first;

        while (lock->waiters && (first = sync_coro(lock->waiters))->wait == &waits_to_read) {
                begin_to_read(lock, task_of(first));
                lock->waiting_readers--;
                sync_wake_one(sched, &lock->waiters, 0);
        }
}

/* Nobody holds it: it goes to whoever has waited longest. */
static void hand_over(struct sched *sched, struct ouro_rwlock *lock)
{
        struct coro *first = lock->waiters ? sync_coro(lock->waiters) : NULL;

        if (first && first->wait == &waits_to_write) {
                begin_to_write(lock, task_of(first));
                sync_wake_one(sched, &lock->waiters, 0);
        } else {
                let_read(sched, lock);
        }
        if (lock->waiting_readers == 0)
                holders_trim(&lock->readers);
}

/* ---- cut short ---- */

static void cut_reader(struct sched *sched, struct coro *coro, int interrupt)
{
        waited_for(coro)->waiting_readers--;
        sync_cut(sched, coro, interrupt);
}

/* The readers who waited behind it may be let in. */
static void cut_writer(struct sched *sched, struct coro *coro, int interrupt)
{
        struct ouro_rwlock *lock = waited_for(coro);

        sync_cut(sched, coro, interrupt);
        if (!is_written(lock))
                let_read(sched, lock);
}

static void fail_all(struct sched *sched, struct ouro_rwlock *lock)
{
        lock->waiting_readers = 0;
        sync_wake(sched, &lock->waiters, SIZE_MAX, -EOWNERDEAD);
}

static bool is_abandoned(const struct ouro_rwlock *lock)
{
        if (!atomic_load_explicit(&task_left_locks, memory_order_relaxed))
                return false;
        if (is_written(lock))
                return !owner_is_alive(lock->writer.task, lock->writer.generation);
        return holders_some(&lock->readers, false) != NULL;
}

void rwlock_fail_if_orphan(struct ouro_loop *loop, struct task *task)
{
        if (task->coro.wait != &waits_to_read && task->coro.wait != &waits_to_write)
                return;
        if (is_abandoned(waited_for(&task->coro)))
                fail_all(&loop->sched, waited_for(&task->coro));
}

/* ---- locking ---- */

/* Does a task of another loop hold it? */
static bool is_foreign(struct sched *sched, const struct ouro_rwlock *lock)
{
        const struct ouro_holder *writer = &lock->writer;

        if (lock->loop == loop_of(sched))
                return false;
        return is_written(lock) ? owner_is_alive(writer->task, writer->generation)
                                : holders_some(&lock->readers, true) != NULL;
}

/* What both sides say, whoever holds it. */
static int refuse(struct sched *sched, struct ouro_rwlock *lock)
{
        const struct task *self;

        if (!sched)
                return -EPERM;
        if (!lock)
                return -EINVAL;
        self = task_of(sched->current);
        if (is_written_by(lock, self) || (!is_written(lock) && holders_find(&lock->readers, self)))
                return -EDEADLK;
        if (!is_held(lock)) {
                lock->loop = loop_of(sched);
                return 0;
        }
        if (is_foreign(sched, lock))
                return -EPERM;
        return is_abandoned(lock) ? -EOWNERDEAD : 0;
}

static int wait_for_turn(struct sched *sched, struct ouro_rwlock *lock, const struct wait_kind *kind)
{
        const struct task *holder = a_holder(lock);

        if (holder && owner_waits_for_us(sched, holder))
                return -EDEADLK;
        owner_watch_deaths(loop_of(sched));
        if (kind == &waits_to_read)
                lock->waiting_readers++;
        return sync_wait(sched, &lock->waiters, kind);
}

/* May a reader come in at once? */
static bool is_open(const struct ouro_rwlock *lock)
{
        return !is_written(lock) && !lock->waiters;
}

/* Room for those who read, those who wait to, and the caller. */
static int make_room(struct ouro_rwlock *lock)
{
        return holders_reserve(&lock->readers, lock->readers.count + lock->waiting_readers + 1);
}

int ouro_rwlock_read(struct ouro_rwlock *lock)
{
        struct sched *sched = sched_current;
        int error;

        if (sched && lock && sched->current->interrupt)
                return sched->current->interrupt;
        error = refuse(sched, lock);
        if (error == 0)
                error = make_room(lock);
        if (error < 0)
                return error;
        if (is_open(lock)) {
                begin_to_read(lock, task_of(sched->current));
                return coro_spend_int(sched, 0);
        }
        return wait_for_turn(sched, lock, &waits_to_read);
}

int ouro_rwlock_try_read(struct ouro_rwlock *lock)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, lock);

        if (error < 0)
                return error;
        if (!is_open(lock))
                return -EBUSY;
        error = make_room(lock);
        if (error == 0)
                begin_to_read(lock, task_of(sched->current));
        return error;
}

int ouro_rwlock_write(struct ouro_rwlock *lock)
{
        struct sched *sched = sched_current;
        int error;

        if (sched && lock && sched->current->interrupt)
                return sched->current->interrupt;
        error = refuse(sched, lock);
        if (error < 0)
                return error;
        if (!is_held(lock)) {
                begin_to_write(lock, task_of(sched->current));
                return coro_spend_int(sched, 0);
        }
        return wait_for_turn(sched, lock, &waits_to_write);
}

int ouro_rwlock_try_write(struct ouro_rwlock *lock)
{
        struct sched *sched = sched_current;
        int error = refuse(sched, lock);

        if (error < 0)
                return error;
        if (is_held(lock))
                return -EBUSY;
        begin_to_write(lock, task_of(sched->current));
        return 0;
}

/* ---- letting go ---- */

int ouro_rwlock_unlock(struct ouro_rwlock *lock)
{
        struct sched *sched = sched_current;
        struct ouro_holder *reader;
        struct task *self;

        if (!sched)
                return -EPERM;
        if (!lock)
                return -EINVAL;
        self = task_of(sched->current);
        if (is_written_by(lock, self)) {
                lock->writer = (struct ouro_holder){NULL, 0};
        } else {
                reader = is_written(lock) ? NULL : holders_find(&lock->readers, self);
                if (!reader)
                        return -EPERM;
                holders_remove(&lock->readers, reader);
        }
        self->coro.locks_held--;
        if (!is_held(lock))
                hand_over(sched, lock);
        return 0;
}

int ouro_rwlock_downgrade(struct ouro_rwlock *lock)
{
        struct sched *sched = sched_current;
        struct task *self;
        int error;

        if (!sched)
                return -EPERM;
        if (!lock)
                return -EINVAL;
        self = task_of(sched->current);
        if (!is_written_by(lock, self))
                return -EPERM;
        error = make_room(lock);
        if (error < 0)
                return error;
        lock->writer = (struct ouro_holder){NULL, 0};
        holders_add(&lock->readers, self);
        let_read(sched, lock);
        return 0;
}

int ouro_rwlock_recover(struct ouro_rwlock *lock)
{
        struct sched *sched = sched_current;
        int error;

        if (!sched)
                return -EPERM;
        if (!lock || !is_held(lock))
                return -EINVAL;
        error = refuse(sched, lock);
        if (error != -EOWNERDEAD)
                return error < 0 ? error : -EBUSY;
        if (!is_written(lock) && holders_some(&lock->readers, true))
                return -EBUSY;
        lock->loop = loop_of(sched);
        holders_clear(&lock->readers);
        begin_to_write(lock, task_of(sched->current));
        return 0;
}
