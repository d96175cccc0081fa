/* Of lib/sync/rwlock.c: one writer or many readers, in the order of asking; whoever ends holding it is told.
 */
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "support/leaks.h"

TestSuite(rwlock, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static struct ouro_rwlock lock;

static void is_free(void)
{
        cr_assert_null(lock.writer.task);
        cr_assert_eq(lock.readers.count, 0u);
        cr_assert_eq(lock.waiting_readers, 0u);
        cr_assert_null(lock.readers.many, "memory of readers is left");
        cr_assert_null(lock.waiters);
}

/* Notes its letter when it holds the lock, keeps it for a turn and notes the letter in lower case. */
static intptr_t holds(char letter, int error)
{
        if (error < 0)
                return error;
        note(letter);
        cr_assert_eq(ouro_yield(), 0);
        note((char)(letter - 'A' + 'a'));
        return ouro_rwlock_unlock(&lock);
}

static intptr_t reads(void *letter)
{
        return holds((char)(intptr_t)letter, ouro_rwlock_read(&lock));
}

static intptr_t writes(void *letter)
{
        return holds((char)(intptr_t)letter, ouro_rwlock_write(&lock));
}

static ouro_task waiting(ouro_fn *fn, char letter)
{
        ouro_task task = ouro_create_task_named(fn, as_arg(letter), "waiting");

        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

RUN(rwlock, neighbouring_readers_go_together_and_writers_alone)
{
        ouro_task tasks[6];

        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        tasks[0] = waiting(reads, 'A');
        tasks[1] = waiting(reads, 'B');
        tasks[2] = waiting(writes, 'C');
        tasks[3] = waiting(writes, 'D');
        tasks[4] = waiting(reads, 'E');
        tasks[5] = waiting(reads, 'F');
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_gather(tasks, 6, NULL), 0);
        cr_assert_str_eq(noted(), "ABabCcDdEFef");
        is_free();
}

RUN(rwlock, readers_do_not_overtake_a_writer_that_waits)
{
        ouro_task tasks[2];

        cr_assert_eq(ouro_rwlock_read(&lock), 0);
        tasks[0] = waiting(writes, 'W');
        tasks[1] = waiting(reads, 'R');
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_gather(tasks, 2, NULL), 0);
        cr_assert_str_eq(noted(), "WwRr");
        is_free();
}

static intptr_t tries(void *unused)
{
        (void)unused;
        note(ouro_rwlock_try_read(&lock) == 0 ? 'r' : '-');
        note(ouro_rwlock_try_write(&lock) == -EBUSY ? '-' : 'w');
        return ouro_rwlock_unlock(&lock);
}

RUN(rwlock, trying_tells_and_waits_not)
{
        ouro_task writer;

        cr_assert_eq(ouro_rwlock_try_write(&lock), 0);
        cr_assert_eq(ouro_await(ouro_create_task(tries, NULL)), -EPERM);
        cr_assert_str_eq(noted(), "--", "neither side comes in");
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_rwlock_try_read(&lock), 0);
        cr_assert_eq(ouro_await(ouro_create_task_named(reads, as_arg('A'), "reads")), 0);
        cr_assert_str_eq(noted(), "Aa");
        writer = waiting(writes, 'W');
        cr_assert_eq(ouro_await(ouro_create_task(tries, NULL)), -EPERM);
        cr_assert_str_eq(noted(), "--", "a reader that tries does not overtake either");
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_await(writer), 0);
        is_free();
}

RUN(rwlock, knows_its_holders)
{
        cr_assert_eq(ouro_rwlock_unlock(&lock), -EPERM);
        cr_assert_eq(ouro_rwlock_downgrade(&lock), -EPERM);
        cr_assert_eq(ouro_rwlock_read(&lock), 0);
        cr_assert_eq(ouro_rwlock_read(&lock), -EDEADLK);
        cr_assert_eq(ouro_rwlock_write(&lock), -EDEADLK, "no reader becomes a writer");
        cr_assert_eq(ouro_rwlock_try_read(&lock), -EDEADLK);
        cr_assert_eq(ouro_rwlock_try_write(&lock), -EDEADLK);
        cr_assert_eq(ouro_rwlock_downgrade(&lock), -EPERM);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_rwlock_unlock(&lock), -EPERM);
        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        cr_assert_eq(ouro_rwlock_write(&lock), -EDEADLK);
        cr_assert_eq(ouro_rwlock_read(&lock), -EDEADLK);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        is_free();
}

