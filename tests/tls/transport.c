/* transport.c - bytes over TLS: both ways at once, cut short and taken up again, ended in every way. */
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "ends.h"
#include "gate.h"
#include "tls/tls.h"

TestSuite(tls_transport, .init = ends_begin, .fini = ends_end);

enum { LONG = 6 << 20, CHUNK = 100000 };

struct flow {
        ouro_stream *stream;
        size_t len;
        size_t done;
        bool update_keys;
};

static intptr_t send_flow(void *arg)
{
        struct flow *flow = arg;
        char *buf = malloc(CHUNK);
        size_t turn = 0;

        while (flow->done < flow->len) {
                size_t n = 1 + flow->done * 7919 % CHUNK;

                if (n > flow->len - flow->done)
                        n = flow->len - flow->done;
                fill(buf, n, flow->done);
                if (flow->update_keys && turn++ % 8 == 0)
                        EQ(ouro_tls_update_keys(flow->stream, turn % 16 == 1), 0);
                EQ(ouro_stream_write(flow->stream, buf, n), 0);
                flow->done += n;
        }
        free(buf);
        return ouro_stream_shutdown(flow->stream);
}

static intptr_t take_flow(void *arg)
{
        struct flow *flow = arg;
        char *buf = malloc(CHUNK);
        ssize_t n;

        while ((n = ouro_stream_read(flow->stream, buf, 1 + flow->done * 104729 % CHUNK)) > 0) {
                cr_assert(filled(buf, (size_t)n, flow->done), "at %zu", flow->done);
                flow->done += (size_t)n;
        }
        free(buf);
        return n < 0 ? n : (intptr_t)flow->done;
}

static void both_ways(struct ends *ends, size_t len, bool update_keys)
{
        struct flow flows[4] = {{ends->client.stream, len, 0, update_keys},
                                {ends->server.stream, len + 1, 0, update_keys},
                                {ends->client.stream, 0, 0, false},
                                {ends->server.stream, 0, 0, false}};
        int error = -1;

        OURO_GROUP(group, &error) {
                ouro_create_task_in(group, send_flow, &flows[0]);
                ouro_create_task_in(group, send_flow, &flows[1]);
                ouro_create_task_in(group, take_flow, &flows[2]);
                ouro_create_task_in(group, take_flow, &flows[3]);
        }
        EQ(error, 0);
        EQ(flows[2].done, len + 1);
        EQ(flows[3].done, len);
}

IN_LOOP(tls_transport, both_ways_at_once)
{
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        ends_made(&ends);
        both_ways(&ends, LONG, false);
        ends_close(&ends);
        ends_open_tcp(&ends, NULL, NULL);
        ends_made(&ends);
        both_ways(&ends, LONG, false);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_transport, both_ways_while_keys_change)
{
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        ends_made(&ends);
        both_ways(&ends, LONG, true);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_transport, both_ways_in_tls_1_2)
{
        struct ouro_tls_context_options options = server_options();
        struct ends ends;

        options.most = OURO_TLS_1_2;
        ends_open(&ends, NULL, context_of(&options));
        ends_made(&ends);
        both_ways(&ends, LONG, false);
        ends_close(&ends);
        return 0;
}

