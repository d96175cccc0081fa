/* paths.c - fast paths, each beside the plain one: CPU time of the loop's thread, and of the whole process
 * where a worker thread takes part.
 *
 * paths [--rounds N] [--core C] prints a line for each, see bench.h; ratios are fast over plain:
 *
 *   path_accept      a connection: the multishot acceptor; one accept after the other
 *   path_splice      64 KiB from pipe to pipe: tried on the loop's thread; by an entry, which is a worker's
 *   path_fixed       4 KiB read from a cached file: into registered memory; into other memory
 *   path_fixed_disk  the same with O_DIRECT, 16 at a time
 *   path_sendfile    64 KiB of a cached file to a socket: ouro_sendfile(); ouro_pread() and ouro_send_all()
 *   path_segments    40 datagrams of 1,200 bytes to a socket of this task and back out: in one buffer that
 * the kernel cuts and puts together (UDP_SEGMENT, UDP_GRO); in 40 of one ouro_send_datagrams()
 *
 * It is linked with the archive, for two of these are the library's own. */
#include "bench.h"

#include "io/acceptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
        BLOCK = 64 * 1024,
        PAGE = 4096,
        FILE_BYTES = 16 << 20,
        READERS = 16,
        SEGMENTS = 40,
        SEGMENT_BYTES = 1200
};

static struct bench_options options = {.rounds = 5, .count = 2000};
static char block[BLOCK];

typedef double measure_fn(bool fast); /* ns of CPU time each */

static void fill_file(int fd)
{
        for (int i = 0; i < FILE_BYTES / BLOCK; i++) {
                if (write(fd, block, BLOCK) != BLOCK)
                        bench_die("write");
        }
        if (fsync(fd) < 0)
                bench_die("fsync");
}

/* The build directory's file system, which more often than /tmp has disks below it. */
static int temp_file(int flags)
{
        char path[] = "paths-XXXXXX";
        int made = mkstemp(path), fd;

        if (made < 0)
                bench_die(path);
        fill_file(made);
        fd = open(path, O_RDONLY | O_CLOEXEC | flags);
        unlink(path);
        close(made);
        return fd;
}

/* ---- accept ---- */

static struct sockaddr_in listener_addr;

static int listen_here(void)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t len = sizeof(listener_addr);

        listener_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        if (bind(fd, (struct sockaddr *)&listener_addr, len) < 0 || listen(fd, 4096) < 0 ||
            getsockname(fd, (struct sockaddr *)&listener_addr, &len) < 0)
                bench_die("listen");
        return fd;
}

static void *connect_many(void *arg)
{
        const struct linger now = {1, 0}; /* no TIME_WAIT: ports are few */

        (void)arg;
        for (long i = 0; i < options.count; i++) {
                int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

                if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0 ||
                    connect(fd, (struct sockaddr *)&listener_addr, sizeof(listener_addr)) < 0)
                        bench_die("connect");
                close(fd);
        }
        return NULL;
}

static int64_t thread_cpu_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double measure_accept(bool fast)
{
        int listener = listen_here();
        struct acceptor acceptor;
        pthread_t thread;
        int64_t start_ns = thread_cpu_ns();

        bench_check(acceptor_open(&acceptor, listener), "acceptor_open");
        if (pthread_create(&thread, NULL, connect_many, NULL) != 0)
                bench_die("a thread");
        for (long i = 0; i < options.count; i++) {
                int fd = fast ? acceptor_next(&acceptor) : ouro_accept(listener, NULL, NULL);

                bench_check(fd < 0 ? fd : 0, "accept");
                close(fd);
        }
        start_ns = thread_cpu_ns() - start_ns;
        pthread_join(thread, NULL);
        acceptor_close(&acceptor);
        ouro_close(listener);
        return (double)start_ns / (double)options.count;
}

/* ---- splice ---- */

static ssize_t splice_by_entry(int from, int to)
{
        struct op op;

        io_uring_prep_splice(op_begin(&op), from, -1, to, -1, BLOCK, 0);
        return op_wait(&op);
}