static intptr_t unlocks(void *unused)
{
        (void)unused;
        return ouro_rwlock_unlock(&lock);
}

RUN(rwlock, a_stranger_cannot_unlock_it)
{
        cr_assert_eq(ouro_rwlock_read(&lock), 0);
        cr_assert_eq(ouro_await(ouro_create_task(unlocks, NULL)), -EPERM);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        cr_assert_eq(ouro_await(ouro_create_task(unlocks, NULL)), -EPERM);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        is_free();
}

RUN(rwlock, downgrading_lets_readers_in_and_nobody_write_before)
{
        ouro_task tasks[4];

        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        tasks[0] = waiting(reads, 'A');
        tasks[1] = waiting(reads, 'B');
        tasks[2] = waiting(writes, 'C');
        tasks[3] = waiting(reads, 'D');
        cr_assert_eq(ouro_rwlock_downgrade(&lock), 0);
        cr_assert_eq(lock.readers.count, 3u);
        note('.');
        cr_assert_eq(ouro_await(tasks[0]), 0);
        cr_assert_eq(ouro_await(tasks[1]), 0);
        note('.');
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_await(tasks[2]), 0);
        cr_assert_eq(ouro_await(tasks[3]), 0);
        cr_assert_str_eq(noted(), ".ABab.CcDd");
        is_free();
}

/* ---- cut short ---- */

RUN(rwlock, a_cancelled_writer_lets_the_readers_behind_it_in)
{
        ouro_task writer, reader;

        cr_assert_eq(ouro_rwlock_read(&lock), 0);
        writer = waiting(writes, 'W');
        reader = waiting(reads, 'R');
        cr_assert_eq(ouro_cancel(writer), 0);
        cr_assert_eq(ouro_await(reader), 0, "while the first reader still reads");
        cr_assert_eq(ouro_await(writer), -ECANCELED);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        is_free();
}

RUN(rwlock, a_cancelled_waiter_keeps_nobody_back)
{
        ouro_task tasks[4];
        intptr_t results[4];

        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        tasks[0] = waiting(writes, 'A');
        tasks[1] = waiting(reads, 'B');
        tasks[2] = waiting(reads, 'C');
        tasks[3] = waiting(writes, 'D');
        cr_assert_eq(ouro_cancel(tasks[0]), 0);
        cr_assert_eq(ouro_cancel(tasks[1]), 0);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_gather(tasks, 4, results), -ECANCELED);
        cr_assert_eq(results[2], 0);
        cr_assert_eq(results[3], 0);
        cr_assert_str_eq(noted(), "CcDd");
        is_free();
}

static intptr_t reads_at_once(void *unused)
{
        int error = ouro_rwlock_read(&lock);

        (void)unused;
        return error < 0 ? error : ouro_rwlock_unlock(&lock);
}

static intptr_t writes_at_once(void *unused)
{
        int error = ouro_rwlock_write(&lock);

        (void)unused;
        return error < 0 ? error : ouro_rwlock_unlock(&lock);
}

RUN(rwlock, that_was_handed_over_is_held_in_spite_of_a_cancellation)
{
        ouro_fn *const sides[] = {reads_at_once, writes_at_once};

        for (size_t i = 0; i < 2; i++) {
                ouro_task task;

                cr_assert_eq(ouro_rwlock_write(&lock), 0);
                task = waiting(sides[i], ' ');
                cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
                cr_assert_eq(ouro_cancel(task), 0);
                cr_assert_eq(ouro_await(task), 0);
                is_free();
        }
}

RUN_VIRTUAL(rwlock, time_and_cancellation_are_told_on_entry)
{
        OURO_TIMEOUT(0) {
                cr_assert_eq(ouro_rwlock_read(&lock), -ETIME);
                cr_assert_eq(ouro_rwlock_write(&lock), -ETIME);
                cr_assert_eq(ouro_rwlock_try_read(&lock), 0, "which does not wait");
                cr_assert_eq(ouro_rwlock_unlock(&lock), 0, "is never cut short");
        }
        is_free();
}

