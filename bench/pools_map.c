/* pools_map.c - ouro_map() over numbers that only cost CPU time: two workers over one.
 *
 *   threads_map ns=.. two_workers=..    each item with one worker, over each item with two
 *   processes_map ns=.. two_workers=.. */
#include "bench.h"
#include "pools.h"

#include <stdlib.h>

enum { ROUNDS = 5, ITEMS = 4000, STEPS = 30000 };

struct numbers {
        uint64_t items[ITEMS], results[ITEMS];
};

static uint64_t mix(uint64_t x)
{
        for (int i = 0; i < STEPS; i++)
                x = x * 6364136223846793005 + 1442695040888963407;
        return x;
}

static intptr_t mix_item(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        *(uint64_t *)out.base = mix(*(const uint64_t *)in.base);
        return 0;
}

static double map_once(const struct pool *pool, struct numbers *numbers)
{
        int64_t start_ns = bench_now_ns();

        bench_check(ouro_map(pool->executor, mix_item, numbers->items, sizeof(uint64_t), ITEMS,
                             numbers->results, sizeof(uint64_t), NULL),
                    "ouro_map");
        return (double)(bench_now_ns() - start_ns) / ITEMS;
}

static void compare(const char *name, struct pool pools[2], struct numbers *numbers, int rounds)
{
        struct bench_series series = {.name = name, .reference = "two_workers"};

        for (int i = 0; i < rounds; i++) {
                double ns[2];

                for (int turn = 0; turn < 2; turn++)
                        ns[(i + turn) % 2] = map_once(&pools[(i + turn) % 2], numbers);
                bench_add(&series, ns[0], ns[1]);
        }
        for (size_t i = 0; i < ITEMS; i += ITEMS / 16)
                if (numbers->results[i] != mix(numbers->items[i]))
                        bench_die("a wrong result");
        bench_print(&series);
        pool_close(&pools[0]);
        pool_close(&pools[1]);
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        struct numbers *numbers = bench_map(sizeof(*numbers));

        for (uint64_t i = 0; i < ITEMS; i++)
                numbers->items[i] = i;
        struct pool threads[2] = {pool_of_threads(1, 0), pool_of_threads(2, 0)};

        compare("threads_map", threads, numbers, options->rounds);
        struct pool processes[2] = {pool_of_processes(1, 0), pool_of_processes(2, 0)};

        compare("processes_map", processes, numbers, options->rounds);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = ROUNDS};

        bench_parse(argc, argv, &options);
        pools_run(measure, &options, 0);
        return 0;
}
