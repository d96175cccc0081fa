/* create_many.c - create a million tasks, then await each, cold and warm.
 *
 * Warm is over a bare stack switch. Cold, the first round of the process, is over what it may cost: a
 * warm task, and its share of the fresh pages that the round touched, priced by touching as many. */
#include "bare.h"
#include "bench.h"

#include <ouro.h>

enum {
        PAGE_BYTES = 4096,
};

static ouro_task *tasks;

static intptr_t empty(void *arg)
{
        return (intptr_t)arg;
}

static double create_many_ns(long n)
{
        int64_t start_ns = bench_now_ns();

        for (long i = 0; i < n; i++)
                tasks[i] = ouro_create_task(empty, (void *)i);
        for (long i = 0; i < n; i++) {
                if (ouro_await(tasks[i]) != i)
                        bench_die("a task's result is not what it returned");
        }
        return (double)(bench_now_ns() - start_ns) / (double)n;
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        struct bench_series warm = {.name = "create_many_warm", .reference = "bare"};
        struct bench_series cold = {.name = "create_many_cold", .reference = "allowed"};
        double warm_ns[BENCH_ROUNDS_MAX];
        long n = options->count;

        tasks = bench_map((size_t)n * sizeof(*tasks));
        for (long i = 0; i < n; i++)
                tasks[i] = OURO_NO_TASK;
        /* As many pages as n records of 128 bytes. Once unmeasured: a page that the host of a virtual machine
         * must supply costs several times one that was freed lately. */
        size_t pages = (size_t)n / 32 + 1;

        bare_pages_ns(pages, PAGE_BYTES, 0);
        double page_ns = bare_pages_ns(pages, PAGE_BYTES, 0);
        long faults = bench_minor_faults();
        double cold_ns = create_many_ns(n);

        faults = bench_minor_faults() - faults;
        page_ns = (page_ns + bare_pages_ns(pages, PAGE_BYTES, 0)) / 2;
        for (int round = 0; round < options->rounds; round++) {
                double before_ns = bare_switch_ns();
                double ns = create_many_ns(n);

                bench_add(&warm, ns, (before_ns + bare_switch_ns()) / 2);
                warm_ns[round] = ns;
        }
        bench_add(&cold, cold_ns,
                  bench_median(warm_ns, (size_t)options->rounds) + page_ns * (double)faults / (double)n);
        bench_print(&cold);
        bench_print(&warm);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 9, .count = 1000000};

        bench_parse(argc, argv, &options);
        bench_check(ouro_run(measure, &options), "ouro_run");
        return 0;
}