/* Everything waits at every byte that may go. */
IN_LOOP(tls_transport, both_ways_through_needle_eyes)
{
        struct gate gates[2] = {{.at_a_time = 1}, {.at_a_time = 3}};
        ouro_stream *pair[2];
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        ouro_stream_close(ends.client.below);
        ouro_stream_close(ends.server.below);
        EQ(ouro_stream_pair(4096, NULL, pair), 0); /* a server's tickets fit: a client may never read them */
        ends.client.below = pair[0];
        ends.server.below = pair[1];
        gate_put_on(&gates[0], &ends.client.below);
        gate_put_on(&gates[1], &ends.server.below);
        ends_made(&ends);
        both_ways(&ends, 50000, true);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_transport, many_small_pieces_come_as_few_records)
{
        enum { PIECES = 1000 };
        struct iovec iov[PIECES];
        struct ends ends;
        struct gate gate = {0};
        static char bytes[PIECES * 3], got[PIECES * 3];

        fill(bytes, sizeof bytes, 0);
        for (size_t i = 0; i < PIECES; i++)
                iov[i] = (struct iovec){bytes + 3 * i, i % 2 ? 6 : 0};
        ends_open(&ends, NULL, NULL);
        gate_put_on(&gate, &ends.client.below);
        ends.client.options.stream =
                &(struct ouro_stream_options){.size = sizeof(struct ouro_stream_options), .write_bytes = 16};
        ends_made(&ends);
        gate.was_written = 0;
        for (size_t i = 0; i < PIECES; i++)
                iov[i] = (struct iovec){bytes + 3 * i, 3};
        EQ(ouro_stream_writev(ends.client.stream, iov, PIECES), 0);
        EQ(ouro_stream_flush(ends.client.stream), 0);
        EQ(ouro_stream_read_exactly(ends.server.stream, got, sizeof got, NULL), 0);
        EQ(memcmp(got, bytes, sizeof got), 0);
        cr_assert(gate.was_written < sizeof bytes + 100 * 22, "%zu",
                  gate.was_written); /* 16 pieces a record */
        ends_close(&ends);
        return 0;
}

/* ---- ends ---- */

IN_LOOP(tls_transport, one_side_ends_and_the_other_goes_on)
{
        char buf[8];
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        ends_made(&ends);
        EQ(ouro_stream_write(ends.client.stream, "last", 4), 0);
        EQ(ouro_stream_shutdown(ends.client.stream), 0);
        EQ(ouro_stream_shutdown(ends.client.stream), 0);
        EQ(ouro_stream_write(ends.client.stream, "more", 4), -EPIPE);
        EQ(ouro_stream_read_exactly(ends.server.stream, buf, 4, NULL), 0);
        EQ(ouro_stream_read(ends.server.stream, buf, 4), 0);
        EQ(ouro_stream_read(ends.server.stream, buf, 4), 0);
        EQ(ouro_stream_write(ends.server.stream, "answer", 6), 0);
        EQ(ouro_stream_flush(ends.server.stream), 0);
        EQ(ouro_stream_read_exactly(ends.client.stream, buf, 6, NULL), 0);
        EQ(ouro_stream_close(ends.server.stream), 0);
        ends.server.stream = NULL;
        EQ(ouro_stream_read(ends.client.stream, buf, 4), 0);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_transport, closing_sends_what_was_kept_back)
{
        char buf[16];
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        ends_made(&ends);
        EQ(ouro_stream_write(ends.client.stream, "kept back", 9), 0);
        EQ(ouro_stream_close(ends.client.stream), 0);
        ends.client.stream = NULL;
        EQ(ouro_stream_read_exactly(ends.server.stream, buf, 9, NULL), 0);
        EQ(ouro_stream_read(ends.server.stream, buf, 1), 0);
        ends_close(&ends);
        return 0;
}

/* However the connection ends without close_notify. */
static void check_cut_off(struct ends *ends)
{
        struct ouro_tls_failure_info failure;
        char buf[16];

        EQ(ouro_stream_read_exactly(ends->server.stream, buf, 4, NULL), 0);
        EQ(ouro_stream_read(ends->server.stream, buf, 1), -ECONNRESET);
        EQ(ouro_stream_read(ends->server.stream, buf, 1), -ECONNRESET);
        EQ(ouro_tls_failure_info(ends->server.stream, &failure), 0);
        EQ(failure.error, -ECONNRESET);
        cr_assert(failure.reason[0]);
        ends_close(ends);
}

