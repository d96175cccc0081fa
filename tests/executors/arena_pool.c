/* arena_pool.c - jobs of a process pool that work on spans of its arena: in place, by any I/O, seen by whom.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro.h>

#include "support/run.h"
#include "support/temp_dir.h"

TestSuite(arena_pool, .init = temp_begin, .fini = temp_end, .timeout = 60);

static const size_t mib = 1 << 20;

static ouro_executor *open_pool(unsigned workers, size_t arena_bytes, bool per_worker)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool;

        options.workers = workers;
        options.arena_bytes = arena_bytes;
        options.arena_per_worker = per_worker;
        options.message_bytes = 16 * mib;
        options.grace_ns = -1;
        cr_assert(ouro_process_pool_open(&options, &pool) == 0);
        return pool;
}

static void close_pool(ouro_executor *pool)
{
        cr_assert(ouro_executor_close(pool) == 0);
}

static void *alloc(ouro_executor *pool, size_t bytes)
{
        void *span = NULL;

        cr_assert(ouro_arena_alloc(pool, bytes, &span) == 0);
        return span;
}

static intptr_t run(ouro_executor *pool, ouro_job_fn *fn, struct ouro_in in, struct ouro_out out)
{
        return ouro_call(pool, fn, in, out, NULL);
}

/* ---- the same address, not a copy ---- */

struct seen {
        const void *in, *out;
};

static intptr_t tell_addresses(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct seen seen = {in.base, out.base};

        (void)job;
        memcpy(out.base, &seen, sizeof seen);
        return in.base ? *(const char *)in.base : 0;
}

RUN(arena_pool, a_job_sees_a_span_where_the_host_has_it)
{
        ouro_executor *pool = open_pool(1, 64 * mib, false);
        char *span = alloc(pool, mib);
        struct seen *out = alloc(pool, sizeof *out), copied;

        span[0] = 42;
        cr_assert(run(pool, tell_addresses, ouro_in(span, mib), OURO_OUT(copied)) == 42);
        cr_assert(copied.in == span && copied.out != &copied);
        cr_assert(run(pool, tell_addresses, ouro_in(span + 7, 1), ouro_out(out, sizeof *out)) == 0);
        cr_assert(out->in == span + 7 && out->out == out);
        cr_assert(ouro_arena_free(pool, span) == 0 && ouro_arena_free(pool, out) == 0);
        close_pool(pool);
}

struct node {
        struct node *next, *other;
        int value;
};

/* Turns a ring round and has each node point to the one with the same value in other. */
static intptr_t turn_round(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct node *first = out.base, *node = first, *before = NULL;
        intptr_t sum = 0;

        (void)job, (void)in;
        do {
                struct node *next = node->next;

                node->other = next;
                node->next = before;
                before = node;
                sum += node->value++;
                node = next;
        } while (node != first);
        first->next = before;
        return sum;
}

RUN(arena_pool, pointers_within_it_mean_the_same_to_host_and_worker)
{
        enum { NODES = 100 };
        ouro_executor *pool = open_pool(2, 64 * mib, false);
        struct node *nodes[NODES], *node;

        for (int i = 0; i < NODES; i++) {
                nodes[i] = alloc(pool, sizeof *nodes[i]);
                *nodes[i] = (struct node){NULL, NULL, i};
        }
        for (int i = 0; i < NODES; i++)
                nodes[i]->next = nodes[(i + 1) % NODES];
        cr_assert(run(pool, turn_round, OURO_NO_IN, ouro_out(nodes[0], sizeof *nodes[0])) == 99 * 100 / 2);
        node = nodes[0];
        for (int i = NODES; i > 0; i--) {
                cr_assert(node->other == nodes[(i + 1) % NODES] && node->value == i % NODES + 1);
                node = node->next;
        }
        cr_assert(node == nodes[0]);
        close_pool(pool);
}

