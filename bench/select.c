/* select.c - select over 8 channels: of which one is ready, and where it must wait for one; over a bare stack
 * switch. */
#include "bare.h"
#include "bench.h"

#include <ouro.h>

enum { CHANNELS = 8 };

static ouro_chan *chans[CHANNELS];
static int64_t items[CHANNELS];
static struct ouro_case cases[CHANNELS];

static void check_item(ssize_t done, long i)
{
        if (done != i % CHANNELS || items[done] != i)
                bench_die("a select has not done what it should");
}

/* The channel that is ready goes round, so that the search stops where it begins. */
static double ready_ns(long n, size_t ahead)
{
        int64_t start_ns = bench_now_ns();

        for (int64_t i = 0; i < n; i++) {
                bench_check(ouro_chan_try_send(chans[(size_t)i * ahead % CHANNELS], &i),
                            "ouro_chan_try_send");
                if (ouro_select(cases, CHANNELS) < 0)
                        bench_die("ouro_select");
        }
        return (double)(bench_now_ns() - start_ns) / (double)n;
}

static intptr_t sender(void *arg)
{
        const long *n = arg;

        for (int64_t i = 0; i < *n; i++)
                bench_check(ouro_chan_send(chans[i % CHANNELS], &i), "ouro_chan_send");
        return 0;
}

/* Rendezvous: each select finds nothing and waits in 8 queues, each send finds it there, or waits for it. */
static double waiting_ns(long n)
{
        int64_t start_ns = bench_now_ns();
        ouro_task task = ouro_create_task(sender, &n);

        for (long i = 0; i < n; i++)
                check_item(ouro_select(cases, CHANNELS), i);
        bench_check(ouro_await(task), "sender");
        return (double)(bench_now_ns() - start_ns) / (double)n;
}

static void make_channels(size_t capacity)
{
        for (size_t i = 0; i < CHANNELS; i++) {
                if (chans[i])
                        bench_check(ouro_chan_free(chans[i]), "ouro_chan_free");
                chans[i] = ouro_chan_new(sizeof(int64_t), capacity);
                if (!chans[i])
                        bench_die("ouro_chan_new");
                cases[i] = OURO_CASE_RECV(chans[i], &items[i]);
        }
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        struct bench_series next = {.name = "select_next", .reference = "bare"};
        struct bench_series ready = {.name = "select_8", .reference = "bare"};
        struct bench_series waiting = {.name = "select_8_waiting", .reference = "bare"};

        for (int round = 0; round < options->rounds; round++) {
                double bare_ns[4], ns[3];

                make_channels(2);
                bare_ns[0] = bare_switch_ns();
                ns[0] = ready_ns(options->count, 1);
                bare_ns[1] = bare_switch_ns();
                ns[1] = ready_ns(options->count, 3);
                bare_ns[2] = bare_switch_ns();
                make_channels(0);
                ns[2] = waiting_ns(options->count);
                bare_ns[3] = bare_switch_ns();
                bench_add(&next, ns[0], (bare_ns[0] + bare_ns[1]) / 2);
                bench_add(&ready, ns[1], (bare_ns[1] + bare_ns[2]) / 2);
                bench_add(&waiting, ns[2], (bare_ns[2] + bare_ns[3]) / 2);
        }
        bench_print(&next);
        bench_print(&ready);
        bench_print(&waiting);
        for (size_t i = 0; i < CHANNELS; i++)
                bench_check(ouro_chan_free(chans[i]), "ouro_chan_free");
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 15, .count = 1000000};

        bench_parse(argc, argv, &options);
        bench_check(ouro_run(measure, &options), "ouro_run");
        return 0;
}
