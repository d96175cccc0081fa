/* sleepers.c - a million tasks asleep at once: their time, their memory, their whole life.
 *
 *   sleepers_create ns=..       creating one: it has no stack yet
 *   sleepers_memory bytes=..    resident for each when all are asleep, page tables counted
 *   sleepers_cold ns=..         the whole life of one less the sleep, over a guard and a fresh page
 *   sleepers_warm ns=..         the same when the process has done it before, over a bare stack switch
 *
 * All sleep until one moment, and the last is asleep before it. So the life less the sleep is the time until
 * the last has fallen asleep, and the time from that moment until the last has ended. */
#include "bare.h"
#include "bench.h"

#include <ouro.h>

#include <stdio.h>

enum {
        STACK_BYTES = 64 * 1024,
};

static struct {
        long asleep;
        int64_t wake_ns; /* by ouro_now(), which is CLOCK_MONOTONIC */
} all;

struct life {
        double create_ns; /* this and the rest: for each task */
        double memory_bytes;
        double whole_ns;
};

static intptr_t sleeper(void *arg)
{
        (void)arg;
        all.asleep++;
        return ouro_sleep(all.wake_ns - ouro_now());
}

static struct life live(long n, int64_t fall_asleep_ns)
{
        struct life life;
        long before_bytes = bench_resident_bytes();
        int64_t start_ns = bench_now_ns();
        int64_t created_ns = 0;
        int64_t asleep_ns = 0;

        all.asleep = 0;
        OURO_GROUP(g) {
                for (long i = 0; i < n; i++)
                        bench_check(ouro_go(sleeper, NULL), "ouro_go");
                created_ns = bench_now_ns();
                all.wake_ns = created_ns + fall_asleep_ns;
                while (all.asleep < n)
                        bench_check(ouro_yield(), "ouro_yield");
                asleep_ns = bench_now_ns();
                if (asleep_ns >= all.wake_ns)
                        bench_die("falling asleep took longer than the sleep");
                life.memory_bytes = (double)(bench_resident_bytes() - before_bytes) / (double)n;
        }
        life.create_ns = (double)(created_ns - start_ns) / (double)n;
        life.whole_ns = (double)(asleep_ns - start_ns + bench_now_ns() - all.wake_ns) / (double)n;
        return life;
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        struct bench_series create = {.name = "sleepers_create", .reference = "bare"};
        struct bench_series cold = {.name = "sleepers_cold", .reference = "guard_and_page"};
        struct bench_series warm = {.name = "sleepers_warm", .reference = "bare"};
        size_t n = (size_t)options->count;

        /* Once unmeasured: a page that the host of a virtual machine must supply costs several times one that
         * was freed lately. */
        bare_pages_ns(n, STACK_BYTES, 1);

        double page_ns = bare_pages_ns(n, STACK_BYTES, 1);
        int64_t fall_asleep_ns = OURO_SEC(1) + (int64_t)(3 * page_ns * (double)n);
        struct life first = live(options->count, fall_asleep_ns);

        fall_asleep_ns = OURO_MS(500) + (int64_t)(first.whole_ns * (double)n);

        for (int round = 0; round < options->rounds; round++) {
                double before_ns = bare_switch_ns();
                struct life life = live(options->count, fall_asleep_ns);
                double bare_ns = (before_ns + bare_switch_ns()) / 2;

                bench_add(&create, life.create_ns, bare_ns);
                bench_add(&warm, life.whole_ns, bare_ns);
        }
        bench_add(&cold, first.whole_ns, (page_ns + bare_pages_ns(n, STACK_BYTES, 1)) / 2);
        bench_print(&create);
        bench_print(&cold);
        bench_print(&warm);
        printf("sleepers_memory bytes=%.0f\n", first.memory_bytes);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 2, .count = 1000000};

        bench_parse(argc, argv, &options);
        bench_check(ouro_run(measure, &options), "ouro_run");
        return 0;
}
