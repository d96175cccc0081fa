/* chan_shared.c - one message of 8 bytes from a task of one loop to a task of another, each on a core of its
 * own, through a shared channel of 1,024, over a bare stack switch. */
#include <pthread.h>

#include "bare.h"
#include "bench.h"

#include <ouro.h>

struct stream {
        ouro_chan *chan;
        long n;
        int64_t ns; /* from when both sides were there */
};

static intptr_t sends(void *arg)
{
        const struct stream *stream = arg;

        for (int64_t i = 0; i <= stream->n; i++) {
                int error = ouro_chan_send(stream->chan, &i);

                if (error < 0)
                        return error;
        }
        return 0;
}

static intptr_t receives(void *arg)
{
        struct stream *stream = arg;
        int64_t start_ns = 0, item;

        for (int64_t i = 0; i <= stream->n; i++) {
                if (ouro_chan_recv(stream->chan, &item) < 0 || item != i)
                        bench_die("a message is not what was sent");
                if (i == 0)
                        start_ns = bench_now_ns();
        }
        stream->ns = bench_now_ns() - start_ns;
        return 0;
}

static void *run_receiver(void *stream)
{
        bench_pin(1);
        bench_check(ouro_run(receives, stream), "the receiver");
        return NULL;
}

static double message_ns(size_t capacity, long n)
{
        struct stream stream = {.chan = ouro_chan_new_shared(sizeof(int64_t), capacity), .n = n};
        pthread_t thread;

        if (!stream.chan || pthread_create(&thread, NULL, run_receiver, &stream) != 0)
                bench_die("no memory");
        bench_check(ouro_run(sends, &stream), "the sender");
        pthread_join(thread, NULL);
        bench_check(ouro_chan_free(stream.chan), "ouro_chan_free");
        return (double)stream.ns / (double)n;
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 15, .count = 5000000};
        struct bench_series buffered = {.name = "chan_shared", .reference = "bare"};
        struct bench_series rendezvous = {.name = "chan_shared_rendezvous", .reference = "bare"};

        bench_parse(argc, argv, &options);
        for (int round = 0; round < options.rounds; round++) {
                double bare_ns = bare_switch_ns();
                double ns = message_ns(1024, options.count);
                double between_ns = bare_switch_ns();

                bench_add(&buffered, ns, (bare_ns + between_ns) / 2);
                ns = message_ns(0, options.count / 50);
                bench_add(&rendezvous, ns, (between_ns + bare_switch_ns()) / 2);
        }
        bench_print(&buffered);
        bench_print(&rendezvous);
        return 0;
}
