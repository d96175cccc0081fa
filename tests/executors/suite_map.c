/* suite_map.c - arrays spread over jobs. */
#include <errno.h>
#include <string.h>

#include "executors/suite.h"

enum { ITEMS = 1000 };

static intptr_t squares(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int item = *(const int *)in.base;

        (void)job;
        if (in.len != sizeof item || out.len != sizeof(long))
                return -EINVAL;
        *(long *)out.base = (long)item * item;
        return item;
}

static intptr_t fails_at_seven(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        return *(const int *)in.base == 7 ? -EDOM : *(const int *)in.base;
}

static int items[ITEMS];
static long results[ITEMS];

static int map_squares(const struct ouro_map_options *options)
{
        for (int i = 0; i < ITEMS; i++)
                items[i] = i;
        memset(results, 0, sizeof results);
        return ouro_map(tested_pool, squares, items, sizeof *items, ITEMS, results, sizeof *results, options);
}

static void check_squares(void)
{
        for (int i = 0; i < ITEMS; i++)
                cr_assert(results[i] == (long)i * i, "item %d: %ld", i, results[i]);
}

static intptr_t maps(void *arg)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;

        (void)arg;
        cr_assert(map_squares(NULL) == 0);
        check_squares();
        cr_assert(map_squares(&options) == 0);
        check_squares();
        options.chunk = 7; /* the last one is shorter */
        options.ahead = 3;
        options.job.size = sizeof options.job;
        options.job.priority = OURO_PRIORITY_LOW;
        cr_assert(map_squares(&options) == 0);
        check_squares();
        options.chunk = ITEMS * 2;
        cr_assert(map_squares(&options) == 0);
        check_squares();
        return 0;
}

void suite_a_map_fills_in_all_results(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps);
}

static intptr_t maps_nothing(void *arg)
{
        (void)arg;
        cr_assert(ouro_map(tested_pool, squares, NULL, sizeof *items, 0, NULL, sizeof *results, NULL) == 0);
        return 0;
}

void suite_a_map_of_nothing_does_nothing(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps_nothing);
}

static intptr_t maps_nonsense(void *arg)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        struct ouro_report *report = NULL;

        (void)arg;
        cr_assert(ouro_map(NULL, squares, items, sizeof *items, 1, results, sizeof *results, NULL) ==
                  -EINVAL);
        cr_assert(ouro_map(tested_pool, NULL, items, sizeof *items, 1, results, sizeof *results, NULL) ==
                  -EINVAL);
        cr_assert(ouro_map(tested_pool, squares, NULL, sizeof *items, 1, results, sizeof *results, NULL) ==
                  -EINVAL);
        cr_assert(ouro_map(tested_pool, squares, items, sizeof *items, 1, NULL, sizeof *results, NULL) ==
                  -EINVAL);
        cr_assert(ouro_map(tested_pool, squares, items, SIZE_MAX / 2, 3, NULL, 0, NULL) == -EINVAL);
        options.job.size = sizeof options.job;
        options.job.ret_report = &report;
        cr_assert(map_squares(&options) == -EINVAL);
        options = (struct ouro_map_options)OURO_MAP_OPTIONS_INIT;
        options.size = 0;
        cr_assert(map_squares(&options) == -EINVAL);
        return 0;
}

void suite_a_map_refuses_what_makes_no_sense(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps_nonsense);
        cr_assert(ouro_map(NULL, squares, items, sizeof *items, 1, NULL, 0, NULL) == -EPERM,
                  "in a task only");
}

static intptr_t takes_nothing(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        return in.len || out.len ? -EINVAL : 5;
}

static intptr_t maps_without_spans(void *arg)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        intptr_t values[20];

        (void)arg;
        options.chunk = 3;
        options.ret_values = values;
        cr_assert(ouro_map(tested_pool, takes_nothing, NULL, 0, 20, NULL, 0, &options) == 0);
        for (int i = 0; i < 20; i++)
                cr_assert(values[i] == 5);
        return 0;
}

void suite_a_map_needs_no_items_or_results(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps_without_spans);
}

/* ---- each ---- */

struct told {
        size_t chunks, items;
        bool in_order;
        char seen[ITEMS];
        int answer;
        bool waits;
};

static int is_told(void *arg, size_t first, size_t n)
{
        struct told *told = arg;

        if (told->waits)
                cr_assert(ouro_sleep(OURO_US(10)) == 0);
        told->in_order = told->in_order && first == told->items;
        told->chunks++;
        told->items += n;
        for (size_t i = first; i < first + n; i++) {
                cr_assert(results[i] == (long)(i * i), "its results are there");
                cr_assert(!told->seen[i]);
                told->seen[i] = 1;
        }
        return told->chunks == 3 ? told->answer : 0;
}

static int map_telling(struct told *told, bool as_completed)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;

        told->in_order = true;
        options.chunk = 30;
        options.ahead = 4;
        options.each = is_told;
        options.arg = told;
        options.as_completed = as_completed;
        return map_squares(&options);
}

static intptr_t maps_in_order(void *arg)
{
        struct told told = {.chunks = 0};

        (void)arg;
        cr_assert(map_telling(&told, false) == 0);
        cr_assert(told.items == ITEMS && told.in_order);
        return 0;
}

void suite_a_map_tells_in_order(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps_in_order);
}

static intptr_t maps_as_completed(void *arg)
{
        struct told told = {.chunks = 0};

        (void)arg;
        cr_assert(map_telling(&told, true) == 0);
        cr_assert(told.items == ITEMS);
        return 0;
}

