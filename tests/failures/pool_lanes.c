/* What goes through the memory that host and worker share: garbage, sizes, and jobs that stand in the way. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "executors/lane.h"
#include "support/process_tests.h"

TestSuite(pool_lanes, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

/* ---- 85: garbage ---- */

/* In a worker: its lane, from the list of its mappings. */
static char *find_lane(size_t *ret_bytes)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        char line[512], *base = NULL;
        unsigned long from, to;

        *ret_bytes = 0;
        while (maps && fgets(line, sizeof line, maps))
                if (strstr(line, "ouro-lane") && sscanf(line, "%lx-%lx", &from, &to) == 2) {
                        if (!base)
                                base = (char *)from;
                        *ret_bytes = to - (size_t)base;
                }
        if (maps)
                fclose(maps);
        return base;
}

enum target { ENTRIES, STATES, HEAD, EVERYTHING, TARGETS };

static void scribble(char *at, size_t bytes, unsigned *seed)
{
        for (size_t i = 0; i + sizeof(int) <= bytes; i += sizeof(int)) {
                int noise = rand_r(seed);

                memcpy(at + i, &noise, sizeof noise);
        }
}

static void scribble_states(struct lane_entry *entries, unsigned n, unsigned *seed)
{
        for (unsigned i = 0; i < n; i++)
                atomic_store(&entries[i].state, (uint32_t)rand_r(seed) % 64);
}

/* The head's text is 8 KiB, the entries begin on a page of their own. */
static intptr_t writes_garbage(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const enum target target = *(const enum target *)in.base;
        size_t bytes;
        char *base = find_lane(&bytes);
        struct lane_head head;
        unsigned seed = 7 + (unsigned)target;

        (void)job, (void)out;
        if (!base)
                return -ENOENT;
        memcpy(&head, base, sizeof head);
        if (target == HEAD || target == EVERYTHING)
                scribble(base, sizeof head, &seed);
        if (target == STATES)
                scribble_states((struct lane_entry *)(base + head.entries_at), head.entries, &seed);
        if (target == ENTRIES || target == EVERYTHING)
                scribble(base + head.entries_at, head.data_at - head.entries_at, &seed);
        for (;;)
                pause(); /* what has it got: the host must not wait for more */
        return 0;
}

/* Some of its neighbours may be lost with it, as what their entries say is not to be believed; the host and
 * the pool are as good as before. */
static intptr_t meets_garbage(void *arg)
{
        enum { JOBS = 6 };

        (void)arg;
        for (enum target target = 0; target < TARGETS; target++) {
                struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
                int *count = shared(sizeof *count);
                ouro_task task, others[JOBS];

                options.deadline_ns = target == HEAD ? OURO_MS(50) : 0; /* nothing in it says what jobs do */
                task = ouro_submit_with(pool, writes_garbage, OURO_IN(target), OURO_NO_OUT, &options);
                for (int i = 0; i < JOBS; i++)
                        others[i] = ouro_submit(pool, counts, OURO_NO_IN, ouro_out(count, sizeof *count));
                ouro_wait(task);
                cr_assert(ouro_await(task) < 0 || target != HEAD);
                for (int i = 0; i < JOBS; i++)
                        ouro_await(others[i]);
                cr_assert(*count <= JOBS);
                cr_assert(pid_of_worker() > 0, "after %d", (int)target);
        }
        return 0;
}

Test(pool_lanes, f85_garbage_in_a_lane_costs_its_worker_and_nothing_else)
{
        struct ouro_process_options options = options_of(1);

        options.grace_ns = -1;
        with_options(options, meets_garbage);
}

static intptr_t claims_the_next(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        size_t bytes;
        char *base = find_lane(&bytes);
        struct lane_head *head = (struct lane_head *)base;
        struct lane_entry *entries = (struct lane_entry *)(base + head->entries_at);

        (void)job, (void)in, (void)out;
        for (unsigned i = 0; i < head->entries; i++)
                if ((atomic_load(&entries[i].state) & LANE_STATE_MASK) == LANE_READY) {
                        atomic_store(&entries[i].state,
                                     (atomic_load(&entries[i].state) & ~7u) | LANE_SKIPPED);
                        break;
                }
        for (;;)
                pause();
        return 0;
}

