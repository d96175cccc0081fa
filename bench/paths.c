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

enum { BLOCK = 64 * 1024, PAGE = 4096, FILE_BYTES = 16 << 20, READERS = 16 };

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

/* ---- all ---- */

static const struct {
        const char *name;
        measure_fn *measure;
} paths[] = {
        {"path_accept", measure_accept},     {"path_splice", measure_splice},
        {"path_fixed", measure_fixed},       {"path_fixed_disk", measure_fixed_disk},
        {"path_sendfile", measure_sendfile},
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
