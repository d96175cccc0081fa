/* Workers that write garbage into what they share with the host: it is noticed or harmless, the worker is
 * replaced, and whatever the others do is right. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "executors/lane.h"
#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(garbage, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

enum {
        OUTPUT_BYTES = 10000,
        DEADLINE_NS =
                20 * 1000 * 1000, /* a worker that has lost its way may sleep for ever, and ring for nobody */
};

static ouro_executor *open_pool(unsigned workers)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool = NULL;

        options.workers = workers;
        options.message_bytes = 1 << 20;
        options.crashes = 1000; /* this is not about a pool that gives up */
        options.backoff_ns = 1;
        EQ(ouro_process_pool_open(&options, &pool), 0);
        return pool;
}

static struct lane_head *find_lane(uint64_t *ret_bytes)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        unsigned long begin = 0, end = 0;
        char line[4400];

        while (maps && fgets(line, sizeof line, maps))
                if (strstr(line, "memfd:ouro-lane") && sscanf(line, "%lx-%lx", &begin, &end) == 2)
                        break;
        if (maps)
                fclose(maps);
        *ret_bytes = end - begin;
        return (struct lane_head *)begin;
}

static struct lane_entry *entries_of(struct lane_head *head)
{
        return (struct lane_entry *)(void *)((char *)head + head->entries_at);
}

/* ---- a whole lane of the same byte, then whatever comes of it ---- */

static intptr_t overwrite(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const unsigned char byte = *(const unsigned char *)in.base;
        uint64_t bytes;
        struct lane_head *head = find_lane(&bytes);

        (void)job, (void)out;
        memset(head, byte, bytes);
        return 1;
}

static intptr_t square(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int n = *(const int *)in.base;

        (void)job;
        *(int *)out.base = n * n;
        return 0;
}

/* Each worker does its own, so that none but the one with the garbage is wrong. */
static void check_all_right(ouro_executor *pool)
{
        enum { JOBS = 64 };
        int numbers[JOBS], squares[JOBS] = {0};
        struct ouro_map_options options = OURO_MAP_OPTIONS_INIT;

        options.chunk = 1;
        for (int i = 0; i < JOBS; i++)
                numbers[i] = i;
        EQ(ouro_map(pool, square, numbers, sizeof *numbers, JOBS, squares, sizeof *squares, &options), 0);
        for (int i = 0; i < JOBS; i++)
                EQ(squares[i], i * i);
}

static void square_on(ouro_executor *pool, unsigned worker, int number)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        int squared = 0;

        options.worker = worker;
        EQ(ouro_call(pool, square, OURO_IN(number), OURO_OUT(squared), &options), 0);
        EQ(squared, number * number);
}

/* The worker may notice nothing itself, and go on with what it finds there: its own jobs fail, others do not.
 */
IN_LOOP(garbage, f85_a_lane_that_is_overwritten_harms_no_other)
{
        static const unsigned char bytes[] = {0x00, 0xff, 0x01, 0x02, 0x03, 0x55, 0x80};
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        options.worker = 1;
        options.deadline_ns = DEADLINE_NS;
        for (size_t i = 0; i < sizeof bytes; i++) {
                ouro_executor *pool = open_pool(2);
                intptr_t result = ouro_call(pool, overwrite, OURO_IN(bytes[i]), OURO_NO_OUT, &options);

                cr_assert(result == 1 || result == -EOWNERDEAD || result == -ETIME, "%zd", (ssize_t)result);
                for (int n = 0; n < 10; n++)
                        square_on(pool, 2, n);
                EQ(ouro_executor_close_with(pool, OURO_CLOSE_KILL, OURO_FOREVER), 0);
        }
        return 0;
}

/* ---- one that does not end ---- */

static intptr_t lose_the_way(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        uint64_t bytes;
        struct lane_head *head = find_lane(&bytes);

        (void)job, (void)in, (void)out;
        for (uint32_t i = 0; i < head->entries; i++) /* nothing will be READY for it again */
                atomic_fetch_add(&entries_of(head)[i].state, 100 * LANE_LAP);
        return 0;
}

