/* file_reads.c - random reads of 4 KiB without the page cache, a task for each that is under way.
 *
 * file_reads FILE [DEPTH [SECONDS [CORE]]]
 *
 * prints: file_reads iops=... cpu_ns=... */
#include "bench.h"

#include <ouro.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { BLOCK_BYTES = 4096, DEPTH_MOST = 1024, WARM_UP_NS = 200000000 };

static struct {
        const char *path;
        int fd;
        int depth;
        double seconds;
        uint64_t blocks;
        char *buffers;
        int64_t begin_ns, end_ns, begin_cpu_ns;
        long reads; /* since the warm-up */
        bool ended;
} run;

/* xorshift64* */
static uint64_t next_random(uint64_t *state)
{
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * 2685821657736338717U;
}

static intptr_t read_on(void *arg)
{
        intptr_t number = (intptr_t)arg;
        uint64_t state = (uint64_t)number * 7919 + 1;
        char *buffer = run.buffers + number * BLOCK_BYTES;

        while (!run.ended) {
                off_t offset = (off_t)(next_random(&state) % run.blocks) * BLOCK_BYTES;

                if (ouro_pread(run.fd, buffer, BLOCK_BYTES, offset) != BLOCK_BYTES)
                        bench_die("a read failed or was short");
                run.reads++;
        }
        return 0;
}

static void open_file(void)
{
        size_t memory, offset;
        struct stat st;

        run.fd = ouro_open(run.path, O_RDONLY | O_DIRECT, 0);
        bench_check(run.fd, "open");
        bench_check(ouro_direct_alignment(run.fd, &memory, &offset), "alignment");
        if (fstat(run.fd, &st) < 0 || st.st_size < BLOCK_BYTES || offset > BLOCK_BYTES)
                bench_die("the file is too small, or its blocks too large");
        run.blocks = (uint64_t)st.st_size / BLOCK_BYTES;
        run.buffers = ouro_aligned_alloc(memory > BLOCK_BYTES ? memory : BLOCK_BYTES,
                                         (size_t)run.depth * BLOCK_BYTES);
        if (!run.buffers)
                bench_die("no memory");
}

static intptr_t measure(void *arg)
{
        double cpu_ns;

        (void)arg;
        open_file();
        OURO_GROUP(group) {
                for (intptr_t i = 0; i < run.depth; i++)
                        ouro_create_task_in(group, read_on, (void *)i);
                bench_check(ouro_sleep(WARM_UP_NS), "sleep");
                run.reads = 0;
                run.begin_ns = bench_now_ns();
                run.begin_cpu_ns = bench_cpu_ns();
                bench_check(ouro_sleep((int64_t)(run.seconds * 1e9)), "sleep");
                run.ended = true;
                run.end_ns = bench_now_ns();
                cpu_ns = (double)(bench_cpu_ns() - run.begin_cpu_ns);
                printf("file_reads iops=%.0f cpu_ns=%.0f\n",
                       (double)run.reads * 1e9 / (double)(run.end_ns - run.begin_ns),
                       cpu_ns / (double)run.reads);
        }
        ouro_aligned_free(run.buffers);
        return ouro_close(run.fd);
}

int main(int argc, char **argv)
{
        if (argc < 2) {
                fprintf(stderr, "usage: file_reads FILE [DEPTH [SECONDS [CORE]]]\n");
                return 2;
        }
        run.path = argv[1];
        run.depth = argc > 2 ? atoi(argv[2]) : 64;
        run.seconds = argc > 3 ? atof(argv[3]) : 2;
        if (run.depth < 1 || run.depth > DEPTH_MOST || run.seconds <= 0)
                bench_die("no such depth or time");
        if (argc > 4)
                bench_pin(atoi(argv[4]));
        bench_check(ouro_run(measure, NULL), "ouro_run");
        return 0;
}