static double measure_splice(bool fast)
{
        int a[2], b[2];
        int64_t start_ns;

        if (pipe(a) < 0 || pipe(b) < 0)
                bench_die("pipe");
        start_ns = bench_cpu_ns();
        for (long i = 0; i < options.count; i++) {
                ssize_t n;

                if (write(a[1], block, BLOCK) != BLOCK)
                        bench_die("write");
                n = fast ? ouro_splice(a[0], NULL, b[1], NULL, BLOCK, 0) : splice_by_entry(a[0], b[1]);
                bench_check(n == BLOCK ? 0 : -EIO, "splice");
                if (read(b[0], block, BLOCK) != BLOCK)
                        bench_die("read");
        }
        start_ns = bench_cpu_ns() - start_ns;
        close(a[0]), close(a[1]), close(b[0]), close(b[1]);
        return (double)start_ns / (double)options.count;
}

/* ---- registered memory ---- */

static struct {
        int fd;
        char *memory;
} reads;

static intptr_t read_some(void *arg)
{
        long number = (long)(intptr_t)arg;
        char *page = reads.memory + number * PAGE;

        for (long i = number; i < options.count; i += READERS) {
                off_t offset = (off_t)(i * 7919 % (FILE_BYTES / PAGE)) * PAGE;

                bench_check(ouro_pread(reads.fd, page, PAGE, offset) == PAGE ? 0 : -EIO, "read");
        }
        return 0;
}

static double measure_reads(bool fast, int flags)
{
        ouro_task tasks[READERS];
        int64_t start_ns;

        reads.fd = temp_file(flags);
        if (reads.fd < 0)
                return 0;
        reads.memory = bench_map(READERS * PAGE);
        memset(reads.memory, 0, READERS * PAGE);
        if (fast && ouro_buffer_register(reads.memory, READERS * PAGE) != 1)
                fprintf(stderr, "paths: memory cannot be registered here\n");
        start_ns = bench_cpu_ns();
        for (long i = 0; i < READERS; i++)
                tasks[i] = ouro_create_task(read_some, (void *)(intptr_t)i);
        bench_check((int)ouro_gather(tasks, READERS, NULL), "the readers");
        start_ns = bench_cpu_ns() - start_ns;
        ouro_buffer_unregister(reads.memory);
        munmap(reads.memory, READERS * PAGE);
        ouro_close(reads.fd);
        return (double)start_ns / (double)options.count;
}

static double measure_fixed(bool fast)
{
        return measure_reads(fast, 0);
}

static double measure_fixed_disk(bool fast)
{
        return measure_reads(fast, O_DIRECT);
}

/* ---- sendfile ---- */

static void *swallow(void *arg)
{
        static char buffer[BLOCK];
        int fd = (int)(intptr_t)arg;

        while (recv(fd, buffer, sizeof(buffer), 0) > 0)
                ;
        close(fd);
        return NULL;
}

static void send_block(int file, int fd, off_t offset, bool fast)
{
        if (fast) {
                bench_check(ouro_sendfile_all(fd, file, offset, BLOCK, NULL), "sendfile");
                return;
        }
        bench_check(ouro_pread(file, block, BLOCK, offset) == BLOCK ? 0 : -EIO, "read");
        bench_check(ouro_send_all(fd, block, BLOCK, NULL), "send");
}

static double measure_sendfile(bool fast)
{
        int listener = listen_here(), fd = socket(AF_INET, SOCK_STREAM, 0), file = temp_file(0);
        pthread_t thread;
        int64_t start_ns;

        if (connect(fd, (struct sockaddr *)&listener_addr, sizeof(listener_addr)) < 0 ||
            pthread_create(&thread, NULL, swallow, (void *)(intptr_t)accept(listener, NULL, NULL)) != 0)
                bench_die("a connection");
        start_ns = thread_cpu_ns();
        for (long i = 0; i < options.count; i++)
                send_block(file, fd, (off_t)(i % (FILE_BYTES / BLOCK)) * BLOCK, fast);
        start_ns = thread_cpu_ns() - start_ns;
        ouro_close(fd);
        ouro_close(file);
        ouro_close(listener);
        pthread_join(thread, NULL);
        return (double)start_ns / (double)options.count;
}