/* Then something cannot be, which is noticed at once. */
IN_LOOP(garbage, f85_a_worker_whose_states_cannot_be_is_replaced)
{
        ouro_executor *pool = open_pool(1);

        for (int i = 0; i < 3; i++) {
                intptr_t result = ouro_call(pool, lose_the_way, OURO_NO_IN, OURO_NO_OUT, NULL);

                cr_assert(result == 0 || result == -EOWNERDEAD);
                square_on(pool, 1, i);
        }
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* Makes believe that it has returned, and does not. */
static intptr_t pretend_to_be_done(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const uint64_t one = 1;
        uint64_t bytes;
        struct lane_head *head = find_lane(&bytes);

        (void)job, (void)in, (void)out;
        signal(SIGTERM, SIG_IGN);
        for (uint32_t i = 0; i < head->entries; i++)
                if (atomic_load(&entries_of(head)[i].state) % LANE_LAP == LANE_CLAIMED)
                        atomic_fetch_add(&entries_of(head)[i].state, LANE_DONE - LANE_CLAIMED);
        for (int fd = 3; fd < 64; fd++)
                if (write(fd, &one, sizeof one) < 0)
                        continue; /* one of them is the doorbell */
        for (;;)
                pause();
        return 0;
}

IN_LOOP(garbage, f85_a_worker_that_does_not_end_when_it_should_is_ended)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool = NULL;

        options.workers = 1;
        options.recycle_jobs = 1;
        EQ(ouro_process_pool_open(&options, &pool), 0);
        EQ(ouro_call(pool, pretend_to_be_done, OURO_NO_IN, OURO_NO_OUT, NULL), 0);
        square_on(pool, 1, 3); /* by its successor */
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

IN_LOOP(garbage, f85_a_worker_that_does_not_end_cannot_keep_its_pool_from_closing)
{
        ouro_executor *pool = open_pool(1);

        EQ(ouro_call(pool, pretend_to_be_done, OURO_NO_IN, OURO_NO_OUT, NULL), 0);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* ---- one word after the other ---- */

struct scribble {
        uint64_t seed;
        uint64_t words;
};

static uint64_t next_random(uint64_t *seed)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

static intptr_t scribble(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct scribble how = *(const struct scribble *)in.base;
        uint64_t bytes, head_words, entries_at, entries_words;
        struct lane_head *head = find_lane(&bytes);
        uint32_t *words = (uint32_t *)(void *)head;

        (void)job, (void)out;
        head_words = offsetof(struct lane_head, text) / sizeof *words;
        entries_at = head->entries_at / sizeof *words;
        entries_words = head->entries * sizeof(struct lane_entry) / sizeof *words;
        for (uint64_t i = 0; i < how.words; i++) {
                uint64_t at = next_random(&how.seed), value = next_random(&how.seed);

                if (i % 8 == 0)
                        words[at % head_words] = (uint32_t)value >> value % 32;
                else
                        words[entries_at + at % entries_words] = (uint32_t)value >> value % 32;
        }
        return 0;
}

/* Its outcome may be anything that an outcome may be; that there is one is the point. */
IN_LOOP(garbage, f85_random_garbage_is_survived_whatever_it_says)
{
        ouro_executor *pool = open_pool(2);

        for (uint64_t seed = 1; seed <= 40; seed++) {
                struct scribble how = {seed * 0x9e3779b97f4a7c15, 1 + seed % 7 * 297};
                struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

                options.deadline_ns = DEADLINE_NS;
                options.worker = 1;
                ouro_call(pool, scribble, OURO_IN(how), OURO_NO_OUT, &options);
                for (int n = 0; n < 4; n++) {
                        int result = 0;

                        options.worker = 2; /* that one is not touched */
                        EQ(ouro_call(pool, square, OURO_IN(n), OURO_OUT(result), &options), 0);
                        EQ(result, n * n);
                }
        }
        EQ(ouro_executor_close_with(pool, OURO_CLOSE_KILL, OURO_FOREVER), 0);
        return 0;
}

/* ---- lies within the protocol ---- */

enum { LIES = 50 };

static uint32_t count_ready(struct lane_head *head)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < head->entries; i++)
                n += atomic_load(&entries_of(head)[i].state) % LANE_LAP == LANE_READY;
        return n;
}

static intptr_t claim_the_future(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        uint64_t bytes;
        struct lane_head *head = find_lane(&bytes);

        (void)job, (void)in, (void)out;
        while (count_ready(head) < LIES)
                sched_yield();
        for (uint32_t i = 0; i < head->entries; i++) {
                struct lane_entry *entry = &entries_of(head)[i];
                uint32_t state = atomic_load(&entry->state);

                entry->result = -INT32_MAX;
                if (state % LANE_LAP == LANE_READY)
                        atomic_store(&entry->state, state - LANE_READY + LANE_DONE);
        }
        return 0;
}

/* Whoever lies about jobs that it was given has done them wrong: their results are its own, nobody else's. It
 * then waits for ever at an entry that will not be READY again, which nobody can tell from a long job. */