static void begin_to_send(struct ends *ends)
{
        ends_open(ends, NULL, NULL);
        ends_made(ends);
        EQ(ouro_stream_write(ends->client.stream, "part", 4), 0);
        EQ(ouro_stream_flush(ends->client.stream), 0);
}

IN_LOOP(tls_transport, end_that_nobody_declared_is_no_end)
{
        struct ends ends;

        begin_to_send(&ends);
        shutdown(ouro_stream_fd(ends.client.stream), SHUT_WR);
        check_cut_off(&ends);
        begin_to_send(&ends);
        EQ(ouro_stream_write(ends.client.stream, "lost", 4), 0);
        EQ(ouro_stream_abort(ends.client.stream, false), 0);
        ends.client.stream = NULL;
        check_cut_off(&ends);
        return 0;
}

IN_LOOP(tls_transport, broken_records_are_told_to_both_ends)
{
        struct ends ends;
        char byte;

        ends_open(&ends, NULL, NULL);
        ends_made(&ends);
        EQ(write(ouro_stream_fd(ends.client.stream), "\x17\x03\x03\x00\x20nonsense nonsense nonsense nonse",
                 37),
           37);
        EQ(ouro_stream_read(ends.server.stream, &byte, 1), -EPROTO);
        EQ(ouro_stream_write(ends.server.stream, "x", 1), 0); /* kept back */
        EQ(ouro_stream_flush(ends.server.stream), -EPROTO);
        EQ(ouro_stream_read(ends.client.stream, &byte, 1), -EPROTO); /* by an alert */
        ends_close(&ends);
        return 0;
}

/* ---- closing beside others ---- */

static intptr_t read_byte(void *arg)
{
        char byte;

        return ouro_stream_read(arg, &byte, 1);
}

static intptr_t write_much(void *arg)
{
        struct flow flow = {arg, LONG, 0, false};
        char *buf = calloc(1, LONG);
        int error = ouro_stream_write(flow.stream, buf, LONG);

        free(buf);
        return error;
}

static void let_run(void)
{
        for (int i = 0; i < 20; i++)
                ouro_sleep(OURO_US(200));
}

IN_LOOP(tls_transport, closing_ends_who_reads_and_who_writes)
{
        ouro_task reader, writer;
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        ends_made(&ends);
        reader = ouro_create_task(read_byte, ends.client.stream);
        writer = ouro_create_task(write_much, ends.client.stream);
        let_run();
        EQ(ouro_task_state(reader), OURO_STATE_WAITING);
        EQ(ouro_task_state(writer), OURO_STATE_WAITING);
        ouro_stream_close(ends.client.stream);
        ends.client.stream = NULL;
        EQ(ouro_await(reader), -EBADF);
        EQ(ouro_await(writer), -EBADF);
        ends_close(&ends);
        return 0;
}

/* The peer takes nothing any more: it is not waited for, beyond the linger that was set. */
IN_LOOP(tls_transport, closing_does_not_wait_for_a_peer_that_does_not_read)
{
        const struct ouro_stream_options not_at_all = {.size = sizeof not_at_all, .linger_ns = -1};
        struct ends ends;
        char *buf = calloc(1, LONG);

        ends_open(&ends, NULL, NULL);
        ends.client.options.stream = &not_at_all;
        ends_made(&ends);
        OURO_TIMEOUT(OURO_MS(20)) {
                EQ(ouro_stream_write(ends.client.stream, buf, LONG), -ETIME);
        }
        cr_assert(ouro_stream_close(ends.client.stream) < 0); /* some is lost, and that is told */
        ends.client.stream = NULL;
        ssize_t n;

        while ((n = ouro_stream_read(ends.server.stream, buf, LONG)) > 0)
                ;
        EQ(n, -ECONNRESET);
        free(buf);
        ends_close(&ends);
        return 0;
}

/* ---- cut short, and taken up again ---- */

