/* Of lib/sync/select.c: thousands of random selects against a model of what must come of them.
 *
 * A driver takes one step at a time, and lets all tasks run until they wait again. The model keeps the items
 * of each channel and the selects that wait, in the order in which they came: it says which of them each step
 * ends, with which case and which item. Only where several cases of a new select can be done at once it lets
 * the library choose. */
#include "support/run.h"

#include <errno.h>
#include <stdlib.h>

#include "support/leaks.h"

TestSuite(select_model, .init = leaks_begin, .fini = leaks_end);

enum { CHANS = 4, EVENTS = 2, HELPERS = 2, SELECTS = 12, CASES = 6, ITEMS = 64, STEPS = 100000 };

struct one {
        struct ouro_case cases[CASES];
        int64_t item[CASES]; /* sent, or received into */
        size_t n;
        ouro_task task;
        bool used;
        uint64_t came;
        int64_t began_ns;
        bool ended; /* the library's word */
        ssize_t result;
        bool must_end; /* the model's word */
        ssize_t must_be;
        int must_result;
        int64_t must_item;
};

static struct one ones[SELECTS];
static uint64_t arrivals;

static struct {
        ouro_chan *chan;
        size_t capacity;
        int64_t items[ITEMS];
        size_t count;
        bool closed;
} chans[CHANS];

static struct ouro_event events[EVENTS];
static struct ouro_event helper_ends[HELPERS];
static ouro_task helpers[HELPERS];
static bool helper_ended[HELPERS];

static uint64_t seed = 11;
static int64_t next_item;

static unsigned below(unsigned n)
{
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return (unsigned)(seed >> 33) % n;
}

/* ---- the model ---- */

static int chan_of(const struct ouro_case *it)
{
        for (int c = 0; c < CHANS; c++)
                if ((it->kind == OURO_CASE_IS_SEND || it->kind == OURO_CASE_IS_RECV) &&
                    it->of.chan.chan == chans[c].chan)
                        return c;
        return -1;
}

static bool same(const struct ouro_case *it, int kind, const void *object, ouro_task task)
{
        if (it->kind != kind)
                return false;
        if (kind == OURO_CASE_IS_EVENT)
                return it->of.event == object;
        if (kind == OURO_CASE_IS_TASK)
                return it->of.task.slot == task.slot && it->of.task.generation == task.generation;
        return it->of.chan.chan == object;
}

/* The one that has waited longest for this, and by which case; not self. */
static struct one *first_for(int kind, const void *object, ouro_task task, const struct one *self,
                             size_t *ret_i)
{
        struct one *first = NULL;

        for (struct one *one = ones; one < ones + SELECTS; one++) {
                if (!one->used || one->must_end || one == self || (first && first->came < one->came))
                        continue;
                for (size_t i = one->n; i-- > 0;)
                        if (same(&one->cases[i], kind, object, task)) {
                                first = one;
                                *ret_i = i;
                        }
        }
        return first;
}

static void must_end(struct one *one, size_t i, int result, int64_t item)
{
        one->must_end = true;
        one->must_be = (ssize_t)i;
        one->must_result = result;
        one->must_item = item;
}

static int model_send(int c, int64_t item, const struct one *self)
{
        struct one *one;
        size_t i = 0;

        if (chans[c].closed)
                return -EPIPE;
        one = first_for(OURO_CASE_IS_RECV, chans[c].chan, OURO_NO_TASK, self, &i);
        if (one) {
                must_end(one, i, 0, item);
                return 0;
        }
        if (chans[c].count >= chans[c].capacity)
                return -EAGAIN;
        chans[c].items[chans[c].count++] = item;
        return 0;
}

static int model_recv(int c, int64_t *ret_item, const struct one *self)
{
        size_t i = 0;
        struct one *one = first_for(OURO_CASE_IS_SEND, chans[c].chan, OURO_NO_TASK, self, &i);

        if (chans[c].count > 0) {
                *ret_item = chans[c].items[0];
                for (size_t k = 1; k < chans[c].count; k++)
                        chans[c].items[k - 1] = chans[c].items[k];
                chans[c].count--;
                if (one)
                        chans[c].items[chans[c].count++] = one->item[i];
        } else if (one) {
                *ret_item = one->item[i];
        } else {
                return chans[c].closed ? -EPIPE : -EAGAIN;
        }
        if (one)
                must_end(one, i, 0, one->item[i]);
        return 0;
}

static void end_all(int kind, const void *object, ouro_task task, int result)
{
        struct one *one;
        size_t i = 0;

        while ((one = first_for(kind, object, task, NULL, &i)))
                must_end(one, i, result, one->item[i]);
}

