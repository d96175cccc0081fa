/* trouble.c - peers that do not answer, send nonsense, send a byte at a time or vanish; many at once; what a
 * handshake takes of a stack. */
#include <malloc.h>

#include "ends.h"
#include "gate.h"

TestSuite(tls_trouble, .init = ends_begin, .fini = ends_end);

/* Past the stream's buffer. */
static intptr_t read_block(void *arg)
{
        static char block[8192];

        return ouro_stream_read(arg, block, sizeof block);
}

static intptr_t read_byte(void *arg)
{
        char byte;

        return ouro_stream_read(arg, &byte, 1);
}

static uint64_t written(const ouro_stream *stream)
{
        struct ouro_stream_counts counts = OURO_STREAM_COUNTS_INIT;

        EQ(ouro_stream_info(stream, &counts), 0);
        return counts.written_bytes;
}

/* ---- peers that do not answer ---- */

IN_LOOP(tls_trouble, silent_peer_is_waited_for_as_long_as_the_scope_says)
{
        ouro_stream *stream = NULL;
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        OURO_TIMEOUT(OURO_MS(5)) {
                EQ(ouro_tls_accept(ends.server.context, ends.server.below, NULL, &stream), -ETIME);
        }
        OURO_TIMEOUT(OURO_MS(5)) {
                EQ(ouro_tls_connect(ends.client.context, ends.client.below, &ends.client.options, &stream),
                   -ETIME);
        }
        cr_assert_null(stream);
        ends_close(&ends);
        return 0;
}

static intptr_t shake_task(void *arg)
{
        struct end *end = arg;
        bool server = !end->options.host;

        end->options.failure = &end->failure;
        end->error = server ? ouro_tls_accept(end->context, end->below, &end->options, &end->stream)
                            : ouro_tls_connect(end->context, end->below, &end->options, &end->stream);
        return end->error;
}

/* One end may read and write so many bytes, and no more comes or goes. How it ends when it is cancelled
 * there; the other end loses its peer then. */
static int cancelled_after(size_t bytes, bool server)
{
        struct gate gate = {.may_read = bytes, .may_write = bytes};
        ouro_task held, other;
        struct ends ends;
        struct end *end;

        ends_open(&ends, NULL, NULL);
        end = server ? &ends.server : &ends.client;
        gate_put_on(&gate, &end->below);
        if (bytes == 0)
                gate_open(&gate, 0, 0);
        other = ouro_create_task(shake_task, server ? &ends.client : &ends.server);
        held = ouro_create_task(shake_task, end);
        for (int i = 0; i < 30; i++)
                ouro_sleep(OURO_US(100));
        ouro_cancel(held);
        ouro_await(held);
        if (end->error == 0)
                end->below = NULL;
        else
                cr_assert_null(end->stream);
        gate.then = 1;
        gate_open(&gate, 0, 0);
        ouro_stream_close(end->stream);
        ouro_stream_close(end->below);
        end->stream = end->below = NULL;
        ouro_await(other);
        if (server ? ends.client.error == 0 : ends.server.error == 0)
                *(server ? &ends.client.below : &ends.server.below) = NULL;
        int error = end->error;

        ends_close(&ends);
        return error;
}

IN_LOOP(tls_trouble, cancelled_wherever_it_waits)
{
        int cut = 0, made = 0;

        for (size_t bytes = 0; bytes < 2000; bytes += 61) {
                for (int server = 0; server < 2; server++) {
                        int error = cancelled_after(bytes, server);

                        cr_assert(error == -ECANCELED || error == 0, "%zu %d: %d", bytes, server, error);
                        cut += error != 0;
                        made += error == 0;
                }
        }
        cr_assert(cut > 20 && made > 0, "%d %d", cut, made);
        return 0;
}

/* ---- peers that vanish ---- */

