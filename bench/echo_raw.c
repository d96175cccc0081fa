/* echo_raw.c - echo servers straight on io_uring: the floor that a runtime is compared with.
 *
 * echo_raw VARIANT ADDRESS [CORE]
 *
 *   oneshot     recv, send, recv, ...
 *   pollfirst   the same, the receive armed without a first attempt, which would find nothing
 *   multishot   one receive for the life of the connection, buffers from a provided ring
 *
 * There is no timer, no cancellation and no task here, and an error on a connection just closes it. */
#include "bench.h"
#include "echo.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        RING_ENTRIES = 4096,
        BUFFERS = 4096,
        BUFFER_GROUP = 0,
};

struct connection {
        int fd;
        char buffer[ECHO_BUFFER_BYTES];
};

/* The low bits of user_data, beside the connection's address; the high ones are the buffer's number. */
enum what {
        RECEIVED,
        SENT,
        ACCEPTED,
        WHAT_MASK = 3,
        BUFFER_SHIFT = 48,
};

static struct {
        struct io_uring ring;
        int listener;
        unsigned short recv_priority; /* sqe->ioprio of a receive */
        bool multishot;
        struct io_uring_buf_ring *buffer_ring;
        char *buffers;
} server;

static struct io_uring_sqe *next_entry(void)
{
        struct io_uring_sqe *sqe = io_uring_get_sqe(&server.ring);

        if (sqe == NULL) {
                bench_check(io_uring_submit(&server.ring), "submit");
                sqe = io_uring_get_sqe(&server.ring);
        }
        if (sqe == NULL)
                bench_die("the submission queue is full");
        return sqe;
}

static void prepare_receive(struct connection *connection)
{
        struct io_uring_sqe *sqe = next_entry();

        if (server.multishot) {
                io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
                sqe->flags |= IOSQE_BUFFER_SELECT;
                sqe->buf_group = BUFFER_GROUP;
        } else {
                io_uring_prep_recv(sqe, connection->fd, connection->buffer, sizeof(connection->buffer), 0);
        }
        sqe->ioprio |= server.recv_priority;
        sqe->user_data = (uintptr_t)connection | RECEIVED;
}

static struct io_uring_sqe *prepare_send(struct connection *connection, const void *bytes, int len)
{
        struct io_uring_sqe *sqe = next_entry();

        io_uring_prep_send(sqe, connection->fd, bytes, (size_t)len, MSG_WAITALL | MSG_NOSIGNAL);
        sqe->user_data = (uintptr_t)connection | SENT;
        return sqe;
}

static void prepare_accept(void)
{
        struct io_uring_sqe *sqe = next_entry();

        io_uring_prep_multishot_accept(sqe, server.listener, NULL, NULL, SOCK_CLOEXEC);
        sqe->user_data = ACCEPTED;
}

static void accepted(const struct io_uring_cqe *cqe)
{
        if (cqe->res >= 0) {
                struct connection *connection = malloc(sizeof(*connection));

                if (connection == NULL)
                        bench_die("malloc");
                connection->fd = cqe->res;
                prepare_receive(connection);
        }
        if (!(cqe->flags & IORING_CQE_F_MORE))
                prepare_accept();
}

static void give_back(unsigned id)
{
        io_uring_buf_ring_add(server.buffer_ring, server.buffers + (size_t)id * ECHO_BUFFER_BYTES,
                              ECHO_BUFFER_BYTES, (unsigned short)id, io_uring_buf_ring_mask(BUFFERS), 0);
        io_uring_buf_ring_advance(server.buffer_ring, 1);
}

static void hang_up(struct connection *connection)
{
        close(connection->fd);
        free(connection);
}

static void received_multishot(struct connection *connection, const struct io_uring_cqe *cqe)
{
        bool more = cqe->flags & IORING_CQE_F_MORE;

        if (cqe->res > 0) {
                uint64_t id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
                const char *bytes = server.buffers + id * ECHO_BUFFER_BYTES;

                prepare_send(connection, bytes, cqe->res)->user_data |= id << BUFFER_SHIFT;
        }
        if (more)
                return;
        if (cqe->res > 0 || cqe->res == -ENOBUFS)
                prepare_receive(connection);
        else
                hang_up(connection);
}

static void received(struct connection *connection, const struct io_uring_cqe *cqe)
{
        if (cqe->res > 0)
                prepare_send(connection, connection->buffer, cqe->res);
        else
                hang_up(connection);
}

static void sent(struct connection *connection, const struct io_uring_cqe *cqe)
{
        if (server.multishot)
                give_back((unsigned)(cqe->user_data >> BUFFER_SHIFT));
        else
                prepare_receive(connection); /* a dead connection fails there, or reads its end */
}

static void handle(const struct io_uring_cqe *cqe)
{
        uint64_t address = cqe->user_data & ((1ull << BUFFER_SHIFT) - 1) & ~(uint64_t)WHAT_MASK;
        struct connection *connection = (void *)(uintptr_t)address;

        switch (cqe->user_data & WHAT_MASK) {
        case RECEIVED:
                if (server.multishot)
                        received_multishot(connection, cqe);
                else
                        received(connection, cqe);
                break;
        case SENT:
                sent(connection, cqe);
                break;
        default:
                accepted(cqe);
        }
}

static _Noreturn void serve(void)
{
        for (;;) {
                struct io_uring_cqe *cqe;
                unsigned head;
                unsigned n = 0;

                bench_check(io_uring_submit_and_wait(&server.ring, 1), "enter");
                io_uring_for_each_cqe(&server.ring, head, cqe)
                {
                        handle(cqe);
                        n++;
                }
                io_uring_cq_advance(&server.ring, n);
        }
}

static void make_ring(void)
{
        struct io_uring_params params = {
                .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                         IORING_SETUP_CQSIZE,
                .cq_entries = 4 * RING_ENTRIES,
        };

        bench_check(io_uring_queue_init_params(RING_ENTRIES, &server.ring, &params), "io_uring");
        bench_check(io_uring_register_ring_fd(&server.ring), "register the ring's descriptor");
}

static void make_buffers(void)
{
        struct io_uring_buf_reg reg = {.ring_entries = BUFFERS, .bgid = BUFFER_GROUP};

        server.buffer_ring = bench_map(BUFFERS * sizeof(struct io_uring_buf));
        server.buffers = bench_map((size_t)BUFFERS * ECHO_BUFFER_BYTES);
        reg.ring_addr = (uintptr_t)server.buffer_ring;
        bench_check(io_uring_register_buf_ring(&server.ring, &reg, 0), "register the buffers");
        io_uring_buf_ring_init(server.buffer_ring);
        for (unsigned i = 0; i < BUFFERS; i++)
                give_back(i);
}

static void choose(const char *variant)
{
        if (strcmp(variant, "multishot") == 0) {
                server.multishot = true;
        } else if (strcmp(variant, "pollfirst") == 0) {
                server.recv_priority = IORING_RECVSEND_POLL_FIRST;
        } else if (strcmp(variant, "oneshot") != 0) {
                errno = EINVAL;
                bench_die(variant);
        }
}

int main(int argc, char **argv)
{
        if (argc < 3) {
                fprintf(stderr, "usage: echo_raw oneshot|pollfirst|multishot ADDRESS [CORE]\n");
                return 2;
        }
        choose(argv[1]);
        if (argc > 3)
                bench_pin(atoi(argv[3]));
        echo_end_with_parent();
        make_ring();
        if (server.multishot)
                make_buffers();
        server.listener = echo_listen(argv[2], 0);
        prepare_accept();
        echo_ready(server.listener);
        serve();
}
