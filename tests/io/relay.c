/* Of lib/io/relay.c: all bytes both ways, the ends passed on, and what becomes of failures. */
#include "support/streams.h"

TestSuite(relay, .init = leaks_begin, .fini = leaks_end);

enum { BULK = 3 << 20 };

static char block[BULK], back[BULK], other[BULK];

/* Two pairs: what is written to outer[0] comes out at outer[1], by way of a relay between inner[0], inner[1].
 */
struct between {
        int outer[2];
        int inner[2];
        struct ouro_relay_options options;
        struct ouro_relayed relayed;
};

static void open_between(struct between *between, void (*pair)(int fds[2]))
{
        int first[2], second[2];

        pair(first);
        pair(second);
        *between = (struct between){.outer = {first[0], second[0]},
                                    .inner = {first[1], second[1]},
                                    .options = OURO_RELAY_OPTIONS_INIT,
                                    .relayed = OURO_RELAYED_INIT};
}

static void close_between(struct between *between)
{
        close_both(between->outer);
        close_both(between->inner);
}

static intptr_t relay_fds(void *arg)
{
        struct between *between = arg;

        return ouro_relay_fds(between->inner[0], between->inner[1], &between->options, &between->relayed);
}

struct sender {
        int fd;
        const char *data;
        size_t len;
};

static intptr_t send_and_end(void *arg)
{
        struct sender *sender = arg;
        int error = ouro_send_all(sender->fd, sender->data, sender->len, NULL);

        return error < 0 ? error : ouro_shutdown(sender->fd, SHUT_WR);
}

static void both_ways(void (*pair)(int fds[2]), bool no_splice)
{
        struct between between;
        ouro_task relay;
        char byte;

        fill(block, BULK, 1);
        open_between(&between, pair);
        between.options.no_splice = no_splice;
        relay = waits_in(relay_fds, &between);
        OURO_GROUP(group) {
                struct sender forth = {between.outer[0], block, BULK};
                struct sender on = {between.outer[1], block, BULK / 3};

                ouro_go(send_and_end, &forth);
                ouro_go(send_and_end, &on);
                EQ(ouro_recv_all(between.outer[1], back, BULK, NULL), 0);
                EQ(ouro_recv(between.outer[1], &byte, 1, 0), 0);
                EQ(ouro_recv_all(between.outer[0], other, BULK / 3, NULL), 0);
                EQ(ouro_recv(between.outer[0], &byte, 1, 0), 0);
        }
        EQ(ouro_await(relay), 0);
        cr_assert(memcmp(block, back, BULK) == 0);
        cr_assert(memcmp(block, other, BULK / 3) == 0);
        EQ(between.relayed.bytes[0], BULK);
        EQ(between.relayed.bytes[1], BULK / 3);
        EQ(between.relayed.errors[0], 0);
        EQ(between.relayed.errors[1], 0);
        close_between(&between);
}

IN_LOOP(relay, all_bytes_and_both_ends_arrive_spliced)
{
        both_ways(tcp_pair, false);
        both_ways(unix_pair, false);
        return 0;
}

IN_LOOP(relay, all_bytes_and_both_ends_arrive_by_buffers)
{
        both_ways(tcp_pair, true);
        both_ways(unix_pair, true);
        return 0;
}

IN_LOOP(relay, after_a_half_close_the_other_half_goes_on)
{
        struct between between;
        ouro_task relay;
        char text[16];

        open_between(&between, tcp_pair);
        relay = waits_in(relay_fds, &between);
        put(between.outer[0], "question");
        EQ(ouro_shutdown(between.outer[0], SHUT_WR), 0);
        EQ(ouro_recv_all(between.outer[1], text, 8, NULL), 0);
        EQ(ouro_recv(between.outer[1], text, 1, 0), 0);
        put(between.outer[1], "an");
        EQ(ouro_recv_all(between.outer[0], text, 2, NULL), 0);
        put(between.outer[1], "swer");
        EQ(ouro_recv_all(between.outer[0], text, 4, NULL), 0);
        EQ(ouro_task_state(relay), OURO_STATE_WAITING);
        EQ(ouro_shutdown(between.outer[1], SHUT_WR), 0);
        EQ(ouro_recv(between.outer[0], text, 1, 0), 0);
        EQ(ouro_await(relay), 0);
        EQ(between.relayed.bytes[0], 8);
        EQ(between.relayed.bytes[1], 6);
        close_between(&between);
        return 0;
}