/* ---- very many readers ---- */

enum { MANY = 3000 };

static struct ouro_event go;

static intptr_t reads_until_told(void *unused)
{
        int error = ouro_rwlock_read(&lock);

        (void)unused;
        cr_assert_eq(error, 0);
        cr_assert_eq(ouro_event_wait(&go), 0);
        return ouro_rwlock_unlock(&lock);
}

RUN(rwlock, thousands_read_at_once)
{
        static ouro_task tasks[MANY];
        ouro_task writer;

        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        for (int i = 0; i < MANY; i++)
                tasks[i] = ouro_create_task(reads_until_told, NULL);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(lock.waiting_readers, (size_t)MANY);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(lock.readers.count, (size_t)MANY);
        writer = waiting(writes, 'W');
        cr_assert_eq(ouro_event_set(&go), 0);
        cr_assert_eq(ouro_gather(tasks, MANY, NULL), 0);
        cr_assert_eq(ouro_await(writer), 0);
        is_free();
}

/* ---- against a model ---- */

enum { TASKS = 40, STEPS = 400 };

static struct {
        uint64_t seed;
        int readers, writers; /* inside now */
        uint64_t asked;       /* so many have asked */
        uint64_t let_in;      /* the highest number of those let in */
        uint64_t wrote;       /* the highest of the writers let in */
        uint64_t taken;
} model;

static unsigned roll(unsigned below)
{
        model.seed = model.seed * 6364136223846793005u + 1442695040888963407u;
        return (unsigned)(model.seed >> 33) % below;
}

/* Nobody passes a writer that asked before, and no writer anybody who did. Readers may see in any order that
 * they hold the lock together. */
static void comes_in(uint64_t number, bool writes_now)
{
        cr_assert_gt(number, writes_now ? model.let_in : model.wrote, "overtaken");
        if (writes_now)
                model.wrote = number;
        if (number > model.let_in)
                model.let_in = number;
        model.taken++;
        if (writes_now)
                model.writers++;
        else
                model.readers++;
        cr_assert(model.writers == 0 || (model.writers == 1 && model.readers == 0), "%d writers, %d readers",
                  model.writers, model.readers);
}

static void stays(void)
{
        for (unsigned i = roll(3); i > 0; i--) {
                int readers = model.readers, writers = model.writers;

                OURO_SHIELD
                cr_assert_eq(ouro_yield(), 0);
                cr_assert(writers == 0 || (model.writers == writers && model.readers == readers));
        }
}

static void reads_once(void)
{
        uint64_t number = ++model.asked;
        int error = ouro_rwlock_read(&lock);

        if (error < 0)
                return;
        comes_in(number, false);
        stays();
        model.readers--;
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
}

static void writes_once(bool downgrades)
{
        uint64_t number = ++model.asked;
        int error = ouro_rwlock_write(&lock);

        if (error < 0)
                return;
        comes_in(number, true);
        stays();
        model.writers--;
        if (downgrades) {
                cr_assert_eq(ouro_rwlock_downgrade(&lock), 0);
                model.readers++;
                stays();
                model.readers--;
        }
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
}

static intptr_t reads_and_writes(void *unused)
{
        (void)unused;
        for (int i = 0; i < STEPS; i++)
                OURO_TIMEOUT(roll(4) == 0 ? (int64_t)roll(20) : OURO_FOREVER) {
                        if (roll(3) > 0)
                                reads_once();
                        else
                                writes_once(roll(4) == 0);
                        if (roll(2))
                                ouro_sleep((int64_t)roll(10) + 1);
                }
        return 0;
}

RUN_VIRTUAL(rwlock, keeps_to_the_model_whatever_is_asked_and_cut_short)
{
        for (uint64_t seed = 1; seed <= 5; seed++) {
                memset(&model, 0, sizeof model);
                model.seed = seed;
                OURO_GROUP(g)
                        for (int i = 0; i < TASKS; i++)
                                ouro_create_task_in(g, reads_and_writes, NULL);
                is_free();
                cr_assert_eq(model.readers + model.writers, 0);
                cr_assert_gt(model.taken, (uint64_t)TASKS * STEPS / 2);
                cr_assert_lt(model.taken, model.asked, "some were cut short, or this tries too little");
        }
}