/* Can it be done without a wait? */
static bool is_ready(const struct one *one, size_t i)
{
        const struct ouro_case *it = &one->cases[i];
        int c = chan_of(it);
        size_t k;

        switch (it->kind) {
        case OURO_CASE_IS_SEND:
                return chans[c].closed || chans[c].count < chans[c].capacity ||
                       first_for(OURO_CASE_IS_RECV, chans[c].chan, OURO_NO_TASK, one, &k);
        case OURO_CASE_IS_RECV:
                return chans[c].closed || chans[c].count > 0 ||
                       first_for(OURO_CASE_IS_SEND, chans[c].chan, OURO_NO_TASK, one, &k);
        case OURO_CASE_IS_TASK:
                for (int h = 0; h < HELPERS; h++)
                        if (same(it, it->kind, NULL, helpers[h]))
                                return helper_ended[h];
                return false;
        case OURO_CASE_IS_EVENT:
                return it->of.event->is_set;
        case OURO_CASE_IS_AFTER:
                return it->of.after_ns <= 0;
        default:
                return false;
        }
}

/* ---- the tasks ---- */

static intptr_t helps(void *end)
{
        return ouro_event_wait(end);
}

static intptr_t selects(void *arg)
{
        struct one *one = arg;

        one->result = ouro_select(one->cases, one->n);
        one->ended = true;
        return 0;
}

static struct ouro_case random_case(struct one *one, size_t i)
{
        one->item[i] = -1;
        switch (below(10)) {
        case 0:
                return OURO_CASE_NEVER();
        case 1:
                return OURO_CASE_EVENT(&events[below(EVENTS)]);
        case 2:
                return OURO_CASE_TASK(helpers[below(HELPERS)]);
        case 3:
                return OURO_CASE_AFTER((int64_t)below(30) - 1);
        case 4:
        case 5:
        case 6:
                one->item[i] = next_item++;
                return OURO_CASE_SEND(chans[below(CHANS)].chan, &one->item[i]);
        default:
                return OURO_CASE_RECV(chans[below(CHANS)].chan, &one->item[i]);
        }
}

static void settle(void)
{
        for (int i = 0; i < 4; i++)
                cr_assert_eq(ouro_yield(), 0);
}

static bool all_never(const struct one *one)
{
        for (size_t i = 0; i < one->n; i++)
                if (one->cases[i].kind != OURO_CASE_IS_NEVER)
                        return false;
        return true;
}

/* The library has chosen a case that was ready: what must come of that? */
static void follow(struct one *one, const bool *ready)
{
        const struct ouro_case *it;
        int result = 0, c;

        cr_assert_geq(one->result, 0);
        cr_assert(ready[one->result], "it did what could not be done");
        it = &one->cases[one->result];
        c = chan_of(it);
        one->must_item = one->item[one->result];
        if (it->kind == OURO_CASE_IS_SEND)
                result = model_send(c, one->item[one->result], one);
        else if (it->kind == OURO_CASE_IS_RECV)
                result = model_recv(c, &one->must_item, one);
        must_end(one, (size_t)one->result, result, one->must_item);
}

static void begin_select(struct one *one)
{
        bool ready[CASES], any = false;

        *one = (struct one){.n = 1 + below(CASES)};
        for (size_t i = 0; i < one->n; i++)
                one->cases[i] = random_case(one, i);
        for (size_t i = 0; i < one->n; i++)
                any |= ready[i] = is_ready(one, i);
        if (all_never(one)) {
                cr_assert_eq(ouro_select(one->cases, one->n), -EINVAL);
                return;
        }
        one->began_ns = ouro_now();
        one->task = ouro_create_task(selects, one);
        settle();
        cr_assert_eq(one->ended, any, "%s", any ? "it waits, though it need not" : "it does not wait");
        if (any)
                follow(one, ready);
        one->used = true;
        one->came = arrivals++;
}

/* ---- the steps ---- */

static void try_one(int c)
{
        int64_t item = next_item++, got = -1, must_get = -1;

        if (below(2)) {
                int must = model_send(c, item, NULL);

                cr_assert_eq(ouro_chan_try_send(chans[c].chan, &item), must);
        } else {
                int must = model_recv(c, &must_get, NULL);

                cr_assert_eq(ouro_chan_try_recv(chans[c].chan, &got), must);
                cr_assert_eq(got, must_get);
        }
}

static void open_chan(int c)
{
        static const size_t capacities[] = {0, 0, 1, 3, OURO_CHAN_UNBOUNDED};
        size_t capacity = capacities[below(5)];

        chans[c].chan = ouro_chan_new(sizeof(int64_t), capacity);
        chans[c].capacity = capacity;
        chans[c].count = 0;
        chans[c].closed = false;
}

static void close_or_renew(int c)
{
        if (chans[c].closed) {
                cr_assert_eq(ouro_chan_close(chans[c].chan), -EPIPE);
                cr_assert_eq(ouro_chan_free(chans[c].chan), 0, "nobody waits on what is closed");
                open_chan(c);
                return;
        }
        cr_assert_eq(ouro_chan_close(chans[c].chan), 0);
        chans[c].closed = true;
        end_all(OURO_CASE_IS_SEND, chans[c].chan, OURO_NO_TASK, -EPIPE);
        end_all(OURO_CASE_IS_RECV, chans[c].chan, OURO_NO_TASK, -EPIPE);
}