static void reset(int fd)
{
        const struct linger now = {.l_onoff = 1};

        EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        close(fd);
}

IN_LOOP(relay, a_peer_that_is_reset_ends_both_directions)
{
        struct between between;
        ouro_task relay;

        open_between(&between, tcp_pair);
        relay = waits_in(relay_fds, &between);
        reset(between.outer[1]);
        EQ(ouro_await(relay), -ECONNRESET);
        EQ(between.relayed.errors[1], -ECONNRESET);
        EQ(between.relayed.errors[0], -ECANCELED);
        close(between.outer[0]);
        close_both(between.inner);
        return 0;
}

IN_LOOP(relay, f25_what_a_vanishing_peer_had_said_is_passed_on)
{
        struct between between;
        ouro_task relay;
        char text[16];

        open_between(&between, unix_pair);
        put(between.outer[1], "farewell");
        close(between.outer[1]);
        put(between.outer[0], "to nobody");
        relay = ouro_create_task(relay_fds, &between);
        EQ(ouro_recv_all(between.outer[0], text, 8, NULL), 0);
        EQ(ouro_recv(between.outer[0], text, 1, 0), 0);
        EQ(ouro_shutdown(between.outer[0], SHUT_WR), 0);
        EQ(ouro_await(relay), -EPIPE);
        EQ(between.relayed.errors[0], -EPIPE);
        EQ(between.relayed.errors[1], 0);
        EQ(between.relayed.bytes[1], 8);
        close(between.outer[0]);
        close_both(between.inner);
        return 0;
}

/* Of a pair of streams in memory each, in virtual time. */
struct idle {
        ouro_stream *first[2];
        ouro_stream *second[2];
        struct ouro_relayed relayed;
};

static intptr_t relay_until_idle(void *arg)
{
        struct ouro_relay_options options = OURO_RELAY_OPTIONS_INIT;
        struct idle *idle = arg;

        options.idle_ns = OURO_SEC(60);
        return ouro_relay(idle->first[1], idle->second[1], &options, &idle->relayed);
}

static intptr_t be_idle(void *unused)
{
        struct idle idle = {.relayed = OURO_RELAYED_INIT};
        ouro_task relay;

        (void)unused;
        EQ(ouro_stream_pair(0, NULL, idle.first), 0);
        EQ(ouro_stream_pair(0, NULL, idle.second), 0);
        relay = waits_in(relay_until_idle, &idle);
        for (int i = 0; i < 5; i++) {
                EQ(ouro_sleep(OURO_SEC(40)), 0);
                EQ(ouro_stream_write(i % 2 ? idle.first[0] : idle.second[0], "x", 1), 0);
                EQ(ouro_stream_flush(i % 2 ? idle.first[0] : idle.second[0]), 0);
        }
        EQ(ouro_await(relay), -ETIMEDOUT);
        EQ(ouro_now(), OURO_SEC(5 * 40 + 60));
        EQ(idle.relayed.bytes[0], 2);
        EQ(idle.relayed.bytes[1], 3);
        for (int i = 0; i < 2; i++) {
                EQ(ouro_stream_close(idle.first[i]), 0);
                EQ(ouro_stream_close(idle.second[i]), 0);
        }
        return 0;
}

Test(relay, idleness_ends_it_and_traffic_puts_it_off)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        EQ(ouro_run_with(&options, be_idle, NULL), 0);
}

