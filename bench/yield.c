/* yield.c - one switch by ouro_yield(), with 2, 64 and 4,096 tasks, over a bare stack switch.
 *
 * The main task is one of them. It counts: each of its yields lets every other task run once, so n tasks
 * make n switches. All yield from one and the same call, except in yield_2_sites, where the two tasks call
 * from two places: a processor that predicts a return by its call sees the difference. */
#include "bare.h"
#include "bench.h"

#include <ouro.h>

static bool stop;

static __attribute__((noinline)) void yield_times(long n)
{
        while (n-- > 0 && !stop) {
                int error = ouro_yield();

                if (error < 0)
                        bench_check(error, "ouro_yield");
        }
}

static __attribute__((noinline)) void yield_elsewhere(void)
{
        while (!stop)
                ouro_yield();
        /* a text of its own, so that the two functions are not folded into one */
        __asm__ volatile("" : : "i"(1) : "memory");
}

static intptr_t other(void *arg)
{
        (void)arg;
        yield_times(INT64_MAX);
        return 0;
}

static intptr_t other_elsewhere(void *arg)
{
        (void)arg;
        yield_elsewhere();
        return 0;
}

static double yield_ns(long tasks, long switches, ouro_fn *fn)
{
        long turns = switches / tasks;
        int64_t start_ns;
        int64_t end_ns = 0;

        stop = false;
        OURO_GROUP(g) {
                for (long i = 1; i < tasks; i++)
                        bench_check(ouro_go(fn, NULL), "ouro_go");
                yield_times(2); /* all have started, on stacks that have been touched */
                start_ns = bench_now_ns();
                yield_times(turns);
                end_ns = bench_now_ns() - start_ns;
                stop = true;
        }
        return (double)end_ns / (double)(turns * tasks);
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        static struct {
                struct bench_series series;
                long tasks;
                ouro_fn *fn;
        } runs[] = {
                {{.name = "yield_2", .reference = "bare"}, 2, other},
                {{.name = "yield_64", .reference = "bare"}, 64, other},
                {{.name = "yield_4096", .reference = "bare"}, 4096, other},
                {{.name = "yield_2_sites", .reference = "bare"}, 2, other_elsewhere},
        };
        size_t n = sizeof(runs) / sizeof(runs[0]);

        for (int round = 0; round < options->rounds; round++) {
                for (size_t i = 0; i < n; i++) {
                        double before_ns = bare_switch_ns();
                        double ns = yield_ns(runs[i].tasks, options->count, runs[i].fn);

                        bench_add(&runs[i].series, ns, (before_ns + bare_switch_ns()) / 2);
                }
        }
        for (size_t i = 0; i < n; i++)
                bench_print(&runs[i].series);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 15, .count = 2000000};

        bench_parse(argc, argv, &options);
        bench_check(ouro_run(measure, &options), "ouro_run");
        return 0;
}