/* ---- a holder that ends ---- */

static intptr_t ends_reading(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_rwlock_read(&lock), 0);
        return ouro_yield();
}

static intptr_t ends_writing(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        for (int i = 0; i < 5; i++)
                cr_assert_eq(ouro_yield(), 0);
        return 0;
}

RUN(rwlock, f61_that_a_writer_left_fails_both_sides)
{
        ouro_task holder = ouro_create_task(ends_writing, NULL), tasks[2];
        intptr_t results[2];

        catch_log();
        cr_assert_eq(ouro_yield(), 0);
        tasks[0] = waiting(reads, 'R');
        tasks[1] = waiting(writes, 'W');
        cr_assert_eq(ouro_await(holder), 0);
        cr_assert_eq(ouro_gather(tasks, 2, results), -EOWNERDEAD);
        cr_assert_eq(results[0], -EOWNERDEAD);
        cr_assert_eq(results[1], -EOWNERDEAD);
        cr_assert_eq(lock.waiting_readers, 0u);
        cr_assert_eq(ouro_rwlock_read(&lock), -EOWNERDEAD);
        cr_assert_eq(ouro_rwlock_try_read(&lock), -EOWNERDEAD);
        cr_assert_eq(ouro_rwlock_write(&lock), -EOWNERDEAD);
        cr_assert_eq(ouro_rwlock_try_write(&lock), -EOWNERDEAD);
        cr_assert_eq(ouro_rwlock_unlock(&lock), -EPERM);
        cr_assert_eq(logged(), 1u);
        cr_assert_not_null(strstr(logged_last(), "ends_writing"), "%s", logged_last());
        cr_assert_eq(ouro_rwlock_recover(&lock), 0);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        is_free();
}

RUN(rwlock, f61_that_one_of_several_readers_left_fails_who_waits)
{
        ouro_task holder, writer;

        catch_log();
        cr_assert_eq(ouro_rwlock_read(&lock), 0);
        holder = ouro_create_task(ends_reading, NULL);
        writer = waiting(writes, 'W');
        cr_assert_eq(ouro_await(holder), 0);
        cr_assert_eq(ouro_await(writer), -EOWNERDEAD);
        cr_assert_eq(ouro_rwlock_recover(&lock), -EDEADLK, "the caller itself reads");
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0, "who lives may let go");
        cr_assert_eq(ouro_rwlock_write(&lock), -EOWNERDEAD);
        cr_assert_eq(ouro_rwlock_recover(&lock), 0);
        cr_assert_eq(ouro_rwlock_recover(&lock), -EDEADLK);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_rwlock_recover(&lock), -EINVAL, "nobody holds it");
        is_free();
}

static intptr_t recovers(void *unused)
{
        (void)unused;
        return ouro_rwlock_recover(&lock);
}

RUN(rwlock, f61_is_not_taken_from_a_holder_that_lives)
{
        catch_log();
        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        cr_assert_eq(ouro_await(ouro_create_task(recovers, NULL)), -EBUSY);
        cr_assert_eq(ouro_rwlock_downgrade(&lock), 0);
        cr_assert_eq(ouro_await(ouro_create_task(recovers, NULL)), -EBUSY);
        cr_assert_eq(ouro_await(ouro_create_task(ends_reading, NULL)), 0);
        cr_assert_eq(ouro_await(ouro_create_task(recovers, NULL)), -EBUSY, "one lives, one does not");
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_rwlock_recover(&lock), 0);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        is_free();
}

RUN(rwlock, f61_is_not_its_who_has_the_holders_record_now)
{
        ouro_task holder = ouro_create_task(ends_reading, NULL), next;

        catch_log();
        cr_assert_eq(ouro_await(holder), 0);
        next = ouro_create_task(unlocks, NULL);
        cr_assert_eq(next.slot, holder.slot, "another record: the test tells nothing");
        cr_assert_eq(ouro_await(next), -EPERM);
        cr_assert_eq(ouro_rwlock_read(&lock), -EOWNERDEAD);
}