/* Cut short again and again: what was taken over comes once, and nothing else. */
static intptr_t send_in_bits(void *arg)
{
        struct flow *flow = arg;
        struct ouro_stream_counts counts = OURO_STREAM_COUNTS_INIT;
        char *buf = malloc(flow->len);
        size_t begun, cuts = 0;
        int error = -ETIME;

        EQ(ouro_stream_info(flow->stream, &counts), 0);
        begun = counts.written_bytes;
        fill(buf, flow->len, 0);
        while (flow->done < flow->len || error != 0) {
                OURO_TIMEOUT(OURO_US(300)) {
                        error = ouro_stream_write(flow->stream, buf + flow->done, flow->len - flow->done);
                        if (error == 0)
                                error = ouro_stream_flush(flow->stream);
                }
                EQ(ouro_stream_info(flow->stream, &counts), 0);
                flow->done = (size_t)counts.written_bytes - begun;
                cuts += error == -ETIME;
                cr_assert(error == 0 || error == -ETIME, "%d", error);
        }
        free(buf);
        cr_assert(cuts > 0);
        return ouro_stream_shutdown(flow->stream);
}

IN_LOOP(tls_transport, writes_that_are_cut_short_lose_and_double_nothing)
{
        struct flow out = {.len = 2 << 20}, in = {0};
        struct gate gate = {0};
        int error = -1;
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        gate_put_on(&gate, &ends.client.below);
        ends_made(&ends);
        out.stream = ends.client.stream;
        in.stream = ends.server.stream;
        gate_open(&gate, SIZE_MAX, 0);
        OURO_GROUP(group, &error) {
                ouro_create_task_in(group, send_in_bits, &out);
                ouro_create_task_in(group, take_flow, &in);
                for (int i = 0; i < 200; i++) {
                        ouro_sleep(OURO_US(200));
                        gate_open(&gate, SIZE_MAX, 9973);
                }
                gate_open(&gate, SIZE_MAX, SIZE_MAX);
        }
        EQ(error, 0);
        EQ(in.done, out.len);
        ends_close(&ends);
        return 0;
}

/* What has been encrypted when the write was cut goes out with the flush, though the stream keeps nothing. */
IN_LOOP(tls_transport, flush_sends_what_a_cut_write_has_left)
{
        struct gate gate = {0};
        static char buf[60000], got[60000];
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        gate_put_on(&gate, &ends.client.below);
        ends_made(&ends);
        fill(buf, sizeof buf, 0);
        gate_open(&gate, SIZE_MAX, 0);
        OURO_TIMEOUT(OURO_MS(5)) {
                EQ(ouro_stream_write(ends.client.stream, buf, sizeof buf), 0); /* encrypted: taken over */
        }
        OURO_TIMEOUT(OURO_MS(5)) {
                EQ(ouro_stream_flush(ends.client.stream), -ETIME);
        }
        gate_open(&gate, SIZE_MAX, SIZE_MAX);
        EQ(ouro_stream_flush(ends.client.stream), 0);
        EQ(ouro_stream_read_exactly(ends.server.stream, got, sizeof got, NULL), 0);
        EQ(memcmp(buf, got, sizeof got), 0);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_transport, reads_that_are_cut_short_lose_nothing)
{
        struct gate gate = {0};
        char buf[16];
        size_t done = 0, cuts = 0;
        struct ends ends;
        int error = -1;

        ends_open(&ends, NULL, NULL);
        gate_put_on(&gate, &ends.server.below);
        ends_made(&ends);
        EQ(ouro_stream_write(ends.client.stream, "0123456789abcdef", 16), 0);
        EQ(ouro_stream_flush(ends.client.stream), 0);
        gate_open(&gate, 0, SIZE_MAX);
        for (int i = 0; error != 0; i++) {
                OURO_TIMEOUT(OURO_US(300)) {
                        error = ouro_stream_read_exactly(ends.server.stream, buf, 16, &done);
                }
                cuts += error == -ETIME;
                gate_open(&gate, 5, SIZE_MAX);
        }
        EQ(memcmp(buf, "0123456789abcdef", 16), 0);
        cr_assert(cuts > 1);
        ends_close(&ends);
        return 0;
}