/* The connection is cut after so many bytes of what the server sends, or of what it gets. */
static void check_cut(size_t bytes, int how, bool of_reading)
{
        struct gate gate = {.may_read = of_reading ? bytes : SIZE_MAX,
                            .may_write = of_reading ? SIZE_MAX : bytes,
                            .then = how};
        struct ends ends;
        int error;

        ends_open(&ends, NULL, NULL);
        gate_put_on(&gate, &ends.server.below);
        ends_shake(&ends);
        error = ends.server.error;
        if (of_reading)
                cr_assert(error == 0 || error == (how < 0 ? how : -ECONNRESET), "%zu: %d", bytes, error);
        else
                cr_assert(error == 0 || error == (how < 0 ? how : -EPIPE), "%zu: %d", bytes, error);
        if (error < 0)
                EQ(ends.server.failure.error, error);
        error = ends.client.error; /* it may have been done already, or be told by an alert */
        cr_assert(error == 0 || error == -ECONNRESET || error == -EPIPE || error == -EPROTO, "%zu: %d", bytes,
                  error);
        if (error < 0)
                cr_assert(ends.client.failure.reason[0]);
        ends_close(&ends);
}

IN_LOOP(tls_trouble, cut_off_anywhere)
{
        for (size_t bytes = 1; bytes < 1500; bytes += 53) {
                check_cut(bytes, 1, true);
                check_cut(bytes, -ECONNRESET, true);
                check_cut(bytes, -ECONNRESET, false);
        }
        return 0;
}

IN_LOOP(tls_trouble, a_byte_at_a_time)
{
        struct gate gates[2] = {{.at_a_time = 1}, {.at_a_time = 1}};
        struct ends ends;

        ends_open_tcp(&ends, NULL, NULL); /* a Unix socket holds few packets, however small */
        gate_put_on(&gates[0], &ends.client.below);
        gate_put_on(&gates[1], &ends.server.below);
        ends_made(&ends);
        ends_close(&ends);
        return 0;
}

IN_LOOP(tls_trouble, f25_writing_to_a_peer_that_is_gone_is_told_without_a_signal)
{
        struct ends ends;
        int error = 0;

        ends_open(&ends, NULL, NULL);
        ends_made(&ends);
        EQ(ouro_stream_close(ends.server.stream), 0);
        ends.server.stream = NULL;
        for (int i = 0; i < 10 && error == 0; i++) {
                error = ouro_stream_write(ends.client.stream, "to nobody", 9);
                if (error == 0)
                        error = ouro_stream_flush(ends.client.stream);
        }
        EQ(error, -EPIPE);
        EQ(ouro_stream_flush(ends.client.stream), -EPIPE);
        ends_close(&ends);
        return 0;
}

/* ---- closed by another task ---- */

static void let_run(void)
{
        for (int i = 0; i < 20; i++)
                ouro_sleep(OURO_US(200));
}

/* The reader sends first what a write that was cut short has left; there it waits when all is closed. */
IN_LOOP(tls_trouble, closing_ends_a_reader_that_sends_what_was_left)
{
        static char buf[60000];
        struct gate gate = {0};
        struct ends ends;

        for (int i = 0; i < 2; i++) {
                ouro_task reader;

                gate = (struct gate){0};
                ends_open(&ends, NULL, NULL);
                gate_put_on(&gate, &ends.client.below);
                ends_made(&ends);
                gate_open(&gate, SIZE_MAX, 0);
                OURO_TIMEOUT(OURO_MS(5)) {
                        EQ(ouro_stream_write(ends.client.stream, buf, sizeof buf), 0); /* encrypted */
                }
                reader = ouro_create_task(i ? read_block : read_byte, ends.client.stream);
                let_run();
                EQ(ouro_task_state(reader), OURO_STATE_WAITING);
                EQ(ouro_stream_abort(ends.client.stream, false), 0);
                ends.client.stream = NULL;
                EQ(ouro_await(reader), -EBADF);
                ends_close(&ends);
        }
        return 0;
}