/* SKIPPED, where nothing was taken back. It may have run: it is not run again. */
static intptr_t meets_a_lie(void *arg)
{
        struct gate *gate = shared(sizeof *gate);
        int *count = shared(sizeof *count);
        ouro_task first = submit_waiter(gate), liar, victim;

        (void)arg;
        await_begun(gate, 1);
        liar = ouro_submit(pool, claims_the_next, OURO_NO_IN, OURO_NO_OUT);
        victim = ouro_submit(pool, counts, OURO_NO_IN, ouro_out(count, sizeof *count));
        let_go(gate);
        cr_assert(ouro_await(first) == 0);
        ouro_sleep(OURO_MS(5));
        ouro_cancel(liar);
        cr_assert(ouro_await(liar) == -ECANCELED);
        cr_assert(ouro_await(victim) == -EOWNERDEAD && *count == 0);
        cr_assert(pid_of_worker() > 0);
        return 0;
}

Test(pool_lanes, f85_a_job_whose_state_is_a_lie_is_not_run_again)
{
        struct ouro_process_options options = options_of(1);

        options.grace_ns = -1;
        with_options(options, meets_a_lie);
}

static intptr_t stops(void *arg)
{
        int *count = shared(sizeof *count);
        pid_t before = pid_of_worker();

        (void)arg;
        kill(before, SIGSTOP);
        for (int i = 0; i < 5; i++)
                cr_assert(ouro_await(ouro_submit(pool, counts, OURO_NO_IN, ouro_out(count, sizeof *count))) ==
                          i + 1);
        cr_assert(pid_of_worker() != before);
        return 0;
}

Test(pool_lanes, f74_jobs_that_a_stopped_worker_has_not_begun_run_in_another)
{
        with_workers(1, stops);
}

/* ---- 87: pids are reused ---- */

static pid_t host;
static int kills;

/* In place of libc's, also for the library: zygote and workers may, the host must not. */
int kill(pid_t pid, int signal)
{
        if (host && getpid() == host)
                __atomic_add_fetch(&kills, 1, __ATOMIC_SEQ_CST);
        return (int)syscall(SYS_kill, pid, signal);
}

static intptr_t pauses(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        *(int *)out.base = 1;
        for (;;)
                pause();
        return 0;
}

static intptr_t cancels_some(void *arg)
{
        (void)arg;
        for (int i = 0; i < 5; i++) {
                struct gate *gate = shared(sizeof *gate);
                ouro_task task = ouro_submit(pool, pauses, OURO_NO_IN, ouro_out(gate, sizeof *gate));

                await_begun(gate, 1);
                ouro_cancel(task);
                cr_assert(ouro_await(task) == -ECANCELED);
        }
        return 0;
}

Test(pool_lanes, f87_the_host_signals_no_pid)
{
        host = getpid();
        with_workers(1, cancels_some);
        cr_assert(kills == 0);
}

/* ---- 88: sizes ---- */

static intptr_t sums_bytes(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const unsigned char *bytes = in.base;
        intptr_t sum = 0;

        (void)job;
        for (size_t i = 0; i < in.len; i += 4096)
                sum += bytes[i];
        if (out.len)
                memset(out.base, 'r', out.len);
        return sum;
}