/* ---- datagrams ---- */

static void send_segments(int fd, bool fast)
{
        struct ouro_datagram sent[SEGMENTS];
        size_t n = fast ? 1 : SEGMENTS, done = 0;

        for (size_t i = 0; i < n; i++)
                sent[i] = (struct ouro_datagram){.buf = block + i * SEGMENT_BYTES, .len = SEGMENT_BYTES};
        if (fast) {
                sent[0].len = SEGMENTS * SEGMENT_BYTES;
                sent[0].segment_bytes = SEGMENT_BYTES;
        }
        while (done < n) {
                ssize_t result = ouro_send_datagrams(fd, sent + done, n - done);

                bench_check((int)(result < 0 ? result : 0), "datagrams");
                done += (size_t)result;
        }
}

static void receive_segments(int fd, bool fast)
{
        static char place[SEGMENTS][SEGMENT_BYTES], large[BLOCK];
        struct ouro_datagram got[SEGMENTS];
        size_t bytes = 0;

        while (bytes < SEGMENTS * SEGMENT_BYTES) {
                ssize_t n;

                for (size_t i = 0; i < SEGMENTS; i++)
                        got[i] = fast ? (struct ouro_datagram){.buf = large, .len = sizeof(large)}
                                      : (struct ouro_datagram){.buf = place[i], .len = SEGMENT_BYTES};
                n = ouro_recv_datagrams(fd, got, fast ? 1 : SEGMENTS);
                bench_check((int)(n < 0 ? n : 0), "datagrams");
                for (ssize_t i = 0; i < n; i++)
                        bytes += got[i].len;
        }
}

static double measure_segments(bool fast)
{
        int in = ouro_listen("udp:127.0.0.1:0"), out;
        struct ouro_address address;
        int64_t start_ns;

        bench_check(in, "listen");
        bench_check(ouro_local_address(in, &address), "address");
        out = ouro_socket(AF_INET, SOCK_DGRAM, 0);
        bench_check(ouro_connect(out, (struct sockaddr *)&address.storage, address.len), "connect");
        bench_check(ouro_socket_set(in, "so_rcvbuf", 1 << 20), "so_rcvbuf");
        if (fast)
                bench_check(ouro_socket_set(in, "udp_gro", 1), "udp_gro");
        start_ns = thread_cpu_ns();
        for (long i = 0; i < options.count; i++) {
                send_segments(out, fast);
                receive_segments(in, fast);
        }
        start_ns = thread_cpu_ns() - start_ns;
        ouro_close(out);
        ouro_close(in);
        return (double)start_ns / (double)options.count;
}

/* ---- all ---- */

static const struct {
        const char *name;
        measure_fn *measure;
} paths[] = {
        {"path_accept", measure_accept},     {"path_splice", measure_splice},
        {"path_fixed", measure_fixed},       {"path_fixed_disk", measure_fixed_disk},
        {"path_sendfile", measure_sendfile}, {"path_segments", measure_segments},
};

static intptr_t measure_all(void *arg)
{
        (void)arg;
        for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
                struct bench_series series = {.name = paths[i].name, .reference = "plain"};

                for (int round = 0; round < options.rounds; round++) {
                        double fast = paths[i].measure(true), plain = paths[i].measure(false);

                        if (plain > 0)
                                bench_add(&series, fast, plain);
                }
                if (series.n > 0)
                        bench_print(&series);
        }
        return 0;
}

int main(int argc, char **argv)
{
        bench_parse(argc, argv, &options);
        bench_check(ouro_run(measure_all, NULL), "ouro_run");
        return 0;
}