RUN(arena_pool, a_span_only_partly_in_it_is_copied)
{
        ouro_executor *pool = open_pool(1, mib, false);
        char *span = alloc(pool, mib);
        struct seen seen;
        char *behind = mmap(span + mib, 4096, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

        cr_assert(behind == span + mib, "the page behind it is free");
        memset(span + mib - 8, 'x', 16);
        cr_assert(run(pool, tell_addresses, ouro_in(span + mib - 8, 16), OURO_OUT(seen)) == 'x');
        cr_assert(seen.in != span + mib - 8);
        cr_assert(run(pool, tell_addresses, OURO_NO_IN, ouro_out(span + mib - 8, sizeof seen)) == 0);
        memcpy(&seen, span + mib - 8, sizeof seen);
        cr_assert(seen.out != span + mib - 8, "and copied back");
        munmap(behind, 4096);
        close_pool(pool);
}

RUN(arena_pool, a_span_of_another_pool_is_copied)
{
        ouro_executor *pool = open_pool(1, mib, false), *other = open_pool(1, mib, false);
        char *span = alloc(pool, 4096);
        struct seen seen;

        span[0] = 42;
        cr_assert(run(other, tell_addresses, ouro_in(span, 4096), OURO_OUT(seen)) == 42);
        cr_assert(seen.in != span);
        cr_assert(ouro_arena_free(other, span) == -EINVAL);
        close_pool(other);
        cr_assert(run(pool, tell_addresses, ouro_in(span, 4096), OURO_OUT(seen)) == 42 && seen.in == span);
        close_pool(pool);
}

static intptr_t is_where_its_value_says(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        *(const void **)out.base = in.base;
        return *(const void *const *)in.base == in.base;
}

RUN(arena_pool, the_items_of_a_map_are_not_copied)
{
        enum { ITEMS = 1000 };
        ouro_executor *pool = open_pool(2, 64 * mib, false);
        const void **items = alloc(pool, ITEMS * sizeof *items),
                   **results = alloc(pool, ITEMS * sizeof *items);
        intptr_t values[ITEMS];
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;

        options.ret_values = values;
        for (size_t i = 0; i < ITEMS; i++)
                items[i] = &items[i];
        cr_assert(ouro_map(pool, is_where_its_value_says, items, sizeof *items, ITEMS, results,
                           sizeof *results, &options) == 0);
        for (size_t i = 0; i < ITEMS; i++)
                cr_assert(values[i] == 1 && results[i] == &items[i]);
        close_pool(pool);
}

/* ---- as a buffer of I/O ---- */

static intptr_t shout(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        char *text = out.base;

        (void)job, (void)in;
        for (size_t i = 0; i < out.len; i++)
                text[i] ^= 0x20;
        return (intptr_t)text;
}

static void fill(char *buffer, size_t len)
{
        for (size_t i = 0; i < len; i++)
                buffer[i] = (char)('a' + i % 26);
}

static void check_shouted(const char *buffer, size_t len)
{
        for (size_t i = 0; i < len; i++)
                cr_assert(buffer[i] == (char)('A' + i % 26), "at %zu", i);
}

enum { SENT_BYTES = 300000 };

static intptr_t send_and_receive(void *arg)
{
        static char buffer[SENT_BYTES];
        int fd = *(int *)arg;
        size_t done = 0;

        fill(buffer, sizeof buffer);
        cr_assert(ouro_send_all(fd, buffer, sizeof buffer, &done) == 0);
        done = 0;
        memset(buffer, 0, sizeof buffer);
        cr_assert(ouro_recv_all(fd, buffer, sizeof buffer, &done) == 0);
        check_shouted(buffer, sizeof buffer);
        return 0;
}

RUN(arena_pool, received_into_it_edited_in_place_and_sent_from_it)
{
        ouro_executor *pool = open_pool(2, 64 * mib, false);
        char *span = alloc(pool, SENT_BYTES);
        size_t done = 0;
        int ends[2];
        ouro_task peer;

        cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        peer = ouro_create_task(send_and_receive, &ends[1]);
        cr_assert(ouro_recv_all(ends[0], span, SENT_BYTES, &done) == 0);
        cr_assert(run(pool, shout, OURO_NO_IN, ouro_out(span, SENT_BYTES)) == (intptr_t)span);
        done = 0;
        cr_assert(ouro_send_all(ends[0], span, SENT_BYTES, &done) == 0);
        cr_assert(ouro_await(peer) == 0);
        ouro_close(ends[0]);
        ouro_close(ends[1]);
        close_pool(pool);
}

static void edit_file(int flags)
{
        enum { FILE_BYTES = 256 << 10 };
        ouro_executor *pool = open_pool(1, 64 * mib, false);
        char *span = alloc(pool, FILE_BYTES), *plain = malloc(FILE_BYTES);
        int fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        size_t done = 0;

        fill(plain, FILE_BYTES);
        cr_assert(write(fd, plain, FILE_BYTES) == FILE_BYTES && fsync(fd) == 0);
        close(fd);
        fd = ouro_open("file", O_RDWR | O_CLOEXEC | flags, 0);
        if (fd == -EINVAL) {
                free(plain);
                close_pool(pool);
                cr_skip_test("this file system has no O_DIRECT");
        }
        cr_assert(fd >= 0);
        cr_assert(ouro_pread_all(fd, span, FILE_BYTES, 0, &done) == 0);
        cr_assert(run(pool, shout, OURO_NO_IN, ouro_out(span, FILE_BYTES)) == (intptr_t)span);
        done = 0;
        cr_assert(ouro_pwrite_all(fd, span, FILE_BYTES, 0, &done) == 0);
        ouro_close(fd);
        fd = open("file", O_RDONLY | O_CLOEXEC);
        cr_assert(read(fd, plain, FILE_BYTES) == FILE_BYTES);
        check_shouted(plain, FILE_BYTES);
        close(fd);
        free(plain);
        close_pool(pool);
}

RUN(arena_pool, a_file_read_into_it_edited_in_place_and_written_from_it)
{
        edit_file(0);
}

RUN(arena_pool, a_file_read_and_written_past_the_page_cache)
{
        edit_file(O_DIRECT);
}

/* ---- who has it ---- */

static intptr_t look_at(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const volatile char *address = *(char *const *)in.base;

        (void)job, (void)out;
        return *address;
}

static intptr_t look_from(ouro_executor *pool, unsigned worker, char *address)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        options.worker = worker + 1;
        return ouro_call(pool, look_at, ouro_in(&address, sizeof address), OURO_NO_OUT, &options);
}