static void move(size_t in_len, size_t out_len)
{
        unsigned char *in = mmap(NULL, in_len + 1, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        char *out = mmap(NULL, out_len + 1, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        intptr_t sum = 0;

        cr_assert(in != MAP_FAILED && out != MAP_FAILED);
        for (size_t i = 0; i < in_len; i += 1 << 20)
                in[i] = (unsigned char)(sum += 1);
        sum = 0;
        for (size_t i = 0; i < in_len; i += 4096)
                sum += in[i];
        cr_assert(ouro_await(ouro_submit(pool, sums_bytes, ouro_in(in, in_len), ouro_out(out, out_len))) ==
                  sum);
        for (size_t i = 0; i < out_len; i += 4096)
                cr_assert(out[i] == 'r');
        cr_assert(out[out_len] == 0 && (out_len == 0 || out[out_len - 1] == 'r'));
        munmap(in, in_len + 1);
        munmap(out, out_len + 1);
}

static intptr_t moves_all_sizes(void *arg)
{
        static const size_t sizes[] = {0,   1,    15,     16,       496,     511,     512,
                                       513, 4096, 100000, 16 << 10, 1 << 20, 20 << 20};
        enum { SIZES = sizeof sizes / sizeof *sizes };

        (void)arg;
        for (int i = 0; i < SIZES; i++)
                for (int j = 0; j < SIZES; j++)
                        move(sizes[i], sizes[j]);
        return 0;
}

Test(pool_lanes, f88_spans_of_all_sizes_arrive)
{
        with_workers(1, moves_all_sizes);
}

static intptr_t moves_a_gigabyte(void *arg)
{
        (void)arg;
        move((size_t)1 << 30, 1 << 20);
        return 0;
}

Test(pool_lanes, f88_an_argument_of_a_gigabyte_arrives)
{
        with_workers(1, moves_a_gigabyte);
}

static intptr_t sends_too_much(void *arg)
{
        char *bytes = calloc(1, 70000);

        (void)arg;
        cr_assert(ouro_await(ouro_submit(pool, sums_bytes, ouro_in(bytes, 65537), OURO_NO_OUT)) == -EMSGSIZE);
        for (size_t past = 1; past < 1024; past += 31) /* so large that sums of sizes wrap */
                cr_assert(ouro_await(ouro_submit(pool, sums_bytes, ouro_in(bytes, past),
                                                 ouro_out(bytes, SIZE_MAX - past))) == -EMSGSIZE);
        cr_assert(ouro_await(ouro_submit(pool, sums_bytes, ouro_in(bytes, 40000), ouro_out(bytes, 40000))) ==
                  -EMSGSIZE);
        cr_assert(ouro_await(ouro_submit(pool, sums_bytes, ouro_in(bytes, 65536), OURO_NO_OUT)) == 0);
        cr_assert(ouro_await(ouro_submit(pool, sums_bytes, ouro_in(bytes, SIZE_MAX), OURO_NO_OUT)) ==
                  -EMSGSIZE);
        free(bytes);
        return 0;
}

Test(pool_lanes, f88_more_than_the_option_allows_is_refused)
{
        struct ouro_process_options options = options_of(1);

        options.message_bytes = 65536;
        with_options(options, sends_too_much);
}

static intptr_t shares_little_memory(void *arg)
{
        enum { JOBS = 40, BYTES = 40000 };
        static ouro_task tasks[JOBS];
        static char in[JOBS][BYTES];

        (void)arg;
        for (int i = 0; i < JOBS; i++) {
                memset(in[i], i, BYTES);
                tasks[i] = ouro_submit(pool, sums_bytes, ouro_in(in[i], BYTES), OURO_NO_OUT);
        }
        for (int i = 0; i < JOBS; i++)
                cr_assert(ouro_await(tasks[i]) == i * ((BYTES + 4095) / 4096));
        return 0;
}

/* One at a time in each worker: the others wait, and none is lost. */
Test(pool_lanes, jobs_whose_spans_do_not_fit_at_once_take_turns)
{
        struct ouro_process_options options = options_of(2);

        options.message_bytes = 65536;
        with_options(options, shares_little_memory);
}

/* ---- 97: behind a long one ---- */

static intptr_t overtakes_a_long_one(void *arg)
{
        enum { JOBS = 20 };
        struct gate *gate = shared(sizeof *gate), *other = shared(sizeof *other);
        int *count = shared(sizeof *count);
        ouro_task slow, tasks[JOBS], second;

        (void)arg;
        await_workers(2);
        slow = submit_waiter(gate);
        second = submit_waiter(other);
        await_begun(gate, 1);
        await_begun(other, 1);
        for (int i = 0; i < JOBS; i++) /* half of them behind each */
                tasks[i] = ouro_submit(pool, counts, OURO_NO_IN, ouro_out(count, sizeof *count));
        let_go(other);
        cr_assert(ouro_await(second) == 0);
        for (int i = 0; i < JOBS; i++)
                cr_assert(ouro_await(tasks[i]) > 0);
        cr_assert(*count == JOBS);
        cr_assert(ouro_task_state(slow) == OURO_STATE_WAITING, "which still runs");
        let_go(gate);
        cr_assert(ouro_await(slow) == 0);
        return 0;
}

Test(pool_lanes, f97_jobs_behind_a_long_one_go_to_an_idle_worker)
{
        with_workers(2, overtakes_a_long_one);
}

/* ---- priorities, and jobs for one worker ---- */

static intptr_t takes_a_turn(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in;
        return __atomic_add_fetch((int *)out.base, 1, __ATOMIC_SEQ_CST);
}

static ouro_task submit_turn(int *turn, enum ouro_priority priority)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        options.priority = priority;
        return ouro_submit_with(pool, takes_a_turn, OURO_NO_IN, ouro_out(turn, sizeof *turn), &options);
}

static intptr_t has_priorities(void *arg)
{
        static const enum ouro_priority given[] = {OURO_PRIORITY_LOW,  OURO_PRIORITY_NORMAL,
                                                   OURO_PRIORITY_HIGH, OURO_PRIORITY_LOW,
                                                   OURO_PRIORITY_HIGH, OURO_PRIORITY_NORMAL};
        static const intptr_t wanted[] = {5, 3, 1, 6, 2, 4};
        struct gate *gate = shared(sizeof *gate);
        int *turn = shared(sizeof *turn);
        ouro_task tasks[6], first = submit_waiter(gate);

        (void)arg;
        await_begun(gate, 1);
        for (int i = 0; i < 6; i++)
                tasks[i] = submit_turn(turn, given[i]);
        let_go(gate);
        for (int i = 0; i < 6; i++) {
                intptr_t result = ouro_await(tasks[i]);

                cr_assert(result == wanted[i], "job %d came %zd.", i, result);
        }
        return ouro_await(first);
}

Test(pool_lanes, jobs_of_higher_priority_overtake_what_has_not_begun)
{
        with_workers(1, has_priorities);
}

Test(pool_lanes, jobs_of_higher_priority_overtake_where_lanes_are_full)
{
        struct ouro_process_options options = options_of(1);

        options.ahead = 2;
        with_options(options, has_priorities);
}

static intptr_t tells_worker(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        return (intptr_t)ouro_job_worker(job);
}

static intptr_t chooses_workers(void *arg)
{
        enum { JOBS = 60 };
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        ouro_task tasks[JOBS];

        (void)arg;
        for (unsigned i = 0; i < JOBS; i++) {
                options.worker = 1 + i % 3;
                tasks[i] = ouro_submit_with(pool, tells_worker, OURO_NO_IN, OURO_NO_OUT, &options);
        }
        for (int i = 0; i < JOBS; i++)
                cr_assert(ouro_await(tasks[i]) == i % 3);
        options.worker = 4;
        cr_assert(ouro_await(ouro_submit_with(pool, tells_worker, OURO_NO_IN, OURO_NO_OUT, &options)) ==
                  -EINVAL);
        return 0;
}

Test(pool_lanes, a_job_for_one_worker_runs_in_that)
{
        struct ouro_process_options options = options_of(3);

        options.ahead = 2;
        with_options(options, chooses_workers);
}

static intptr_t waits_for_its_worker(void *arg)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct gate *gate = shared(sizeof *gate);
        ouro_task first, bound;

        (void)arg;
        await_workers(2);
        options.worker = 1;
        first = ouro_submit_with(pool, waits, OURO_NO_IN, ouro_out(gate, sizeof *gate), &options);
        await_begun(gate, 1);
        bound = ouro_submit_with(pool, tells_worker, OURO_NO_IN, OURO_NO_OUT, &options);
        for (int i = 0; i < 10; i++)
                cr_assert(pid_of_worker() > 0); /* the other one is idle, and does not get it */
        cr_assert(ouro_task_state(bound) == OURO_STATE_WAITING);
        let_go(gate);
        return ouro_await(first) == 0 ? ouro_await(bound) : -EINVAL;
}

Test(pool_lanes, a_job_for_one_worker_is_not_given_to_another)
{
        with_workers(2, waits_for_its_worker);
}