/* What asks for an answer has been sent when a read waits: also what a write that was cut short has left. */
IN_LOOP(tls_trouble, a_read_that_waits_sends_what_was_left)
{
        static char buf[60000], got[60000];

        for (int i = 0; i < 2; i++) {
                struct gate gate = {0};
                struct ends ends;
                ouro_task reader;

                ends_open(&ends, NULL, NULL);
                gate_put_on(&gate, &ends.client.below);
                ends_made(&ends);
                EQ(ouro_stream_write(ends.server.stream, "t", 1),
                   0); /* and behind the tickets nothing waits */
                EQ(ouro_stream_flush(ends.server.stream), 0);
                EQ(ouro_stream_read(ends.client.stream, got, 1), 1);
                gate_open(&gate, SIZE_MAX, 0);
                OURO_TIMEOUT(OURO_MS(5)) {
                        EQ(ouro_stream_write(ends.client.stream, buf, sizeof buf), 0); /* encrypted */
                }
                gate_open(&gate, SIZE_MAX, SIZE_MAX);
                reader = ouro_create_task(i ? read_block : read_byte, ends.client.stream);
                OURO_TIMEOUT(OURO_SEC(20)) {
                        EQ(ouro_stream_read_exactly(ends.server.stream, got, sizeof got, NULL), 0);
                }
                EQ(ouro_stream_write(ends.server.stream, "x", 1), 0);
                EQ(ouro_stream_flush(ends.server.stream), 0);
                EQ(ouro_await(reader), 1);
                ends_close(&ends);
        }
        return 0;
}

/* Below is still its owner's, who may close it: whoever shakes hands on it is told. */
IN_LOOP(tls_trouble, closing_what_is_below_ends_a_handshake)
{
        const struct ouro_stream_options small = {.size = sizeof small, .write_bytes = 16};

        for (int server = 0; server < 2; server++) {
                struct ends ends;
                struct end *end;
                ouro_stream *pair[2];
                ouro_task task;

                ends_open(&ends, NULL, NULL);
                end = server ? &ends.server : &ends.client;
                EQ(ouro_stream_close(end->below), 0);
                EQ(ouro_stream_pair(16, &small, pair), 0); /* a client waits to write, a server to read */
                end->below = pair[0];
                task = ouro_create_task(shake_task, end);
                let_run();
                EQ(ouro_task_state(task), OURO_STATE_WAITING);
                ouro_stream_close(end->below);
                end->below = NULL;
                EQ(ouro_await(task), -EBADF);
                EQ(ouro_stream_close(pair[1]), 0);
                ends_close(&ends);
        }
        return 0;
}

/* Where nothing is left to be sent, closing without lingering is an end as any other. */
IN_LOOP(tls_trouble, closing_at_once_is_a_declared_end)
{
        const struct ouro_stream_options at_once = {.size = sizeof at_once, .linger_ns = -1};
        struct ends ends;
        char byte;

        ends_open(&ends, NULL, NULL);
        ends.client.options.stream = &at_once;
        ends_made(&ends);
        EQ(ouro_stream_write(ends.client.stream, "x", 1), 0);
        EQ(ouro_stream_flush(ends.client.stream), 0);
        EQ(ouro_stream_close(ends.client.stream), 0);
        ends.client.stream = NULL;
        EQ(ouro_stream_read(ends.server.stream, &byte, 1), 1);
        EQ(ouro_stream_read(ends.server.stream, &byte, 1), 0);
        ends_close(&ends);
        return 0;
}

/* ---- no memory below ---- */

/* What was encrypted when the stream below had no memory counts as written: it is not written again. */
IN_LOOP(tls_trouble, want_of_memory_below_doubles_nothing)
{
        static char buf[60000], got[60000];
        struct gate gate = {0};
        struct ends ends;
        uint64_t begun, taken;
        char byte;

        ends_open(&ends, NULL, NULL);
        gate_put_on(&gate, &ends.client.below);
        ends_made(&ends);
        fill(buf, sizeof buf, 0);
        begun = written(ends.client.stream);
        gate_open(&gate, SIZE_MAX, 0);
        gate.then = -ENOMEM;
        (void)ouro_stream_write(ends.client.stream, buf, sizeof buf);
        taken = written(ends.client.stream) - begun;
        gate.then = 0;
        gate_open(&gate, SIZE_MAX, SIZE_MAX);
        EQ(ouro_stream_write(ends.client.stream, buf + taken, sizeof buf - taken), 0);
        EQ(ouro_stream_shutdown(ends.client.stream), 0);
        EQ(ouro_stream_read_exactly(ends.server.stream, got, sizeof got, NULL), 0);
        EQ(memcmp(got, buf, sizeof got), 0);
        EQ(ouro_stream_read(ends.server.stream, &byte, 1), 0);
        ends_close(&ends);
        return 0;
}

