/* pools_spans.c - what a large argument costs a process pool: copied, and in its arena.
 *
 *   processes_argument ns=.. memcpy=..   a job with 1 MiB to read, of which it touches little, over one
 *                                        memcpy() of as much
 *   processes_arena ns=.. empty=..       a job with 1 MiB of the arena, over a job without a span
 *   processes_arena_extra ns=..          the difference of these
 *
 * Neither what is copied nor where memcpy() copies it to is in the cache: each time it is the next of
 * SPANS spans. All memory has been written to before. */
#include "bench.h"
#include "pools.h"

#include <stdio.h>
#include <string.h>

enum {
        ROUNDS = 11,
        ROUND_JOBS = 128,
        ROUND_EMPTY_JOBS = 2000,
        SPANS = 128,
        SPAN_BYTES = 1 << 20,
};

struct places {
        struct pool pool;
        char *from, *to; /* SPANS of SPAN_BYTES */
        void *arena;     /* SPAN_BYTES */
};

static intptr_t touch_ends(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const char *bytes = in.base;

        (void)job;
        (void)out;
        return bytes[0] + bytes[in.len - 1];
}

static void run_job(const struct places *places, ouro_job_fn *fn, const void *base, size_t len)
{
        bench_check(ouro_await(ouro_submit(places->pool.executor, fn, ouro_in(base, len), OURO_NO_OUT)),
                    "job");
}

static double copy_to_job(const struct places *places)
{
        int64_t start_ns = bench_now_ns();

        for (size_t i = 0; i < ROUND_JOBS; i++)
                run_job(places, touch_ends, places->from + i % SPANS * SPAN_BYTES, SPAN_BYTES);
        return (double)(bench_now_ns() - start_ns) / ROUND_JOBS;
}

static double copy_only(const struct places *places)
{
        int64_t start_ns = bench_now_ns();

        for (size_t i = 0; i < ROUND_JOBS; i++) {
                size_t at = i % SPANS * SPAN_BYTES;

                memcpy(places->to + at, places->from + at, SPAN_BYTES);
                __asm__ volatile("" : : "r"(places->to + at) : "memory"); /* not to be left out */
        }
        return (double)(bench_now_ns() - start_ns) / ROUND_JOBS;
}

static double run_many(const struct places *places, ouro_job_fn *fn, const void *base, size_t len)
{
        int64_t start_ns = bench_now_ns();

        for (int i = 0; i < ROUND_EMPTY_JOBS; i++)
                run_job(places, fn, base, len);
        return (double)(bench_now_ns() - start_ns) / ROUND_EMPTY_JOBS;
}

static void measure_copies(const struct places *places, int rounds)
{
        struct bench_series series = {.name = "processes_argument", .reference = "memcpy"};

        copy_to_job(places); /* touches the memory that it will use */
        for (int i = 0; i < rounds; i++) {
                double job_ns, copy_ns;

                if (i % 2 == 0) {
                        job_ns = copy_to_job(places);
                        copy_ns = copy_only(places);
                } else {
                        copy_ns = copy_only(places);
                        job_ns = copy_to_job(places);
                }
                bench_add(&series, job_ns, copy_ns);
        }
        bench_print(&series);
}

static void measure_arena(const struct places *places, int rounds)
{
        struct bench_series series = {.name = "processes_arena", .reference = "empty"};
        double extra_ns[BENCH_ROUNDS_MAX];

        for (int i = 0; i < rounds; i++) {
                double span_ns, empty_ns;

                if (i % 2 == 0) {
                        span_ns = run_many(places, touch_ends, places->arena, SPAN_BYTES);
                        empty_ns = run_many(places, pool_empty_job, NULL, 0);
                } else {
                        empty_ns = run_many(places, pool_empty_job, NULL, 0);
                        span_ns = run_many(places, touch_ends, places->arena, SPAN_BYTES);
                }
                bench_add(&series, span_ns, empty_ns);
                extra_ns[i] = span_ns - empty_ns;
        }
        bench_print(&series);
        printf("processes_arena_extra ns=%.1f rounds=%d\n", bench_median(extra_ns, (size_t)rounds), rounds);
        fflush(stdout);
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        struct places places = {
                .pool = pool_of_processes(2, 0),
                .from = bench_map((size_t)SPANS * SPAN_BYTES),
                .to = bench_map((size_t)SPANS * SPAN_BYTES),
        };

        memset(places.from, 1, (size_t)SPANS * SPAN_BYTES);
        memset(places.to, 2, (size_t)SPANS * SPAN_BYTES);
        bench_check(ouro_arena_alloc(places.pool.executor, SPAN_BYTES, &places.arena), "ouro_arena_alloc");
        memset(places.arena, 3, SPAN_BYTES);
        measure_copies(&places, options->rounds);
        measure_arena(&places, options->rounds);
        bench_check(ouro_arena_free(places.pool.executor, places.arena), "ouro_arena_free");
        pool_close(&places.pool);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = ROUNDS};

        bench_parse(argc, argv, &options);
        pools_run(measure, &options, 0);
        return 0;
}
