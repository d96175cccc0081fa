/* timers.c - arm a timer and cancel it, while a million others are armed, over a bare stack switch.
 *
 * A timer is a time scope: the cheapest thing that has one. The others are scopes around it, each tighter
 * than the one outside it, so that none can do without its timer; they lie between one and two hours away.
 * timers_few is the same beside ten others: what their number costs is the difference. */
#include "bare.h"
#include "bench.h"

#include <ouro.h>

enum {
        FEW = 10,
        DELAYS = 64,
};

static double arm_cancel_ns(long n)
{
        struct ouro_scope scope;
        int64_t start_ns = bench_now_ns();

        for (long i = 0; i < n; i++) {
                /* from 1 ms to 4 s, in an order that visits the wheel's levels in turn */
                ouro_scope_open(&scope, OURO_MS(1 + i * 37 % DELAYS * DELAYS), NULL);
                if (ouro_scope_close(&scope) != 0)
                        bench_die("a timer fired early");
        }
        return (double)(bench_now_ns() - start_ns) / (double)n;
}

static void open_others(struct ouro_scope *others, long n)
{
        int64_t step_ns = OURO_SEC(3600) / n;

        for (long i = 0; i < n; i++)
                ouro_scope_open(&others[i], OURO_SEC(7200) - i * step_ns, NULL);
}

static void close_others(struct ouro_scope *others, long n)
{
        while (n-- > 0)
                bench_check(ouro_scope_close(&others[n]), "ouro_scope_close");
}

static void run(struct bench_series *series, int rounds, long others, long n)
{
        struct ouro_scope *scopes = bench_map((size_t)others * sizeof(*scopes));

        open_others(scopes, others);
        for (int round = 0; round < rounds; round++) {
                double before_ns = bare_switch_ns();
                double ns = arm_cancel_ns(n);

                bench_add(series, ns, (before_ns + bare_switch_ns()) / 2);
        }
        close_others(scopes, others);
        bench_print(series);
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        struct bench_series few = {.name = "timers_few", .reference = "bare"};
        struct bench_series many = {.name = "timers", .reference = "bare"};

        run(&few, options->rounds, FEW, 1000000);
        run(&many, options->rounds, options->count, 1000000);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 15, .count = 1000000};

        bench_parse(argc, argv, &options);
        bench_check(ouro_run(measure, &options), "ouro_run");
        return 0;
}