/* ---- nonsense ---- */

static int says(bool to_server, const void *bytes, size_t len)
{
        struct ends ends;
        struct end *end;
        int error, fd;

        ends_open(&ends, NULL, NULL);
        end = to_server ? &ends.server : &ends.client;
        fd = ouro_stream_fd(to_server ? ends.client.below : ends.server.below);
        EQ(write(fd, bytes, len), len);
        shutdown(fd, SHUT_WR);
        ouro_await(ouro_create_task(shake_task, end));
        error = end->error;
        cr_assert(error < 0 && end->failure.error == error && end->failure.reason[0]);
        ends_close(&ends);
        return error;
}

IN_LOOP(tls_trouble, what_is_not_tls)
{
        static const char request[] = "GET / HTTP/1.0\r\n\r\n",
                          response[] = "HTTP/1.0 400 Bad Request\r\n\r\n",
                          ssh[] = "SSH-2.0-OpenSSH_9.2p1\r\n", zeros[100];

        EQ(says(true, request, sizeof request - 1), -EPROTO);
        EQ(says(true, ssh, sizeof ssh - 1), -EPROTO);
        EQ(says(true, zeros, sizeof zeros), -EPROTO);
        EQ(says(true, request, 3), -ECONNRESET); /* nobody can tell */
        EQ(says(false, response, sizeof response - 1), -EPROTO);
        EQ(says(false, zeros, sizeof zeros), -EPROTO);
        return 0;
}

/* Random bytes, some within a record of the handshake: refused or cut off, and nothing worse. */
IN_LOOP(tls_trouble, random_bytes_do_no_harm)
{
        unsigned char bytes[600];
        unsigned seed = 12345;

        for (int i = 0; i < 400; i++) {
                for (size_t j = 0; j < sizeof bytes; j++)
                        bytes[j] = (unsigned char)((seed = seed * 1103515245 + 12345) >> 16);
                if (i % 2)
                        memcpy(bytes,
                               i % 4 == 1 ? "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
                                          : "\x16\x03\x03\x02\x00\x02\x00\x01\xfc\x03\x03",
                               11);

                int error = says(i % 4 != 3, bytes, sizeof bytes);

                cr_assert(error == -EPROTO || error == -ECONNRESET || error == -EPROTONOSUPPORT, "%d: %d", i,
                          error);
        }
        return 0;
}

/* ---- many at once ---- */

enum { MANY = 60, MANY_BYTES = 40000 };

static intptr_t client_of_many(void *arg)
{
        struct end *end = arg;
        static char bytes[MANY_BYTES];
        char got[1000];
        size_t total = 0;
        ssize_t n;

        EQ(shake_task(end), 0);
        EQ(ouro_stream_write(end->stream, bytes, sizeof bytes), 0);
        EQ(ouro_stream_shutdown(end->stream), 0);
        while ((n = ouro_stream_read(end->stream, got, sizeof got)) > 0)
                total += (size_t)n;
        EQ(n, 0);
        EQ(total, MANY_BYTES);
        return ouro_stream_close(end->stream);
}

static intptr_t server_of_many(void *arg)
{
        struct end *end = arg;
        char buf[700];
        ssize_t n;

        EQ(shake_task(end), 0);
        while ((n = ouro_stream_read(end->stream, buf, sizeof buf)) > 0)
                EQ(ouro_stream_write(end->stream, buf, (size_t)n), 0);
        EQ(n, 0);
        return ouro_stream_close(end->stream);
}

