/* select.c - selects over several shared channels, on two loops and against threads without one: waits that
 * are cut and cancelled while others do their cases, and channels closed meanwhile. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <ouro.h>

#include "tsan/runner.h"

enum {
        LOOPS = 2,
        KINDS = 3, /* of tasks: see struct user */
        TASKS = 2, /* of each kind, on each loop */
        CHANS = 4,
        SENDERS = LOOPS * TASKS * 2 + CHANS, /* two of the kinds, and a thread at each channel */
        ITEMS = 1000,                        /* at most, of each sender */
};

struct item {
        uint32_t sender;
        uint32_t number;
        uint64_t check; /* tells an item that was put together from two */
};

/* A task that sends what it has, receives until all is closed, or does both by the same select. */
struct user {
        bool receives;
        bool sends;
        struct item mine, got;
        struct ouro_case cases[2 * CHANS + 1]; /* sends, receives, and a time */
};

static const size_t capacities[CHANS] = {0, 1, 0, 7};
static ouro_chan *chans[CHANS];
static bool with_cuts;
static atomic_uint next_sender, sent, received, sending;
static atomic_uchar seen[SENDERS][ITEMS];

static unsigned random_below(unsigned n)
{
        static _Thread_local uint64_t seed;

        if (seed == 0)
                seed = (uintptr_t)&seed;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return (unsigned)(seed >> 33) % n;
}

static void next_item(struct item *item)
{
        item->check = (uint64_t)item->sender << 32 | item->number;
}

static void look_at(const struct item *item)
{
        expect(item->sender < SENDERS && item->number < ITEMS);
        expect(item->check == ((uint64_t)item->sender << 32 | item->number));
        expect(atomic_fetch_add(&seen[item->sender][item->number], 1) == 0);
        atomic_fetch_add(&received, 1);
}

static intptr_t selects(void *arg)
{
        struct user *user = arg;

        return ouro_select(user->cases, 2 * CHANS + 1);
}

/* By another task, which is cancelled while others may be doing one of its cases. */
static ssize_t select_and_cancel(struct user *user)
{
        ouro_task task = ouro_create_task(selects, user);

        for (unsigned i = random_below(4); i > 0; i--)
                expect(ouro_yield() == 0);
        expect(ouro_cancel(task) == 0);
        return ouro_await(task);
}

static ssize_t select_once(struct user *user)
{
        ssize_t done = -EINVAL;

        switch (with_cuts ? random_below(4) : 0) {
        case 1:
                OURO_TIMEOUT(OURO_US(random_below(50)))
                        done = selects(user);
                return done;
        case 2:
                return select_and_cancel(user);
        default:
                return selects(user);
        }
}

static void has_sent(struct user *user)
{
        atomic_fetch_add(&sent, 1);
        user->mine.number++;
        next_item(&user->mine);
}

static void stop_sending(struct user *user)
{
        for (int i = 0; i < CHANS; i++)
                user->cases[i] = OURO_CASE_NEVER();
        if (user->sends)
                atomic_fetch_sub(&sending, 1);
        user->sends = false;
}

static bool any_left(const struct user *user, int from, int to)
{
        while (from < to && user->cases[from].kind == OURO_CASE_IS_NEVER)
                from++;
        return from < to;
}

static void case_is_done(struct user *user, ssize_t done)
{
        struct ouro_case *it = &user->cases[done];

        expect(it->result == 0 || it->result == -EPIPE);
        if (it->result == -EPIPE)
                *it = OURO_CASE_NEVER();
        else if (done < CHANS)
                has_sent(user);
        else if (done < 2 * CHANS)
                look_at(&user->got);
}

static void begin(struct user *user)
{
        if (user->sends)
                user->mine.sender = atomic_fetch_add(&next_sender, 1);
        next_item(&user->mine);
        for (int i = 0; i < CHANS; i++) {
                user->cases[i] = user->sends ? OURO_CASE_SEND(chans[i], &user->mine) : OURO_CASE_NEVER();
                user->cases[CHANS + i] =
                        user->receives ? OURO_CASE_RECV(chans[i], &user->got) : OURO_CASE_NEVER();
        }
        user->cases[2 * CHANS] = OURO_CASE_NEVER();
}

