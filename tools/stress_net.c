/* stress_net.c - the clients of the echo: one round is a session, a connection and some messages over it.
 *
 * A small message is sent, then received. A bigger one may fill the buffers of both directions, so its two
 * halves are tasks of their own, gathered. Whatever ends a session in the middle of a message, its
 * connection is closed: nobody could find the next header in it. */
#include "echo.h"
#include "stress.h"
#include "tool.h"

#include <errno.h>
#include <string.h>

enum {
        SESSION_MESSAGES_MAX = 256,
        MIDDLE_ONE_IN = 16,
};

/* One message on its way there and back. */
struct exchange {
        int fd;
        struct echo_header header;
        const struct piece *piece;
        size_t sent_bytes;
        size_t echoed_bytes;
};

static intptr_t send_message(void *arg)
{
        struct exchange *exchange = arg;
        size_t done = 0;
        int r = ouro_send_all(exchange->fd, &exchange->header, sizeof(exchange->header), &done);

        exchange->sent_bytes += done;
        if (r < 0)
                return r;
        done = 0;
        r = ouro_send_all(exchange->fd, exchange->piece->data, exchange->piece->len, &done);
        exchange->sent_bytes += done;
        return r;
}

/* One system call instead of two for what fits into a chunk. */
static int send_small(struct exchange *exchange)
{
        unsigned char buffer[sizeof(exchange->header) + CORPUS_SMALL_MAX];

        memcpy(buffer, &exchange->header, sizeof(exchange->header));
        memcpy(buffer + sizeof(exchange->header), exchange->piece->data, exchange->piece->len);
        return ouro_send_all(exchange->fd, buffer, sizeof(exchange->header) + exchange->piece->len,
                             &exchange->sent_bytes);
}

static intptr_t receive_echo(void *arg)
{
        struct exchange *exchange = arg;
        unsigned char buffer[ECHO_CHUNK_BYTES];
        struct echo_header header;
        ssize_t n;
        int r = ouro_recv_all(exchange->fd, &header, sizeof(header), NULL);

        if (r < 0)
                return r;
        if (memcmp(&header, &exchange->header, sizeof(header)) != 0)
                return -EBADMSG;
        exchange->echoed_bytes = sizeof(header);
        for (size_t at = 0; at < exchange->piece->len; at += (size_t)n) {
                size_t left = exchange->piece->len - at;

                n = ouro_recv(exchange->fd, buffer, left < sizeof(buffer) ? left : sizeof(buffer), 0);
                if (n <= 0)
                        return n < 0 ? n : -ENODATA;
                if (memcmp(buffer, exchange->piece->data + at, (size_t)n) != 0)
                        return -EBADMSG;
                exchange->echoed_bytes += (size_t)n;
        }
        return 0;
}

/* The group makes the loan of the exchange safe: a gather that is refused on entry has not waited. */
static int exchange_in_two(struct exchange *exchange)
{
        ouro_task halves[2];
        int r = 0, error = 0;

        OURO_GROUP(both, &error) {
                halves[0] = ouro_create_task(send_message, exchange);
                halves[1] = ouro_create_task(receive_echo, exchange);
                r = ouro_gather(halves, 2, NULL);
        }
        return r < 0 ? r : error;
}

static int exchange_message(struct exchange *exchange)
{
        int r;

        if (exchange->piece->len > CORPUS_SMALL_MAX)
                return exchange_in_two(exchange);
        r = send_small(exchange);
        return r < 0 ? r : (int)receive_echo(exchange);
}

static void begin_exchange(struct slot *slot, int fd, uint64_t sequence, struct exchange *exchange)
{
        enum corpus_size size = random_one_in(&slot->random, MIDDLE_ONE_IN) ? CORPUS_MIDDLE : CORPUS_SMALL;
        const struct piece *piece = corpus_pick(slot->stress->corpus, size, &slot->random);

        *exchange = (struct exchange){
                .fd = fd,
                .piece = piece,
                .header = {.magic = ECHO_MAGIC,
                           .len = piece->len,
                           .sequence = sequence,
                           .slot = (uint32_t)slot->number,
                           .crc = piece->crc},
        };
}

static void count_exchange(struct slot *slot, const struct exchange *exchange, int64_t took_ns)
{
        struct kind_totals *kind = slot_totals(slot);
        struct echo_totals *echo = &slot->stress->totals->echo;

        kind->done++;
        kind->bytes += exchange->piece->len;
        histogram_add(&kind->latency_ns, took_ns);
        echo->sent_bytes += exchange->sent_bytes;
        echo->echoed_bytes += exchange->echoed_bytes;
}

/* Returns the bytes sent, or a negative errno. */
static int64_t one_message(struct slot *slot, int fd, uint64_t sequence)
{
        struct exchange exchange;
        int64_t begin_ns;
        int r = 0;

        begin_exchange(slot, fd, sequence, &exchange);
        begin_ns = tool_now_ns();
        OURO_TIMEOUT(slot_limit(slot, STRESS_STEP_NS)) {
                r = exchange_message(&exchange);
        }
        if (r < 0)
                return r;
        count_exchange(slot, &exchange, tool_now_ns() - begin_ns);
        return (int64_t)exchange.sent_bytes;
}

/* Returns the bytes sent in all messages, or a negative errno. */
static int64_t session(struct slot *slot, int fd)
{
        uint64_t messages = 1 + random_below(&slot->random, SESSION_MESSAGES_MAX);
        int64_t bytes = 0, n;

        for (uint64_t i = 0; i < messages && !slot->stress->stopping; i++) {
                n = one_message(slot, fd, i);
                if (n < 0)
                        return n;
                bytes += n;
        }
        return bytes;
}

intptr_t echo_round(void *arg)
{
        struct slot *slot = arg;
        struct echo_totals *echo = &slot->stress->totals->echo;
        int64_t bytes;
        int fd;

        echo->dials++;
        fd = ouro_dial(slot->stress->addresses[slot->kind]);
        bytes = fd < 0 ? fd : session(slot, fd);
        if (fd >= 0)
                ouro_close(fd);
        if (bytes < 0) {
                echo->cut_sessions++;
                return (intptr_t)bytes;
        }
        echo->whole_sessions++;
        echo->whole_session_bytes += (uint64_t)bytes;
        return 0;
}