static intptr_t tell_worker(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        return ouro_job_worker(job);
}

RUN(arena_pool, every_worker_has_a_shared_one)
{
        ouro_executor *pool = open_pool(2, 64 * mib, false);
        char *span = alloc(pool, 4096);

        span[0] = 55;
        cr_assert(look_from(pool, 0, span) == 55);
        cr_assert(look_from(pool, 1, span) == 55);
        close_pool(pool);
}

RUN(arena_pool, a_worker_sees_no_part_but_its_own)
{
        ouro_executor *pool = open_pool(2, 4 * mib, true);
        void *spans[2];

        for (unsigned i = 0; i < 2; i++) {
                cr_assert(ouro_arena_alloc_for(pool, i, 4096, &spans[i]) == 0);
                memset(spans[i], 50 + (int)i, 4096);
        }
        for (unsigned i = 0; i < 2; i++) {
                cr_assert(look_from(pool, i, spans[i]) == 50 + (intptr_t)i);
                cr_assert(look_from(pool, i, spans[!i]) == -EOWNERDEAD, "it dies of looking");
                cr_assert(look_from(pool, i, spans[i]) == 50 + (intptr_t)i, "and so does its successor");
        }
        close_pool(pool);
}

RUN(arena_pool, a_span_of_one_worker_brings_its_job_there)
{
        ouro_executor *pool = open_pool(3, 4 * mib, true);
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        ouro_task tasks[30];
        void *spans[3];

        for (unsigned i = 0; i < 3; i++)
                cr_assert(ouro_arena_alloc_for(pool, i, 64, &spans[i]) == 0);
        for (int i = 0; i < 30; i++)
                tasks[i] = ouro_submit(pool, tell_worker, ouro_in(spans[i % 3], 64), OURO_NO_OUT);
        for (int i = 0; i < 30; i++)
                cr_assert(ouro_await(tasks[i]) == i % 3);
        cr_assert(run(pool, tell_worker, OURO_NO_IN, ouro_out(spans[2], 64)) == 2);

        cr_assert(run(pool, tell_worker, ouro_in(spans[0], 64), ouro_out(spans[1], 64)) == -EINVAL);
        options.worker = 1 + 1;
        cr_assert(ouro_call(pool, tell_worker, ouro_in(spans[0], 64), OURO_NO_OUT, &options) == -EINVAL);
        cr_assert(ouro_call(pool, tell_worker, ouro_in(spans[1], 64), OURO_NO_OUT, &options) == 1);
        close_pool(pool);
}