/* ---- a message of the handshake that comes in part ---- */

static void send_in_small_records(ouro_tls_context *context)
{
        SSL_CTX_set_max_send_fragment(context->settings->ssl_ctx, 512);
}

/* The server's tickets hold the client's certificate: more than a record. The client has read all but the
 * last bytes of them, and then it writes. */
static void begin_with_half_a_ticket(struct ends *ends, struct gate *gate)
{
        struct ouro_tls_context_options trust = client_options(), options = server_options();
        struct ouro_tls_identity identity = identity_of(&client_certificate);
        int waiting = 0;

        trust.identities = &identity;
        trust.identity_count = 1;
        options.clients = OURO_TLS_REQUIRE;
        options.ca = authority.pem;
        options.ca_bytes = strlen(authority.pem);
        ends_open(ends, context_of(&trust), context_of(&options));
        send_in_small_records(ends->server.context);
        gate_put_on(gate, &ends->client.below);
        ends_made(ends);
        EQ(ioctl(ouro_stream_fd(gate->inner), FIONREAD, &waiting), 0);
        cr_assert(waiting > 1100, "%d", waiting);
        gate_open(gate, (size_t)waiting - 100, SIZE_MAX);
}

static intptr_t write_word(void *arg)
{
        int error = ouro_stream_write(arg, "word", 4);

        return error < 0 ? error : ouro_stream_flush(arg);
}

static void check_word(struct ends *ends)
{
        char buf[4];

        EQ(ouro_stream_read_exactly(ends->server.stream, buf, 4, NULL), 0);
        EQ(memcmp(buf, "word", 4), 0);
}

IN_LOOP(tls_transport, writer_waits_for_what_a_reader_must_read)
{
        ouro_task reader, writer;
        struct gate gate = {0};
        struct ends ends;

        begin_with_half_a_ticket(&ends, &gate);
        reader = ouro_create_task(read_byte, ends.client.stream);
        let_run();
        writer = ouro_create_task(write_word, ends.client.stream);
        let_run();
        EQ(ouro_task_state(writer), OURO_STATE_WAITING);
        gate_open(&gate, SIZE_MAX, SIZE_MAX);
        EQ(ouro_await(writer), 0);
        check_word(&ends);
        EQ(ouro_stream_write(ends.server.stream, "x", 1), 0);
        EQ(ouro_stream_flush(ends.server.stream), 0);
        EQ(ouro_await(reader), 1);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_transport, writer_reads_by_itself_where_nobody_does)
{
        ouro_task reader, writer;
        struct gate gate = {0};
        struct ends ends;

        begin_with_half_a_ticket(&ends, &gate);
        reader = ouro_create_task(read_byte, ends.client.stream);
        let_run();
        writer = ouro_create_task(write_word, ends.client.stream);
        let_run();
        ouro_cancel(reader);
        EQ(ouro_await(reader), -ECANCELED);
        let_run();
        EQ(ouro_task_state(writer), OURO_STATE_WAITING);
        gate_open(&gate, SIZE_MAX, SIZE_MAX);
        EQ(ouro_await(writer), 0);
        check_word(&ends);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_transport, closing_ends_a_writer_that_waits_for_reading)
{
        ouro_task reader, writer;
        struct gate gate = {0};
        struct ends ends;

        begin_with_half_a_ticket(&ends, &gate);
        reader = ouro_create_task(read_byte, ends.client.stream);
        let_run();
        writer = ouro_create_task(write_word, ends.client.stream);
        let_run();
        ouro_stream_close(ends.client.stream);
        ends.client.stream = NULL;
        EQ(ouro_await(reader), -EBADF);
        EQ(ouro_await(writer), -EBADF);
        ends_close(&ends);
        return 0;
}