IN_LOOP(relay, it_is_cancelled_and_bounded_by_a_scope)
{
        struct between between;
        ouro_task relay;

        open_between(&between, unix_pair);
        relay = waits_in(relay_fds, &between);
        EQ(ouro_cancel(relay), 0);
        EQ(ouro_await(relay), -ECANCELED);
        OURO_TIMEOUT(OURO_MS(2)) {
                EQ(relay_fds(&between), -ETIME);
        }
        put(between.inner[0], "descriptors stay open");
        close_between(&between);
        return 0;
}

static intptr_t relay_streams(void *arg)
{
        ouro_stream **streams = arg;

        return ouro_relay(streams[0], streams[1], NULL, NULL);
}

IN_LOOP(relay, what_streams_have_in_their_buffers_goes_first)
{
        struct between between;
        ouro_stream *streams[2];
        const char *line;
        ouro_task relay;

        open_between(&between, unix_pair);
        for (int i = 0; i < 2; i++)
                EQ(ouro_stream_open(between.inner[i], NULL, &streams[i]), 0);
        put(between.outer[0], "CONNECT\nearly ");
        EQ(ouro_stream_read_line(streams[0], 0, &line), 7);
        EQ(ouro_stream_printf(streams[0], "OK "), 0);
        EQ(ouro_stream_printf(streams[1], "hello "), 0);
        relay = waits_in(relay_streams, streams);
        put(between.outer[0], "late");
        put(between.outer[1], "answer");
        EQ(ouro_recv_all(between.outer[1], back, 16, NULL), 0);
        EQ(ouro_recv_all(between.outer[0], other, 9, NULL), 0);
        cr_assert(memcmp(back, "hello early late", 16) == 0);
        cr_assert(memcmp(other, "OK answer", 9) == 0);
        close_both(between.outer);
        EQ(ouro_await(relay), 0);
        EQ(ouro_stream_close(streams[0]), 0);
        EQ(ouro_stream_close(streams[1]), 0);
        return 0;
}

/* As after CONNECT: the client says nothing until it has the answer. */
IN_LOOP(relay, what_was_kept_back_goes_out_though_nobody_speaks)
{
        struct between between;
        ouro_stream *streams[2];
        ouro_task relay;

        open_between(&between, unix_pair);
        for (int i = 0; i < 2; i++)
                EQ(ouro_stream_open(between.inner[i], NULL, &streams[i]), 0);
        EQ(ouro_stream_printf(streams[0], "200 OK"), 0);
        relay = waits_in(relay_streams, streams);
        OURO_TIMEOUT(OURO_SEC(10)) {
                EQ(ouro_recv_all(between.outer[0], other, 6, NULL), 0);
        }
        close_both(between.outer);
        EQ(ouro_await(relay), 0);
        EQ(ouro_stream_close(streams[0]), 0);
        EQ(ouro_stream_close(streams[1]), 0);
        return 0;
}

/* A transport that keeps back what it is given, as one that compresses does, until it is flushed. */
static ssize_t keeper_read(void *self, void *buf, size_t len)
{
        return ouro_stream_read(self, buf, len);
}

static ssize_t keeper_writev(void *self, const struct iovec *iov, int n)
{
        int error = ouro_stream_write(self, iov->iov_base, iov->iov_len);

        (void)n;
        return error < 0 ? error : (ssize_t)iov->iov_len;
}

static int keeper_flush(void *self)
{
        return ouro_stream_flush(self);
}

static int keeper_close(void *self)
{
        return ouro_stream_close(self);
}

static const struct ouro_transport keeper = {.size = sizeof keeper,
                                             .read = keeper_read,
                                             .writev = keeper_writev,
                                             .flush = keeper_flush,
                                             .close = keeper_close};

