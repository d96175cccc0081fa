/* loops.c - a CPU-bound mix of tasks on two loops, each pinned to a CPU, against the same mix on one.
 *
 * loops [--rounds N] [--count TASKS]: prints the ns that a task of the mix takes with one loop, and as the
 * reference with two: the ratio is how many times as fast two are.
 *
 * A task computes for some microseconds, in pieces between which it yields, passes an item through a channel
 * of its loop and creates a task that it awaits: what a server's tasks do between two system calls. */
#include "bench.h"

#include <ouro.h>
#include <sched.h>
#include <stdio.h>

enum { PIECES = 4, PIECE_STEPS = 2000, WINDOW = 64 };

struct share {
        long tasks;
        uint64_t sum;
};

static uint64_t compute(uint64_t seed)
{
        for (int i = 0; i < PIECE_STEPS; i++)
                seed = seed * 6364136223846793005u + 1442695040888963407u;
        return seed;
}

static intptr_t helper(void *arg)
{
        return (intptr_t)(compute((uintptr_t)arg) >> 1);
}

static intptr_t mix(void *arg)
{
        ouro_chan *chan = arg;
        uint64_t value = (uintptr_t)arg;

        for (int i = 0; i < PIECES; i++) {
                value = compute(value);
                bench_check(ouro_yield(), "ouro_yield");
        }
        bench_check(ouro_chan_send(chan, &value), "ouro_chan_send");
        value ^= (uint64_t)ouro_await(ouro_create_task(helper, (void *)(uintptr_t)(value & 0xffff)));
        return (intptr_t)(value >> 1);
}

static intptr_t run_share(void *arg)
{
        struct share *share = arg;
        ouro_chan *chan = ouro_chan_new(sizeof(uint64_t), WINDOW);
        ouro_task tasks[WINDOW];
        intptr_t results[WINDOW];
        uint64_t item;

        if (!chan)
                bench_die("ouro_chan_new");
        for (long done = 0; done < share->tasks; done += WINDOW) {
                for (int i = 0; i < WINDOW; i++)
                        tasks[i] = ouro_create_task(mix, chan);
                bench_check(ouro_gather(tasks, WINDOW, results), "ouro_gather");
                for (int i = 0; i < WINDOW; i++) {
                        bench_check(ouro_chan_recv(chan, &item), "ouro_chan_recv");
                        share->sum += item ^ (uint64_t)results[i];
                }
        }
        bench_check(ouro_chan_free(chan), "ouro_chan_free");
        return 0;
}

struct measured {
        ouro_loops *loops;
        unsigned n;
        long tasks;
};

/* The same tasks on the first n loops. */
static intptr_t spread(void *arg)
{
        const struct measured *measured = arg;
        struct share shares[2] = {{.tasks = measured->tasks / measured->n},
                                  {.tasks = measured->tasks / measured->n}};
        int error = 0;

        OURO_GROUP(group, &error) {
                for (unsigned i = 0; i < measured->n; i++)
                        ouro_create_task_on(ouro_loops_at(measured->loops, i), run_share, &shares[i]);
        }
        return error;
}

static double measure(ouro_loops *loops, unsigned n, long tasks)
{
        struct measured measured = {loops, n, tasks};
        int64_t began_ns = bench_now_ns();

        bench_check(ouro_run(spread, &measured), "ouro_run");
        return (double)(bench_now_ns() - began_ns) / (double)tasks;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 11, .count = 20480};
        struct bench_series series = {.name = "one_loop", .reference = "two_loops"};
        struct ouro_loops_options loops_options = OURO_LOOPS_OPTIONS_INIT;
        cpu_set_t all;
        ouro_loops *loops;

        if (sched_getaffinity(0, sizeof all, &all) < 0)
                bench_die("sched_getaffinity");
        bench_parse(argc, argv, &options);
        if (sched_setaffinity(0, sizeof all, &all) < 0) /* bench_parse() has pinned us to one CPU */
                bench_die("sched_setaffinity");
        if (CPU_COUNT(&all) < 2) {
                fprintf(stderr, "loops: one CPU only: nothing to compare\n");
                return 0;
        }
        loops_options.count = 2;
        loops_options.pin = true;
        bench_check(ouro_loops_open(&loops_options, &loops), "ouro_loops_open");
        measure(loops, 2, options.count);
        for (int i = 0; i < options.rounds; i++) {
                double two_ns = measure(loops, 2, options.count);

                bench_add(&series, measure(loops, 1, options.count), two_ns);
        }
        bench_print(&series);
        return ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER) < 0;
}
