/* mutex.c - lock and unlock a mutex that nobody holds, over two empty calls into a shared library. */
#include "bare.h"
#include "bench.h"

#include <ouro.h>

static double lock_unlock_ns(long n)
{
        static struct ouro_mutex mutex = OURO_MUTEX_INIT;
        int64_t start_ns = bench_now_ns();

        for (long i = 0; i < n; i++) {
                if (ouro_mutex_lock(&mutex) < 0 || ouro_mutex_unlock(&mutex) < 0)
                        bench_die("a mutex that is free was not");
        }
        return (double)(bench_now_ns() - start_ns) / (double)n;
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        struct bench_series series = {.name = "mutex", .reference = "two_calls"};

        for (int round = 0; round < options->rounds; round++) {
                double before_ns = bare_call_ns();
                double ns = lock_unlock_ns(options->count);

                bench_add(&series, ns, before_ns + bare_call_ns());
        }
        bench_print(&series);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 15, .count = 2000000};

        bench_parse(argc, argv, &options);
        bench_check(ouro_run(measure, &options), "ouro_run");
        return 0;
}