IN_LOOP(relay, a_transport_that_keeps_back_is_flushed)
{
        struct between between;
        ouro_stream *streams[2], *below;
        ouro_task relay;

        open_between(&between, unix_pair);
        EQ(ouro_stream_open(between.inner[0], NULL, &streams[0]), 0);
        EQ(ouro_stream_open(between.inner[1], NULL, &below), 0);
        EQ(ouro_stream_open_on(&keeper, below, NULL, &streams[1]), 0);
        relay = waits_in(relay_streams, streams);
        EQ(ouro_sleep(OURO_MS(2)), 0); /* both directions wait to read */
        put(between.outer[0], "question");
        OURO_TIMEOUT(OURO_SEC(10)) {
                EQ(ouro_recv_all(between.outer[1], other, 8, NULL), 0);
        }
        close_both(between.outer);
        (void)ouro_await(relay);
        EQ(ouro_stream_close(streams[0]), 0);
        EQ(ouro_stream_close(streams[1]), 0);
        return 0;
}

struct closer {
        ouro_stream *stream;
        bool done;
};

static intptr_t close_it(void *arg)
{
        struct closer *closer = arg;

        closer->done = true;
        return ouro_stream_close(closer->stream);
}

/* The budget of a pass ends at every place: also between the first stream and the second, which another task
 * closes then. */
IN_LOOP(relay, a_stream_that_is_closed_as_it_begins_ends_it)
{
        int ended = 0;

        for (int spent = 0; spent < 600; spent++) {
                ouro_stream *first[2], *second[2];
                struct closer closer, witness = {NULL, false};
                ouro_task closing, passing;

                EQ(ouro_stream_pair(64, NULL, first), 0);
                EQ(ouro_stream_pair(64, NULL, second), 0);
                closer = (struct closer){second[1], false};
                passing = ouro_create_task(close_it, &witness);
                while (!witness.done) /* then a pass has just begun */
                        EQ(ouro_stream_write(first[0], "", 0), 0);
                closing = ouro_create_task(close_it, &closer);
                for (int i = 0; i < spent; i++)
                        EQ(ouro_stream_write(first[0], "", 0), 0);
                if (!closer.done) {
                        EQ(ouro_relay(first[1], second[1], NULL, NULL), -EBADF);
                        ended++;
                }
                EQ(ouro_await(passing), 0);
                EQ(ouro_await(closing), 0);
                EQ(ouro_stream_close(first[0]), 0);
                EQ(ouro_stream_close(first[1]), 0);
                EQ(ouro_stream_close(second[0]), 0);
        }
        cr_assert(ended > 0 && ended < 600, "%d", ended);
        return 0;
}

/* Bulk, so that it goes through a pipe where it can. */
IN_LOOP(relay, what_could_not_be_sent_is_still_in_the_stream)
{
        struct between between;
        ouro_stream *streams[2];
        struct sender sender;
        ouro_task relay, sending;
        size_t passed, rest;

        fill(block, BULK, 7);
        open_between(&between, unix_pair);
        for (int i = 0; i < 2; i++)
                EQ(ouro_stream_open(between.inner[i], NULL, &streams[i]), 0);
        sender = (struct sender){between.outer[0], block, BULK};
        sending = waits_in(send_and_end, &sender);
        relay = waits_in(relay_streams, streams);
        EQ(ouro_recv_all(between.outer[1], back, BULK / 3, NULL), 0); /* then nobody reads any more */
        EQ(ouro_sleep(OURO_MS(5)), 0);
        EQ(ouro_cancel(relay), 0);
        EQ(ouro_await(relay), -ECANCELED);
        passed = (size_t)counts_of(streams[1]).sent_bytes;
        EQ(ouro_recv_all(between.outer[1], back + BULK / 3, passed - BULK / 3, NULL), 0);
        rest = BULK - passed;
        EQ(ouro_stream_read_exactly(streams[0], back + passed, rest, NULL), 0);
        cr_assert(memcmp(block, back, BULK) == 0);
        EQ(ouro_await(sending), 0);
        EQ(ouro_stream_close(streams[0]), 0);
        EQ(ouro_stream_close(streams[1]), 0);
        close_both(between.outer);
        return 0;
}