static intptr_t uses(void *arg)
{
        const struct user *kind = arg;
        struct user user = *kind;

        begin(&user);
        for (;;) {
                ssize_t done;

                if (user.sends && (user.mine.number == ITEMS || !any_left(&user, 0, CHANS)))
                        stop_sending(&user);
                if (!any_left(&user, 0, 2 * CHANS))
                        return 0;
                user.cases[2 * CHANS] =
                        random_below(2) ? OURO_CASE_NEVER() : OURO_CASE_AFTER(OURO_US(random_below(100)));
                done = select_once(&user);
                expect(done >= 0 || (with_cuts && (done == -ETIME || done == -ECANCELED)));
                if (done >= 0)
                        case_is_done(&user, done);
        }
}

static intptr_t runs_tasks(void *unused)
{
        static struct user kinds[KINDS] = {
                {.sends = true}, {.receives = true}, {true, true, {0}, {0}, {{0}}}};
        ouro_task tasks[KINDS * TASKS];

        (void)unused;
        for (int i = 0; i < KINDS * TASKS; i++)
                tasks[i] = ouro_create_task(uses, &kinds[i % KINDS]);
        return ouro_gather(tasks, KINDS * TASKS, NULL);
}

static void *runs_loop(void *unused)
{
        expect(ouro_run(runs_tasks, NULL) == 0);
        return unused;
}

static void *thread_sends(void *chan)
{
        struct item item = {.sender = atomic_fetch_add(&next_sender, 1)};
        int error = 0;

        for (; error == 0 && item.number < ITEMS; item.number++) {
                next_item(&item);
                error = ouro_chan_send(chan, &item);
                expect(error == 0 || error == -EPIPE);
                if (error == 0)
                        atomic_fetch_add(&sent, 1);
        }
        atomic_fetch_sub(&sending, 1);
        return NULL;
}

static void *thread_receives(void *chan)
{
        struct item item;
        int error;

        while ((error = ouro_chan_recv(chan, &item)) == 0)
                look_at(&item);
        expect(error == -EPIPE);
        return NULL;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
        pthread_t thread;

        expect(pthread_create(&thread, NULL, fn, arg) == 0);
        return thread;
}

/* early: closed, one after the other, when so many items have arrived; else when all have been sent. */
static void storm(unsigned early)
{
        pthread_t threads[LOOPS + 2 * CHANS];
        size_t n = 0;

        memset(seen, 0, sizeof seen);
        next_sender = sent = received = 0;
        sending = SENDERS;
        for (int i = 0; i < CHANS; i++)
                expect((chans[i] = ouro_chan_new_shared(sizeof(struct item), capacities[i])));
        for (int i = 0; i < LOOPS; i++)
                threads[n++] = start(runs_loop, NULL);
        for (int i = 0; i < CHANS; i++) {
                threads[n++] = start(thread_sends, chans[i]);
                if (i % 2)
                        threads[n++] = start(thread_receives, chans[i]);
        }
        for (int i = 0; i < CHANS; i++) {
                while (atomic_load(&sending) > 0 &&
                       (!early || atomic_load(&received) < early * (unsigned)(i + 1)))
                        sched_yield();
                expect(ouro_chan_close(chans[i]) == 0);
        }
        while (n > 0)
                pthread_join(threads[--n], NULL);
        expect(atomic_load(&received) == atomic_load(&sent));
        expect(early || atomic_load(&sent) == SENDERS * ITEMS);
        for (int i = 0; i < CHANS; i++)
                expect(ouro_chan_len(chans[i]) == 0 && ouro_chan_free(chans[i]) == 0);
}

static void storms(void)
{
        for (int i = 0; i < 3; i++)
                storm(0);
        for (unsigned early = 1; early < SENDERS * ITEMS / CHANS; early *= 5)
                storm(early);
}

CASE(every_item_of_a_select_arrives_once)
{
        storms();
}

CASE(cut_and_cancelled_selects_lose_nothing_and_double_nothing)
{
        with_cuts = true;
        storms();
}
