/* channel.c - one message from task to task, through a channel of 128 and through a rendezvous, over a bare
 * stack switch. */
#include "bare.h"
#include "bench.h"

#include <ouro.h>

struct stream {
        ouro_chan *chan;
        long n;
};

static intptr_t sender(void *arg)
{
        const struct stream *stream = arg;

        for (int64_t i = 0; i < stream->n; i++) {
                int error = ouro_chan_send(stream->chan, &i);

                if (error < 0)
                        return error;
        }
        return 0;
}

static double message_ns(size_t capacity, long n)
{
        struct stream stream = {ouro_chan_new(sizeof(int64_t), capacity), n};
        int64_t start_ns = bench_now_ns();
        int64_t item = -1;

        if (stream.chan == NULL)
                bench_die("ouro_chan_new");

        ouro_task task = ouro_create_task(sender, &stream);

        for (int64_t i = 0; i < n; i++) {
                if (ouro_chan_recv(stream.chan, &item) < 0 || item != i)
                        bench_die("a message is not what was sent");
        }
        bench_check(ouro_await(task), "sender");

        double ns = (double)(bench_now_ns() - start_ns) / (double)n;

        bench_check(ouro_chan_free(stream.chan), "ouro_chan_free");
        return ns;
}

static intptr_t measure(void *arg)
{
        const struct bench_options *options = arg;
        struct bench_series buffered = {.name = "channel_128", .reference = "bare"};
        struct bench_series rendezvous = {.name = "rendezvous", .reference = "bare"};

        for (int round = 0; round < options->rounds; round++) {
                double bare_ns = bare_switch_ns();
                double ns = message_ns(128, options->count);
                double between_ns = bare_switch_ns();

                bench_add(&buffered, ns, (bare_ns + between_ns) / 2);
                ns = message_ns(0, options->count);
                bench_add(&rendezvous, ns, (between_ns + bare_switch_ns()) / 2);
        }
        bench_print(&buffered);
        bench_print(&rendezvous);
        return 0;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 15, .count = 1000000};

        bench_parse(argc, argv, &options);
        bench_check(ouro_run(measure, &options), "ouro_run");
        return 0;
}
