/* scopes.c - enter a time scope and leave it, as a deadline around a call that does not need it, over a bare
 * stack switch.
 *
 * All have the same delay, as deadlines mostly do: the wheel takes each in and out of one and the same slot.
 * timers.c is the same with delays of all sizes, beside a million others. */
#include "bare.h"
#include "bench.h"

#include <ouro.h>

static double scope_ns(long n)
{
        int64_t start_ns = bench_now_ns();

        for (long i = 0; i < n; i++) {
                struct ouro_scope scope;

                ouro_scope_open(&scope, OURO_SEC(5), NULL);
                if (ouro_scope_close(&scope) != 0)
                        bench_die("a deadline of 5 s has passed");
        }
        return (double)(bench_now_ns() - start_ns) / (double)n;
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        struct bench_series series = {.name = "scope", .reference = "bare"};

        for (int round = 0; round < options->rounds; round++) {
                double before_ns = bare_switch_ns();
                double ns = scope_ns(options->count);

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