static void set_or_clear(struct ouro_event *event)
{
        if (event->is_set) {
                cr_assert_eq(ouro_event_clear(event), 0);
                return;
        }
        cr_assert_eq(ouro_event_set(event), 0);
        end_all(OURO_CASE_IS_EVENT, event, OURO_NO_TASK, 0);
}

static void begin_helper(int h)
{
        helper_ends[h] = (struct ouro_event)OURO_EVENT_INIT;
        helper_ended[h] = false;
        helpers[h] = ouro_create_task(helps, &helper_ends[h]);
}

static void end_or_renew(int h)
{
        if (helper_ended[h]) {
                cr_assert_eq(ouro_await(helpers[h]), 0, "its result was still there");
                begin_helper(h);
                return;
        }
        end_all(OURO_CASE_IS_TASK, NULL, helpers[h], 0);
        helper_ended[h] = true;
        cr_assert_eq(ouro_event_set(&helper_ends[h]), 0);
}

static void cancel_one(struct one *one)
{
        if (!one->used)
                return;
        cr_assert_eq(ouro_cancel(one->task), 0);
        must_end(one, 0, 0, 0);
        one->must_be = -ECANCELED;
}

static void let_time_pass(void)
{
        cr_assert_eq(ouro_sleep((int64_t)below(10)), 0);
        for (struct one *one = ones; one < ones + SELECTS; one++) {
                size_t first = CASES;

                for (size_t i = 0; one->used && i < one->n; i++)
                        if (one->cases[i].kind == OURO_CASE_IS_AFTER &&
                            (first == CASES || one->cases[i].of.after_ns < one->cases[first].of.after_ns))
                                first = i;
                if (first < CASES && one->began_ns + one->cases[first].of.after_ns <= ouro_now())
                        must_end(one, first, 0, one->item[first]);
        }
}

static void step(void)
{
        struct one *one = &ones[below(SELECTS)];

        switch (below(16)) {
        case 0:
                cancel_one(one);
                return;
        case 1:
                let_time_pass();
                return;
        case 2:
                set_or_clear(&events[below(EVENTS)]);
                return;
        case 3:
                end_or_renew((int)below(HELPERS));
                return;
        case 4:
                if (below(4) == 0)
                        close_or_renew((int)below(CHANS));
                return;
        case 5:
        case 6:
        case 7:
        case 8:
                try_one((int)below(CHANS));
                return;
        default:
                if (!one->used)
                        begin_select(one);
        }
}

static void compare(struct one *one, int number)
{
        if (!one->used)
                return;
        cr_assert_eq(one->ended, one->must_end, "step %d: it %s", number, one->ended ? "ended" : "waits");
        if (!one->ended)
                return;
        cr_assert_eq(one->result, one->must_be, "step %d: %zd, not %zd", number, one->result, one->must_be);
        if (one->result >= 0) {
                cr_assert_eq(one->cases[one->result].result, one->must_result);
                cr_assert_eq(one->item[one->result], one->must_item);
        }
        for (size_t i = 0; i < one->n; i++)
                if (one->cases[i].kind == OURO_CASE_IS_RECV && (ssize_t)i != one->result)
                        cr_assert_eq(one->item[i], -1, "a loser's memory was written");
        cr_assert_eq(ouro_await(one->task), 0);
        one->used = false;
}

RUN_VIRTUAL(select_model, thousands_of_random_selects_do_what_the_model_says)
{
        unsigned ended = 0, most = 0;

        for (int c = 0; c < CHANS; c++)
                open_chan(c);
        for (int h = 0; h < HELPERS; h++)
                begin_helper(h);
        for (int number = 0; number < STEPS; number++) {
                unsigned waiting = 0;

                for (int c = 0; c < CHANS; c++) /* the model has no room for more */
                        while (chans[c].count > ITEMS / 2)
                                try_one(c);
                step();
                settle();
                for (int i = 0; i < SELECTS; i++) {
                        bool was = ones[i].used;

                        compare(&ones[i], number);
                        ended += was && !ones[i].used;
                        waiting += ones[i].used;
                }
                most = waiting > most ? waiting : most;
        }
        cr_assert_gt(ended, 10000u);
        cr_assert_gt(most, 3u, "few wait at a time: the test tells little");
        for (int i = 0; i < SELECTS; i++) {
                cancel_one(&ones[i]);
                settle();
                compare(&ones[i], STEPS);
        }
        for (int c = 0; c < CHANS; c++)
                cr_assert_eq(ouro_chan_free(chans[c].chan), 0);
        for (int h = 0; h < HELPERS; h++) {
                cr_assert_eq(ouro_event_set(&helper_ends[h]), 0);
                cr_assert_eq(ouro_await(helpers[h]), 0);
        }
}
