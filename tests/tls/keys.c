/* keys.c - new keys in the course of a connection: sent when asked for, before the end, and not without
 * limit. */
#include "ends.h"
#include "gate.h"
#include "tls/tls.h"

TestSuite(tls_keys, .init = ends_begin, .fini = ends_end);

IN_LOOP(tls_keys, flush_sends_them)
{
        struct gate gate = {0};
        size_t before;
        struct ends ends;
        char got[4];

        ends_open(&ends, NULL, NULL);
        gate_put_on(&gate, &ends.client.below);
        ends_made(&ends);
        before = gate.was_written;
        EQ(ouro_tls_update_keys(ends.client.stream, false), 0);
        EQ(ouro_stream_flush(ends.client.stream), 0);
        cr_assert(gate.was_written > before);
        before = gate.was_written;
        EQ(ouro_stream_flush(ends.client.stream), 0); /* once */
        EQ(gate.was_written, before);
        EQ(ouro_stream_write(ends.client.stream, "word", 4), 0);
        EQ(ouro_stream_flush(ends.client.stream), 0);
        EQ(ouro_stream_read_exactly(ends.server.stream, got, 4, NULL), 0);
        EQ(memcmp(got, "word", 4), 0);
        ends_close(&ends);
        return 0;
}

/* An end right after them is the end that was declared, not one that cuts off. */
IN_LOOP(tls_keys, end_after_them_is_declared)
{
        for (int closes = 0; closes < 2; closes++) {
                struct ends ends;
                char byte;

                ends_open(&ends, NULL, NULL);
                ends_made(&ends);
                EQ(ouro_tls_update_keys(ends.client.stream, closes), 0);
                if (closes) {
                        EQ(ouro_stream_close(ends.client.stream), 0);
                        ends.client.stream = NULL;
                } else {
                        EQ(ouro_stream_shutdown(ends.client.stream), 0);
                }
                EQ(ouro_stream_read(ends.server.stream, &byte, 1), 0);
                ends_close(&ends);
        }
        return 0;
}

/* ---- a peer that asks for new keys again and again, and reads nothing ---- */

enum { ASKED = 15000, MUCH = 4 << 20 };

struct asker {
        ouro_stream *stream;
        int asked;
};

static intptr_t ask_for_keys(void *arg)
{
        struct asker *asker = arg;
        int error = 0;

        while (error == 0 && asker->asked < ASKED) {
                error = ouro_tls_update_keys(asker->stream, true);
                if (error == 0)
                        error = ouro_stream_write(asker->stream, "x", 1);
                if (error == 0)
                        error = ouro_stream_flush(asker->stream);
                asker->asked += error == 0;
        }
        return error;
}

static intptr_t write_much(void *arg)
{
        static char much[MUCH];

        return ouro_stream_write(arg, much, sizeof much);
}

static intptr_t read_all(void *arg)
{
        char bytes[100];
        ssize_t n;

        while ((n = ouro_stream_read(arg, bytes, sizeof bytes)) > 0)
                ;
        return n;
}

/* Until it has come to a stand: nothing for so many looks. */
static void wait_until_still(const struct asker *asker)
{
        for (int looks = 0, seen = -1; looks < 50 && asker->asked < ASKED; looks++) {
                if (asker->asked != seen)
                        looks = 0;
                seen = asker->asked;
                ouro_sleep(OURO_MS(2));
        }
}

IN_LOOP(tls_keys, answers_to_a_peer_that_takes_none_are_bounded)
{
        ouro_task tasks[3];
        struct asker asker;
        const struct tls *tls;
        struct ends ends;

        ends_open(&ends, NULL, NULL);
        ends_made(&ends);
        asker = (struct asker){ends.client.stream, 0};
        tasks[0] = ouro_create_task(write_much, ends.server.stream);
        tasks[1] = ouro_create_task(read_all, ends.server.stream);
        tasks[2] = ouro_create_task(ask_for_keys, &asker);
        wait_until_still(&asker);
        tls = ouro_stream_self(ends.server.stream, &tls_transport);
        cr_assert(tls->out.end < 256 << 10, "%zu bytes of answers to %d", tls->out.end, asker.asked);
        cr_assert(asker.asked > 100 && asker.asked < ASKED, "%d", asker.asked);
        for (int i = 0; i < 3; i++) {
                ouro_cancel(tasks[i]);
                EQ(ouro_await(tasks[i]), -ECANCELED);
        }
        (void)ouro_stream_abort(ends.server.stream, false);
        ends.server.stream = NULL;
        ends_close(&ends);
        return 0;
}