IN_LOOP(tls_trouble, many_at_once_on_two_contexts)
{
        ouro_tls_context *client = client_context(), *server = server_context();
        static struct ends ends[MANY];
        int error = -1;

        OURO_GROUP(group, &error) {
                for (int i = 0; i < MANY; i++) {
                        ends_open_tcp(&ends[i], client, server);
                        ouro_create_task_in(group, server_of_many, &ends[i].server);
                        ouro_create_task_in(group, client_of_many, &ends[i].client);
                }
        }
        EQ(error, 0);
        EQ(ouro_tls_context_close(client), 0);
        EQ(ouro_tls_context_close(server), 0);
        return 0;
}

/* ---- what it takes ---- */

enum { PAINTED = 52 << 10, PAINT = 0x5a };

/* Below the caller's frame. Not under a sanitizer, which has frames of its own. */
__attribute__((noinline, no_sanitize("address", "undefined"))) static size_t paint_or_look(bool look)
{
        volatile unsigned char *bottom = __builtin_alloca(PAINTED);
        size_t clean = 0;

        for (size_t i = 0; !look && i < PAINTED; i++)
                bottom[i] = PAINT;
        while (look && clean < PAINTED && bottom[clean] == PAINT)
                clean++;
        return PAINTED - clean;
}

static intptr_t shake_painted(void *arg)
{
        struct end *end = arg;
        size_t used;

        paint_or_look(false);
        EQ(shake_task(end), 0);
        used = paint_or_look(true);
        fprintf(stderr, "a %s's handshake took %zu bytes of stack\n", end->options.host ? "client" : "server",
                used);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cr_assert(used > 1000 && used < 40 << 10, "%zu", used); /* of the 60 KiB that a task has by default */
#endif
        return 0;
}

static void shake_all(const struct ouro_tls_context_options *options)
{
        int error = -1;
        struct ends ends;

        ends_open(&ends, NULL, context_of(options));
        OURO_GROUP(group, &error) {
                ouro_create_task_in(group, shake_painted, &ends.client);
                ouro_create_task_in(group, shake_painted, &ends.server);
        }
        EQ(error, 0);
        ends.client.below = ends.server.below = NULL;
        ends_close(&ends);
}

IN_LOOP(tls_trouble, f58_handshake_fits_on_a_default_stack)
{
        struct certificate by_rsa =
                certificate_make(&(struct wanted){.names = "DNS:server.test", .rsa = true}, &authority);
        struct ouro_tls_context_options options = server_options();
        struct ouro_tls_identity identity = identity_of(&by_rsa);

        shake_all(&options);
        options.most = OURO_TLS_1_2;
        shake_all(&options);
        options.identities = &identity;
        shake_all(&options);
        certificate_free(&by_rsa);
        return 0;
}

/* Both ends of it, and all that they stand on. */
IN_LOOP(tls_trouble, idle_connection_holds_no_buffers)
{
        ouro_tls_context *client = client_context(), *server = server_context();
        enum { COUNT = 50 };
        static struct ends ends[COUNT];
        size_t before, each;
        char byte;

        before = mallinfo2().uordblks;
        for (int i = 0; i < COUNT; i++) {
                ends_open(&ends[i], client, server);
                ends_made(&ends[i]);
                EQ(ouro_stream_write(ends[i].server.stream, "x", 1), 0);
                EQ(ouro_stream_flush(ends[i].server.stream), 0);
                EQ(ouro_stream_read(ends[i].client.stream, &byte, 1), 1);
        }
        each = (mallinfo2().uordblks - before) / COUNT / 2;
        fprintf(stderr, "an idle end holds %zu bytes\n", each);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cr_assert(each < 40000, "%zu", each); /* the buffers of OpenSSL alone would be 33,000 more */
#endif
        for (int i = 0; i < COUNT; i++) {
                ouro_stream_close(ends[i].client.stream);
                ouro_stream_close(ends[i].server.stream);
        }
        EQ(ouro_tls_context_close(client), 0);
        EQ(ouro_tls_context_close(server), 0);
        return 0;
}
