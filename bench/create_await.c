/* create_await.c - create an empty task and await it, one at a time, over a bare stack switch. */
#include "bare.h"
#include "bench.h"

#include <ouro.h>

static intptr_t empty(void *arg)
{
        return (intptr_t)arg;
}

static double create_await_ns(long n)
{
        int64_t start_ns = bench_now_ns();

        for (long i = 0; i < n; i++) {
                if (ouro_await(ouro_create_task(empty, (void *)i)) != i)
                        bench_die("a task's result is not what it returned");
        }
        return (double)(bench_now_ns() - start_ns) / (double)n;
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        struct bench_series series = {.name = "create_await", .reference = "bare"};

        for (int round = 0; round < options->rounds; round++) {
                double before_ns = bare_switch_ns();
                double ns = create_await_ns(options->count);

                bench_add(&series, ns, (before_ns + bare_switch_ns()) / 2);
        }
        bench_print(&series);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 15, .count = 1000000};

        bench_parse(argc, argv, &options);
        bench_check(ouro_run(measure, &options), "ouro_run");
        return 0;
}