IN_LOOP(relay, streams_in_memory_are_relayed_too)
{
        ouro_stream *first[2], *second[2], *middle[2];
        const char *line;
        ouro_task relay;

        EQ(ouro_stream_pair(5, NULL, first), 0);
        EQ(ouro_stream_pair(0, NULL, second), 0);
        middle[0] = first[1];
        middle[1] = second[1];
        relay = waits_in(relay_streams, middle);
        EQ(ouro_stream_printf(first[0], "longer than five\n"), 0);
        EQ(ouro_stream_shutdown(first[0]), 0);
        SAME(ouro_stream_read_line(second[0], 0, &line), line, "longer than five");
        EQ(ouro_stream_read_line(second[0], 0, &line), -ENODATA);
        EQ(ouro_stream_close(second[0]), 0);
        EQ(ouro_stream_read_line(first[0], 0, &line), -ENODATA);
        EQ(ouro_await(relay), 0);
        EQ(ouro_stream_close(first[0]), 0);
        EQ(ouro_stream_close(first[1]), 0);
        EQ(ouro_stream_close(second[1]), 0);
        return 0;
}

IN_LOOP(relay, a_stream_that_is_closed_meanwhile_ends_it)
{
        struct between between;
        ouro_stream *streams[2];

        for (int i = 0; i < 2; i++) {
                ouro_task relay;

                open_between(&between, unix_pair);
                for (int j = 0; j < 2; j++)
                        EQ(ouro_stream_open(between.inner[j], NULL, &streams[j]), 0);
                relay = waits_in(relay_streams, streams);
                EQ(ouro_sleep(OURO_MS(1)), 0);
                EQ(ouro_stream_close(streams[i]), 0);
                EQ(ouro_await(relay), -EBADF);
                EQ(ouro_stream_close(streams[1 - i]), 0);
                close_both(between.outer);
        }
        return 0;
}

IN_LOOP(relay, misuse_is_told_at_once)
{
        struct ouro_relay_options negative = OURO_RELAY_OPTIONS_INIT;
        struct ouro_relayed unsized = {0};
        ouro_stream *pair[2];
        ouro_task relay;
        char byte;

        negative.idle_ns = -1;
        EQ(ouro_stream_pair(0, NULL, pair), 0);
        EQ(ouro_relay(NULL, pair[0], NULL, NULL), -EINVAL);
        EQ(ouro_relay(pair[0], pair[0], NULL, NULL), -EINVAL);
        EQ(ouro_relay(pair[0], pair[1], &negative, NULL), -EINVAL);
        EQ(ouro_relay(pair[0], pair[1], NULL, &unsized), -EINVAL);
        EQ(ouro_relay_fds(-1, 0, NULL, NULL), -EBADF);
        EQ(ouro_relay_fds(0, -1, NULL, NULL), -EBADF);
        relay = waits_in(relay_streams, pair);
        EQ(ouro_stream_read(pair[0], &byte, 1), -EBUSY);
        EQ(ouro_stream_write(pair[0], "x", 1), -EBUSY);
        EQ(ouro_relay(pair[0], pair[1], NULL, NULL), -EBUSY);
        EQ(ouro_cancel(relay), 0);
        EQ(ouro_await(relay), -ECANCELED);
        EQ(ouro_stream_close(pair[0]), 0);
        EQ(ouro_stream_close(pair[1]), 0);
        return 0;
}

Test(relay, outside_a_loop_it_does_not_work)
{
        EQ(ouro_relay(NULL, NULL, NULL, NULL), -EPERM);
        EQ(ouro_relay_fds(0, 1, NULL, NULL), -EPERM);
}
