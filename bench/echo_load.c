/* echo_load.c - the load on an echo server: N connections, one 64-byte message in flight on each.
 *
 * echo_load ADDRESS [--connections N] [--seconds S] [--warmup S] [--pid SERVER] [--core C] prints one line:
 *
 *   echo connections=50 requests=330000 rps=165000 p50_us=.. p99_us=.. p999_us=.. max_us=..
 *        starved=0 least=6512 most=6688 load_cpu_us=.. server_cpu_us=..
 *
 * Every byte that comes back is compared, and a wrong one ends the program. A connection has starved if it
 * was served less than a tenth as often as the average. max_us counts what is still unanswered at the end.
 * server_cpu_us is the CPU time, user and system, that the server process used in the measured window, per
 * request.
 *
 * Latency runs from the batch in which a message was queued to the batch in which its echo was seen. */
#include "bench.h"
#include "echo.h"

#include <errno.h>
#include <getopt.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
        RING_ENTRIES = 4096,
        BUFFERS = 4096, /* each holds one message or more */
        BUFFER_BYTES = 128,
        BUFFER_GROUP = 0,
        WORDS = ECHO_MESSAGE_BYTES / 8,
        CONNECTIONS_MAX = 16384,
};

/* What user_data holds below the connection's index. */
enum what {
        RECEIVED,
        SENT,
        WARM,
        OVER,
        WHAT_BITS = 2,
};

struct connection {
        int fd;
        unsigned got; /* bytes of the echo so far */
        int64_t sent_ns;
        uint64_t sequence;
        uint64_t served; /* in the measured window */
        uint64_t message[WORDS];
};

/* Log-linear: 128 steps to each power of two, so a value is told within 1 %. */
enum {
        STEP_BITS = 7,
        STEPS = 1 << STEP_BITS,
        BUCKETS = (64 - STEP_BITS) * STEPS,
};

struct load {
        const char *address;
        unsigned connections;
        double seconds;
        double warmup;
        pid_t pid;

        struct io_uring ring;
        struct io_uring_buf_ring *buffer_ring;
        char *buffers;
        struct connection *table;
        struct __kernel_timespec warm_at;
        struct __kernel_timespec over_at;

        int64_t now_ns; /* one reading for each batch of completions */
        int64_t start_ns;
        int64_t server_cpu_ns;
        int64_t own_cpu_ns;
        uint64_t requests;
        int64_t max_ns;
        bool measuring;
        bool over;
        uint64_t histogram[BUCKETS];
};

static unsigned bucket_of(int64_t ns)
{
        uint64_t value = (uint64_t)ns | 1;
        int shift = 63 - __builtin_clzll(value) - STEP_BITS;

        if (shift <= 0)
                return (unsigned)value;
        return (unsigned)((uint64_t)shift * STEPS + (value >> shift));
}

/* The middle of a bucket. */
static double bucket_ns(unsigned bucket)
{
        unsigned shift = bucket / STEPS;

        if (shift <= 1)
                return bucket;
        shift -= 1;
        return ((double)(bucket - shift * STEPS) + 0.5) * (double)(1ull << shift);
}

static double quantile_us(const struct load *load, double q)
{
        uint64_t rank = (uint64_t)(q * (double)load->requests);
        uint64_t seen = 0;

        for (unsigned i = 0; i < BUCKETS; i++) {
                seen += load->histogram[i];
                if (seen > rank)
                        return bucket_ns(i) / 1000;
        }
        return 0;
}