static intptr_t write_and_die(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        strcpy(out.base, "left by the dead");
        raise(SIGKILL);
        return 0;
}

static void outlives_a_worker(bool per_worker)
{
        ouro_executor *pool = open_pool(1, 4 * mib, per_worker);
        char *span;

        cr_assert((per_worker ? ouro_arena_alloc_for(pool, 0, 4096, (void **)&span)
                              : ouro_arena_alloc(pool, 4096, (void **)&span)) == 0);
        cr_assert(run(pool, write_and_die, OURO_NO_IN, ouro_out(span, 4096)) == -EOWNERDEAD);
        cr_assert(strcmp(span, "left by the dead") == 0);
        cr_assert(look_from(pool, 0, span + 1) == 'e', "the next worker has it");
        close_pool(pool);
}

RUN(arena_pool, a_worker_that_dies_leaves_it_as_it_was)
{
        outlives_a_worker(false);
        outlives_a_worker(true);
}

static intptr_t have_a_child_write(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int status;
        pid_t pid = fork();

        (void)job, (void)in;
        if (pid == 0) {
                signal(SIGSEGV, SIG_DFL);
                *(volatile char *)out.base = 1;
                _exit(0);
        }
        return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

RUN(arena_pool, f96_a_child_of_a_job_cannot_write_into_it)
{
        ouro_executor *pool = open_pool(1, 4 * mib, false);
        char *span = alloc(pool, 4096);

        span[0] = 55;
        intptr_t signal_number = run(pool, have_a_child_write, OURO_NO_IN, ouro_out(span, 4096));

        cr_assert(signal_number == SIGSEGV, "%ld", (long)signal_number);
        cr_assert(span[0] == 55);
        close_pool(pool);
}

/* ---- limits and misuse ---- */

RUN(arena_pool, what_does_not_fit_is_told)
{
        ouro_executor *pool = open_pool(1, mib, false);
        char *all = alloc(pool, mib);
        void *span = NULL;

        cr_assert(ouro_arena_alloc(pool, 1, &span) == -ENOMEM && !span);
        cr_assert(ouro_arena_free(pool, all + 64) == -EINVAL);
        cr_assert(ouro_arena_free(pool, &span) == -EINVAL);
        cr_assert(ouro_arena_free(pool, NULL) == 0);
        cr_assert(ouro_arena_free(pool, all) == 0);
        cr_assert(ouro_arena_free(pool, all) == -EINVAL);
        cr_assert(ouro_arena_alloc(pool, 1, &span) == 0);
        cr_assert(ouro_arena_alloc(pool, 0, &span) == -EINVAL);
        cr_assert(ouro_arena_alloc(pool, 1, NULL) == -EINVAL);
        cr_assert(ouro_arena_alloc(NULL, 1, &span) == -EINVAL);
        cr_assert(ouro_arena_alloc_for(pool, 0, 1, &span) == -ENOTSUP, "it is shared");
        close_pool(pool);
}

RUN(arena_pool, each_kind_has_its_own_call)
{
        ouro_executor *threads = ouro_thread_pool(NULL), *pool = open_pool(2, mib, true);
        void *span;

        cr_assert(ouro_arena_alloc(threads, 1, &span) == -ENOTSUP);
        cr_assert(ouro_arena_alloc_for(threads, 0, 1, &span) == -ENOTSUP);
        cr_assert(ouro_arena_free(threads, &span) == -EINVAL);
        cr_assert(ouro_arena_alloc(pool, 1, &span) == -ENOTSUP);
        cr_assert(ouro_arena_alloc_for(pool, 2, 1, &span) == -EINVAL);
        cr_assert(ouro_arena_alloc_for(pool, 1, mib, &span) == 0);
        cr_assert(ouro_arena_alloc_for(pool, 1, 1, &span) == -ENOMEM, "one worker's is full");
        cr_assert(ouro_arena_alloc_for(pool, 0, mib, &span) == 0, "and another's is not");
        close_pool(pool);
        close_pool(threads);
}