IN_LOOP(garbage, f85_jobs_that_were_never_run_end_with_what_their_worker_said)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        ouro_executor *pool = open_pool(2);
        ouro_task liar, tasks[LIES];
        int number = 3, squares[LIES];

        options.worker = 1;
        liar = ouro_submit_with(pool, claim_the_future, OURO_NO_IN, OURO_NO_OUT, &options);
        for (int i = 0; i < LIES; i++)
                tasks[i] = ouro_submit_with(pool, square, OURO_IN(number), OURO_OUT(squares[i]), &options);
        EQ(ouro_await(liar), 0);
        for (int i = 0; i < LIES; i++)
                EQ(ouro_await(tasks[i]), -INT32_MAX);
        square_on(pool, 2, 7);
        tasks[0] = ouro_submit_with(pool, square, OURO_IN(number), OURO_OUT(squares[0]), &options);
        EQ(ouro_cancel(tasks[0]), 0);
        EQ(ouro_await(tasks[0]), -ECANCELED);
        EQ(ouro_executor_close_with(pool, OURO_CLOSE_KILL, OURO_FOREVER), 0);
        return 0;
}

static intptr_t forge_a_crash(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        uint64_t bytes;
        struct lane_head *head = find_lane(&bytes);

        (void)job, (void)in, (void)out;
        memset(head->text, 'x', sizeof head->text); /* without an end */
        atomic_store(&head->crashed, 0xffffffff);
        atomic_store(&head->phase, 0xffffffff);
        atomic_store(&head->resident_bytes, UINT64_MAX);
        raise(SIGKILL);
        return 0;
}

IN_LOOP(garbage, f85_a_backtrace_has_an_end_whatever_is_written_there)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = NULL;
        ouro_executor *pool = open_pool(2);

        options.ret_report = &report;
        EQ(ouro_call(pool, forge_a_crash, OURO_NO_IN, OURO_NO_OUT, &options), -EOWNERDEAD);
        cr_assert(report);
        EQ(report->signal, SIGKILL);
        EQ(strlen(report->backtrace), LANE_TEXT_BYTES - 1);
        ouro_report_free(report);
        check_all_right(pool);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

static intptr_t blame_the_initializer(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        uint64_t bytes;
        struct lane_head *head = find_lane(&bytes);

        (void)job, (void)in, (void)out;
        atomic_store(&head->phase_error, -EIO);
        atomic_store(&head->phase, LANE_BROKEN);
        _exit(3); /* as it does then */
}

IN_LOOP(garbage, f85_no_job_can_break_its_pool)
{
        ouro_executor *pool = open_pool(2);

        for (int i = 0; i < 4; i++) {
                EQ(ouro_call(pool, blame_the_initializer, OURO_NO_IN, OURO_NO_OUT, NULL), -EOWNERDEAD);
                check_all_right(pool);
        }
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* ---- output ---- */

static intptr_t flood(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        for (int i = 0; i < 100000; i++)
                printf("%d bottles\n", i);
        return 0;
}

static intptr_t say(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        printf("%s", (const char *)in.base);
        return 0;
}

static intptr_t say_and_die(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        printf("%s", (const char *)in.base);
        fprintf(stderr, "oh!\n");
        abort();
}

static intptr_t move_the_position(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return lseek(1, 1l << 40, SEEK_SET) < 0 || write(1, "x", 1) >= 0;
}

static void check_says(ouro_executor *pool, ouro_job_fn *fn, const char *text, intptr_t result,
                       const char *wanted)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = NULL;

        options.ret_report = &report;
        EQ(ouro_call(pool, fn, ouro_in(text, strlen(text) + 1), OURO_NO_OUT, &options), result);
        cr_assert(report);
        cr_assert_str_eq(report->output, wanted);
        EQ(report->output_bytes, strlen(wanted));
        ouro_report_free(report);
}

IN_LOOP(garbage, captured_output_is_bounded_and_each_job_has_its_own)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        struct ouro_job_options job = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = NULL;
        ouro_executor *pool = NULL;

        options.workers = 1;
        options.output = OURO_OUTPUT_CAPTURE;
        options.output_bytes = OUTPUT_BYTES;
        options.confine = OURO_CONFINE_COMPUTE_ONLY;
        EQ(ouro_process_pool_open(&options, &pool), 0);
        check_says(pool, say, "one", 0, "one");
        check_says(pool, say, "two\n", 0, "two\n");
        check_says(pool, say, "", 0, "");
        job.ret_report = &report;
        EQ(ouro_call(pool, flood, OURO_NO_IN, OURO_NO_OUT, &job), 0);
        cr_assert(report->output_bytes <= OUTPUT_BYTES && report->output_bytes > OUTPUT_BYTES - 100);
        EQ(memcmp(report->output, "0 bottles\n1 bottles\n", 20), 0);
        ouro_report_free(report);
        check_says(pool, say, "mine\n", 0, "mine\n");
        EQ(ouro_call(pool, move_the_position, OURO_NO_IN, OURO_NO_OUT, NULL), 0);
        check_says(pool, say, "still mine\n", 0, "still mine\n");
        check_says(pool, say_and_die, "last words\n", -EOWNERDEAD, "last words\noh!\n");
        check_says(pool, say, "another\n", 0, "another\n");
        EQ(ouro_executor_close(pool), 0);
        return 0;
}