static int64_t server_cpu_ns(pid_t pid)
{
        clockid_t clock;
        struct timespec now;

        if (pid == 0)
                return 0;
        errno = clock_getcpuclockid(pid, &clock);
        if (errno != 0 || clock_gettime(clock, &now) < 0)
                bench_die("the server's CPU clock");
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct io_uring_sqe *next_entry(struct load *load)
{
        struct io_uring_sqe *sqe = io_uring_get_sqe(&load->ring);

        if (sqe == NULL) {
                bench_check(io_uring_submit(&load->ring), "submit");
                sqe = io_uring_get_sqe(&load->ring);
        }
        if (sqe == NULL)
                bench_die("the submission queue is full");
        return sqe;
}

static void prepare_receive(struct load *load, size_t index)
{
        struct io_uring_sqe *sqe = next_entry(load);

        io_uring_prep_recv_multishot(sqe, load->table[index].fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = BUFFER_GROUP;
        sqe->user_data = index << WHAT_BITS | RECEIVED;
}

static void prepare_send(struct load *load, size_t index)
{
        struct connection *connection = &load->table[index];
        struct io_uring_sqe *sqe = next_entry(load);

        connection->sequence++;
        connection->got = 0;
        connection->sent_ns = load->now_ns;
        for (size_t i = 0; i < WORDS; i++)
                connection->message[i] = (connection->sequence * WORDS + i) * 0x9e3779b97f4a7c15u ^ index;
        io_uring_prep_send(sqe, connection->fd, connection->message, sizeof(connection->message),
                           MSG_WAITALL | MSG_NOSIGNAL);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = index << WHAT_BITS | SENT;
}

static void record(struct load *load, struct connection *connection)
{
        int64_t ns = load->now_ns - connection->sent_ns;

        if (!load->measuring)
                return;
        load->histogram[bucket_of(ns)]++;
        load->requests++;
        connection->served++;
        if (ns > load->max_ns)
                load->max_ns = ns;
}

static void take_echo(struct load *load, size_t index, const char *bytes, unsigned len)
{
        struct connection *connection = &load->table[index];

        if (len > ECHO_MESSAGE_BYTES - connection->got ||
            memcmp((const char *)connection->message + connection->got, bytes, len) != 0) {
                errno = EBADMSG;
                bench_die("the echo is not what was sent");
        }
        connection->got += len;
        if (connection->got < ECHO_MESSAGE_BYTES)
                return;
        record(load, connection);
        prepare_send(load, index);
}

static void received(struct load *load, const struct io_uring_cqe *cqe, size_t index)
{
        bool more = cqe->flags & IORING_CQE_F_MORE;

        if (cqe->res == 0) {
                errno = ECONNRESET;
                bench_die("the server has closed a connection");
        }
        /* out of buffers: those of this batch are back by the time that it is submitted */
        if (cqe->res < 0 && cqe->res != -ENOBUFS)
                bench_check(cqe->res, "recv");
        if (cqe->res > 0) {
                unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
                char *bytes = load->buffers + (size_t)id * BUFFER_BYTES;

                take_echo(load, index, bytes, (unsigned)cqe->res);
                io_uring_buf_ring_add(load->buffer_ring, bytes, BUFFER_BYTES, (unsigned short)id,
                                      io_uring_buf_ring_mask(BUFFERS), 0);
                io_uring_buf_ring_advance(load->buffer_ring, 1);
        }
        if (!more)
                prepare_receive(load, index);
}

static void begin_measuring(struct load *load)
{
        load->measuring = true;
        load->start_ns = bench_now_ns();
        load->server_cpu_ns = server_cpu_ns(load->pid);
        load->own_cpu_ns = bench_cpu_ns();
}

static void handle(struct load *load, const struct io_uring_cqe *cqe)
{
        size_t index = cqe->user_data >> WHAT_BITS;

        switch (cqe->user_data & ((1 << WHAT_BITS) - 1)) {
        case RECEIVED:
                received(load, cqe, index);
                break;
        case SENT: /* only a failure, or a short send, is told */
                errno = cqe->res < 0 ? -cqe->res : EIO;
                bench_die("send");
        case WARM:
                begin_measuring(load);
                break;
        default:
                load->over = true;
        }
}

static void prepare_timeout(struct load *load, struct __kernel_timespec *at, double seconds, enum what what)
{
        struct io_uring_sqe *sqe = next_entry(load);

        at->tv_sec = (long long)seconds;
        at->tv_nsec = (long long)((seconds - (double)at->tv_sec) * 1e9);
        io_uring_prep_timeout(sqe, at, 0, 0);
        sqe->user_data = what;
}

static void run(struct load *load)
{
        while (!load->over) {
                struct io_uring_cqe *cqe;
                unsigned head;
                unsigned n = 0;

                bench_check(io_uring_submit_and_wait(&load->ring, 1), "enter");
                load->now_ns = bench_now_ns();
                io_uring_for_each_cqe(&load->ring, head, cqe)
                {
                        handle(load, cqe);
                        n++;
                }
                io_uring_cq_advance(&load->ring, n);
        }
}

static void report(struct load *load)
{
        double window_s = (double)(bench_now_ns() - load->start_ns) / 1e9;
        double server_ns = (double)(server_cpu_ns(load->pid) - load->server_cpu_ns);
        double own_ns = (double)(bench_cpu_ns() - load->own_cpu_ns);
        double n = (double)load->requests;
        uint64_t least = UINT64_MAX;
        uint64_t most = 0;
        unsigned starved = 0;

        if (load->requests == 0)
                bench_die("nothing was echoed in the measured window");
        for (unsigned i = 0; i < load->connections; i++) {
                const struct connection *connection = &load->table[i];

                least = connection->served < least ? connection->served : least;
                most = connection->served > most ? connection->served : most;
                starved += (double)connection->served * 10 * load->connections < n;
                if (load->now_ns - connection->sent_ns > load->max_ns)
                        load->max_ns = load->now_ns - connection->sent_ns;
        }
        printf("echo connections=%u requests=%.0f rps=%.0f p50_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f "
               "starved=%u least=%llu most=%llu load_cpu_us=%.3f server_cpu_us=%.3f\n",
               load->connections, n, n / window_s, quantile_us(load, 0.5), quantile_us(load, 0.99),
               quantile_us(load, 0.999), (double)load->max_ns / 1000, starved, (unsigned long long)least,
               (unsigned long long)most, own_ns / 1000 / n, server_ns / 1000 / n);
}

static void make_ring(struct load *load)
{
        struct io_uring_params params = {
                .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                .cq_entries = 4 * RING_ENTRIES,
        };
        struct io_uring_buf_reg reg = {.ring_entries = BUFFERS, .bgid = BUFFER_GROUP};

        bench_check(io_uring_queue_init_params(RING_ENTRIES, &load->ring, &params), "io_uring");
        bench_check(io_uring_register_ring_fd(&load->ring), "register the ring's descriptor");
        load->buffer_ring = bench_map(BUFFERS * sizeof(struct io_uring_buf));
        load->buffers = bench_map((size_t)BUFFERS * BUFFER_BYTES);
        reg.ring_addr = (uintptr_t)load->buffer_ring;
        bench_check(io_uring_register_buf_ring(&load->ring, &reg, 0), "register the buffers");
        io_uring_buf_ring_init(load->buffer_ring);
        for (unsigned i = 0; i < BUFFERS; i++)
                io_uring_buf_ring_add(load->buffer_ring, load->buffers + (size_t)i * BUFFER_BYTES,
                                      BUFFER_BYTES, (unsigned short)i, io_uring_buf_ring_mask(BUFFERS),
                                      (int)i);
        io_uring_buf_ring_advance(load->buffer_ring, BUFFERS);
}

static void connect_all(struct load *load)
{
        load->table = bench_map(load->connections * sizeof(*load->table));
        for (size_t i = 0; i < load->connections; i++)
                load->table[i].fd = echo_dial(load->address);
        load->now_ns = bench_now_ns();
        for (size_t i = 0; i < load->connections; i++) {
                prepare_receive(load, i);
                prepare_send(load, i);
        }
}

static _Noreturn void usage(void)
{
        fprintf(stderr, "usage: echo_load ADDRESS [--connections N] [--seconds S] [--warmup S] [--pid SERVER]"
                        " [--core C]\n");
        exit(2);
}

static void parse(int argc, char **argv, struct load *load)
{
        static const struct option known[] = {
                {"connections", required_argument, NULL, 'n'}, {"seconds", required_argument, NULL, 's'},
                {"warmup", required_argument, NULL, 'w'},      {"pid", required_argument, NULL, 'p'},
                {"core", required_argument, NULL, 'c'},        {NULL, 0, NULL, 0},
        };
        int option;

        while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
                if (option == 'n')
                        load->connections = (unsigned)atoi(optarg);
                else if (option == 's')
                        load->seconds = atof(optarg);
                else if (option == 'w')
                        load->warmup = atof(optarg);
                else if (option == 'p')
                        load->pid = atoi(optarg);
                else if (option == 'c')
                        bench_pin(atoi(optarg));
                else
                        usage();
        }
        if (optind + 1 != argc || load->connections < 1 || load->connections > CONNECTIONS_MAX)
                usage();
        load->address = argv[optind];
}

int main(int argc, char **argv)
{
        static struct load load = {.connections = 50, .seconds = 2, .warmup = 0.5};

        parse(argc, argv, &load);
        echo_end_with_parent();
        make_ring(&load);
        connect_all(&load);
        prepare_timeout(&load, &load.warm_at, load.warmup, WARM);
        prepare_timeout(&load, &load.over_at, load.warmup + load.seconds, OVER);
        run(&load);
        report(&load);
        return 0;
}