void suite_a_map_tells_each_chunk_once_as_completed(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps_as_completed);
}

static intptr_t maps_with_a_slow_each(void *arg)
{
        struct told told = {.waits = true};

        (void)arg;
        cr_assert(map_telling(&told, false) == 0);
        cr_assert(told.items == ITEMS && told.in_order);
        return 0;
}

void suite_each_may_wait(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps_with_a_slow_each);
}

static intptr_t maps_until_each_fails(void *arg)
{
        struct told told = {.answer = -ENOSPC};

        (void)arg;
        cr_assert(map_telling(&told, false) == -ENOSPC);
        cr_assert(told.chunks == 3);
        return 0;
}

void suite_an_error_of_each_ends_the_map(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps_until_each_fails);
}

/* ---- errors ---- */

static int map_seven(const struct ouro_map_options *options)
{
        for (int i = 0; i < 20; i++)
                items[i] = i;
        return ouro_map(tested_pool, fails_at_seven, items, sizeof *items, 20, NULL, 0, options);
}

static intptr_t maps_until_an_item_fails(void *arg)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;

        (void)arg;
        options.chunk = 2;
        cr_assert(map_seven(&options) == -EDOM);
        cr_assert(map_seven(NULL) == -EDOM);
        return 0;
}

void suite_the_first_error_ends_a_map(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps_until_an_item_fails);
}

static intptr_t maps_with_values(void *arg)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        intptr_t values[20];

        (void)arg;
        options.chunk = 3;
        options.ret_values = values;
        cr_assert(map_seven(&options) == 0);
        for (int i = 0; i < 20; i++)
                cr_assert(values[i] == (i == 7 ? -EDOM : i));
        return 0;
}

void suite_with_values_errors_do_not_end_a_map(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps_with_values);
}

static intptr_t maps_though_cancelled(void *arg)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        intptr_t values[20];

        (void)arg;
        options.ret_values = values;
        ouro_cancel(ouro_self());
        cr_assert(map_seven(&options) == -ECANCELED);
        for (int i = 0; i < 20; i++)
                cr_assert(values[i] == -ECANCELED);
        return 1;
}

static intptr_t runs_a_cancelled_map(void *arg)
{
        (void)arg;
        cr_assert(ouro_await(ouro_create_task(maps_though_cancelled, NULL)) == 1);
        return 0;
}

void suite_a_map_in_a_cancelled_task_does_nothing(const struct executor_kind *kind)
{
        with_pool(kind, 0, runs_a_cancelled_map);
}

static intptr_t maps_in_a_group(void *arg)
{
        int error = 1;

        (void)arg;
        OURO_GROUP(group, &error) {
                cr_assert(map_seven(NULL) == -EDOM);
                cr_assert(ouro_yield() == 0);
        }
        cr_assert(error == 0);
        return 0;
}

void suite_a_failed_map_leaves_its_group_alone(const struct executor_kind *kind)
{
        with_pool(kind, 0, maps_in_a_group);
}

/* ---- beside the loop ---- */

static intptr_t waits_at_its_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct gate *gate = *(struct gate *const *)in.base;

        (void)out;
        return job_waits_at_gate(job, OURO_NO_IN, ouro_out(gate, sizeof *gate));
}

static intptr_t waits_for_token_at_gate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct gate *gate = *(struct gate *const *)in.base;

        (void)out;
        return job_waits_for_token(job, OURO_NO_IN, ouro_out(gate, sizeof *gate));
}

static intptr_t maps_gates(void *arg)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        struct gate *gates[10];

        for (int i = 0; i < 10; i++)
                gates[i] = arg;
        options.chunk = 1;
        options.ahead = 2;
        return ouro_map(tested_pool, waits_at_its_gate, gates, sizeof *gates, 10, NULL, 0, &options);
}

static intptr_t looks_at_a_map(void *arg)
{
        struct ouro_stats stats = {.size = sizeof stats};
        struct gate *gate = shared(sizeof *gate);
        ouro_task map = ouro_create_task(maps_gates, gate);

        (void)arg;
        gate_await_begun(gate, 1);
        ouro_sleep(OURO_MS(2));
        cr_assert(ouro_executor_stats(tested_pool, &stats) == 0);
        cr_assert(stats.submitted == 2, "one runs, one is queued: %d", (int)stats.submitted);
        gate_open(gate);
        cr_assert(ouro_await(map) == 0);
        cr_assert(gate->began == 10);
        return 0;
}

void suite_a_map_has_no_more_jobs_out_than_it_may(const struct executor_kind *kind)
{
        with_pool(kind, 0, looks_at_a_map);
}

static intptr_t cuts_a_map_short(void *arg)
{
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;
        struct gate *gate = shared(sizeof *gate), *gates[10];
        int result = 0;

        (void)arg;
        for (int i = 0; i < 10; i++)
                gates[i] = gate;
        options.chunk = 1;
        OURO_TIMEOUT(OURO_MS(5)) {
                result = ouro_map(tested_pool, waits_for_token_at_gate, gates, sizeof *gates, 10, NULL, 0,
                                  &options);
        }
        cr_assert(result == -ETIME);
        cr_assert(gate->began <= 1, "what was queued never started");
        return 0;
}

void suite_a_map_that_is_cut_short_cancels_its_jobs(const struct executor_kind *kind)
{
        with_pool(kind, 0, cuts_a_map_short);
}