RUN(rwlock, f61_that_some_of_very_many_readers_left)
{
        static ouro_task tasks[MANY];
        ouro_task writer;

        catch_log();
        for (int i = 0; i < MANY; i++)
                tasks[i] = ouro_create_task(i % 3 ? reads_until_told : ends_reading, NULL);
        cr_assert_eq(ouro_yield(), 0);
        cr_assert_eq(lock.readers.count, (size_t)MANY);
        writer = ouro_create_task(writes, as_arg('W'));
        cr_assert_eq(ouro_await(writer), -EOWNERDEAD);
        cr_assert_eq(ouro_event_set(&go), 0);
        cr_assert_eq(ouro_gather(tasks, MANY, NULL), 0);
        cr_assert_eq(lock.readers.count, (size_t)MANY / 3);
        cr_assert_eq(ouro_rwlock_recover(&lock), 0);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        is_free();
}

static intptr_t finds_it_abandoned(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_rwlock_write(&lock), -EOWNERDEAD);
        cr_assert_eq(ouro_rwlock_read(&lock), -EOWNERDEAD);
        return 0;
}

Test(rwlock, f61_of_an_earlier_run_is_abandoned)
{
        catch_log();
        cr_assert_eq(ouro_run(ends_reading, NULL), 0);
        for (int i = 0; i < 3; i++)
                cr_assert_eq(ouro_run(finds_it_abandoned, NULL), 0);
}

/* ---- deadlock ---- */

static struct ouro_rwlock other;
static struct ouro_mutex mutex;

static intptr_t writes_other_wants(void *unused)
{
        int error;

        (void)unused;
        cr_assert_eq(ouro_rwlock_write(&other), 0);
        cr_assert_eq(ouro_mutex_lock(&mutex), 0);
        error = ouro_rwlock_read(&lock);
        if (error == 0)
                cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_mutex_unlock(&mutex), 0);
        cr_assert_eq(ouro_rwlock_unlock(&other), 0);
        return error;
}

RUN(rwlock, f66_a_cycle_of_locks_is_told_to_who_would_close_it)
{
        ouro_task task;

        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        task = waiting(writes_other_wants, ' ');
        cr_assert_eq(ouro_rwlock_read(&other), -EDEADLK);
        cr_assert_eq(other.waiting_readers, 0u);
        cr_assert_eq(ouro_rwlock_write(&other), -EDEADLK);
        cr_assert_eq(ouro_mutex_lock(&mutex), -EDEADLK);
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_await(task), 0);
        is_free();
}

/* ---- loops ---- */

static intptr_t tries_all(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_rwlock_read(&lock), -EPERM);
        cr_assert_eq(ouro_rwlock_write(&lock), -EPERM);
        cr_assert_eq(ouro_rwlock_try_read(&lock), -EPERM);
        cr_assert_eq(ouro_rwlock_try_write(&lock), -EPERM);
        cr_assert_eq(ouro_rwlock_unlock(&lock), -EPERM);
        cr_assert_eq(ouro_rwlock_downgrade(&lock), -EPERM);
        cr_assert_eq(ouro_rwlock_recover(&lock), -EPERM);
        return 0;
}

static void *in_other_loop(void *unused)
{
        return (void *)ouro_run(tries_all, unused);
}

static void try_elsewhere(void)
{
        pthread_t thread;
        void *result;

        cr_assert_eq(pthread_create(&thread, NULL, in_other_loop, NULL), 0);
        cr_assert_eq(pthread_join(thread, &result), 0);
        cr_assert_null(result);
}

RUN(rwlock_elsewhere, f38_that_a_task_of_another_loop_holds_is_refused)
{
        cr_assert_eq(ouro_rwlock_read(&lock), 0);
        try_elsewhere();
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        cr_assert_eq(ouro_rwlock_write(&lock), 0);
        try_elsewhere();
        cr_assert_eq(ouro_rwlock_unlock(&lock), 0);
        is_free();
}
