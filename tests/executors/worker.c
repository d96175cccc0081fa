/* worker.c - what a worker process makes of its lane, seen by a host that is played by hand. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ouro/executor.h"
#include "support/leaks.h"
#include "support/played_host.h"

TestSuite(worker, .init = leaks_begin, .fini = leaks_end, .timeout = 20);

static struct played_host host;

static void begin(void)
{
        host_begin(&host, NULL);
        host_spawn(&host, 0);
}

static struct lane_head *head_of(unsigned worker)
{
        return host.workers[worker].lane.head;
}

/* ---- jobs ---- */

static intptr_t add_up(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int *numbers = in.base;
        int sum = 0;

        (void)job;
        for (size_t i = 0; i < in.len / sizeof *numbers; i++)
                sum += numbers[i];
        if (out.len == sizeof sum)
                memcpy(out.base, &sum, sizeof sum);
        return sum;
}

static intptr_t count_calls(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        static int calls;

        (void)job, (void)in, (void)out;
        return ++calls;
}

static intptr_t pid_of_worker(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return getpid();
}

static intptr_t wait_for_token(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        return ouro_job_sleep(job, OURO_FOREVER);
}

static intptr_t number_and_attempt(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        return (intptr_t)ouro_job_worker(job) * 100 + (intptr_t)ouro_job_attempt(job);
}

Test(worker, a_job_reads_its_bytes_and_writes_others)
{
        int numbers[] = {1, 2, 39}, sum = 0;

        begin();
        cr_assert(host_call(&host, 0, add_up, numbers, sizeof numbers, &sum, sizeof sum) == 42);
        cr_assert(sum == 42);
        host_end(&host);
}

Test(worker, jobs_run_in_a_process_of_their_own)
{
        begin();
        cr_assert(host_call(&host, 0, pid_of_worker, NULL, 0, NULL, 0) == host.workers[0].pid);
        cr_assert(host.workers[0].pid != getpid() && host.workers[0].pid != host.zygote);
        host_end(&host);
}

Test(worker, entries_are_run_in_order_lap_after_lap)
{
        begin();
        for (int lap = 0; lap < 5; lap++) {
                uint64_t first = host.workers[0].next;

                for (int i = 0; i < PLAYED_ENTRIES; i++)
                        host_put(&host, 0, count_calls, NULL, 0, 0);
                for (uint64_t n = first; n < first + PLAYED_ENTRIES; n++) {
                        host_await(&host, 0, n, LANE_DONE);
                        cr_assert(lane_entry(&host.workers[0].lane, n)->result == (int64_t)n + 1);
                        host_free_entry(&host, 0, n);
                }
        }
        host_end(&host);
}

Test(worker, it_knows_its_number_and_the_attempt)
{
        struct lane_entry *entry;
        uint64_t n;

        host_begin(&host, NULL);
        host_spawn(&host, 3);
        entry = host_prepare(&host, 3, number_and_attempt, NULL, 0, 0);
        entry->attempt = 2;
        n = host_hand_over(&host, 3);
        host_await(&host, 3, n, LANE_DONE);
        cr_assert(entry->result == 302);
        host_end(&host);
}

Test(worker, an_entry_that_was_taken_back_is_skipped)
{
        struct lane_entry *entry;
        uint32_t ready = LANE_READY;
        uint64_t waits, taken, next;

        begin();
        waits = host_put(&host, 0, wait_for_token, NULL, 0, 0);
        entry = host_prepare(&host, 0, count_calls, NULL, 0, 0);
        taken = host_hand_over(&host, 0);
        next = host_put(&host, 0, count_calls, NULL, 0, 0);
        cr_assert(atomic_compare_exchange_strong(&entry->state, &ready, LANE_TAKEN));
        host_cancel(&host, 0, waits);
        host_await(&host, 0, next, LANE_DONE);
        cr_assert(lane_entry(&host.workers[0].lane, waits)->result == -ECANCELED);
        cr_assert(host_is(&host, 0, taken, LANE_SKIPPED));
        cr_assert(lane_entry(&host.workers[0].lane, next)->result == 1, "the first call");
        host_end(&host);
}

Test(worker, a_skipped_entry_rings_too)
{
        uint64_t n;

        begin();
        host_await_phase(&host, 0, LANE_WORKING);
        host_prepare(&host, 0, count_calls, NULL, 0, 0);
        n = host.workers[0].next++;
        atomic_store(&lane_entry(&host.workers[0].lane, n)->state, LANE_TAKEN);
        host_wake(&host, 0);
        host_await(&host, 0, n, LANE_SKIPPED);
        host_end(&host);
}

Test(worker, the_doorbell_is_rung_only_for_those_who_listen)
{
        uint64_t rung;

        begin();
        host_await_phase(&host, 0, LANE_WORKING);
        while (read(host.doorbell, &rung, sizeof rung) > 0)
                ;
        for (int i = 0; i < 3; i++) {
                uint64_t n = host_put(&host, 0, count_calls, NULL, 0, 0);

                while (!host_is(&host, 0, n, LANE_DONE))
                        sched_yield();
        }
        host_stop(&host, 0);
        host_await_death(&host, 0);
        cr_assert(read(host.doorbell, &rung, sizeof rung) == -1 && errno == EAGAIN);
        host_end(&host);
}

Test(worker, one_that_sleeps_is_woken)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.spin_ns = -1;
        host_begin(&host, &options);
        host_spawn(&host, 0);
        for (int i = 1; i <= 50; i++) {
                while (!atomic_load(&head_of(0)->asleep))
                        sched_yield();
                cr_assert(host_call(&host, 0, count_calls, NULL, 0, NULL, 0) == i);
        }
        host_end(&host);
}

Test(worker, a_function_that_is_not_there_fails_its_job_alone)
{
        struct lane_entry *entry;
        struct lane_module *nowhere;
        uint64_t n;

        begin();
        cr_assert(host_call(&host, 0, count_calls, NULL, 0, NULL, 0) == 1);
        entry = host_prepare(&host, 0, count_calls, NULL, 0, 0);
        entry->module_fn = (uint64_t)LANE_MODULES_MOST << 48 | 16; /* no such module */
        n = host_hand_over(&host, 0);
        host_await(&host, 0, n, LANE_DONE);
        cr_assert(entry->result == -ENOEXEC);
        entry = host_prepare(&host, 0, count_calls, NULL, 0, 0);
        entry->module_fn = ((uint64_t)1 << 48) - 16; /* not in the program's text */
        n = host_hand_over(&host, 0);
        host_await(&host, 0, n, LANE_DONE);
        cr_assert(entry->result == -ENOEXEC);
        nowhere = &host.workers[0].lane.modules[1];
        *nowhere = (struct lane_module){.id = {1, 2, 3}, .id_bytes = 20, .path = "/nowhere/at/all.so"};
        atomic_store(&head_of(0)->modules, 2);
        entry = host_prepare(&host, 0, count_calls, NULL, 0, 0);
        entry->module_fn = (uint64_t)1 << 48 | 4096;
        n = host_hand_over(&host, 0);
        host_await(&host, 0, n, LANE_DONE);
        cr_assert(entry->result == -ENOEXEC);
        cr_assert(host_call(&host, 0, count_calls, NULL, 0, NULL, 0) == 2);
        host_end(&host);
}

static int64_t clock_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

Test(worker, times_are_noted_where_they_are_asked_for)
{
        struct lane_entry *entry;
        struct lane_note *note;
        int64_t before_ns = clock_ns(), began_ns;
        uint64_t n;

        begin();
        entry = host_prepare(&host, 0, wait_for_token, NULL, 0, 0);
        entry->flags = LANE_TIMED;
        note = lane_note(&host.workers[0].lane, host.workers[0].next);
        n = host_hand_over(&host, 0);
        while ((began_ns = atomic_load(&note->began_ns)) == 0) /* told before it is over */
                sched_yield();
        cr_assert(atomic_load(&note->ended_ns) == 0);
        host_cancel(&host, 0, n);
        host_await(&host, 0, n, LANE_DONE);
        cr_assert(before_ns <= began_ns && began_ns <= atomic_load(&note->ended_ns) &&
                  atomic_load(&note->ended_ns) <= clock_ns());
        n = host_put(&host, 0, count_calls, NULL, 0, 0);
        host_await(&host, 0, n, LANE_DONE);
        cr_assert(atomic_load(&lane_note(&host.workers[0].lane, n)->began_ns) == 0);
        host_end(&host);
}

/* ---- maps ---- */

static intptr_t square_or_fail(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int number = *(const int *)in.base;

        if (number == 99) /* somebody cancels the map in its middle */
                __atomic_store_n((int *)job->of_executor, 1, __ATOMIC_SEQ_CST);
        if (number < 0)
                return number;
        *(int *)out.base = number * number;
        return number + 1000;
}

/* Runs it over numbers; results, and values if asked for, come back. */
static intptr_t run_map(const int *numbers, size_t n, int *results, intptr_t *values)
{
        struct lane *lane = &host.workers[0].lane;
        struct lane_entry *entry;
        struct lane_note *note;
        uint64_t number;

        entry = host_prepare(&host, 0, square_or_fail, numbers, n * sizeof *numbers, n * sizeof *results);
        note = lane_note(lane, host.workers[0].next);
        entry->flags = LANE_MAP;
        note->items = n;
        note->item_bytes = sizeof *numbers;
        note->result_bytes = sizeof *results;
        note->values = values ? lane->head->data_at : 0;
        memset(lane->base + entry->out, 0, n * sizeof *results);
        number = host_hand_over(&host, 0);
        host_await(&host, 0, number, LANE_DONE);
        memcpy(results, lane->base + entry->out, n * sizeof *results);
        if (values)
                memcpy(values, lane->base + lane->head->data_at, n * sizeof *values);
        host_free_entry(&host, 0, number);
        return (intptr_t)entry->result;
}

Test(worker, a_map_calls_its_function_for_each_item)
{
        const int numbers[] = {3, 4, 5};
        int results[3];
        intptr_t values[3];

        begin();
        cr_assert(run_map(numbers, 3, results, NULL) == 0);
        cr_assert(results[0] == 9 && results[1] == 16 && results[2] == 25);
        cr_assert(run_map(numbers, 3, results, values) == 0);
        cr_assert(values[0] == 1003 && values[1] == 1004 && values[2] == 1005);
        host_end(&host);
}

Test(worker, a_map_ends_with_the_first_error_unless_values_are_kept)
{
        const int numbers[] = {3, -EDOM, 5};
        int results[3];
        intptr_t values[3];

        begin();
        cr_assert(run_map(numbers, 3, results, NULL) == -EDOM);
        cr_assert(results[0] == 9 && results[2] == 0);
        cr_assert(run_map(numbers, 3, results, values) == 0);
        cr_assert(values[0] == 1003 && values[1] == -EDOM && values[2] == 1005);
        cr_assert(results[2] == 25);
        host_end(&host);
}

Test(worker, a_cancelled_map_calls_nothing_more)
{
        const int numbers[] = {99, 4, 5};
        int results[3];
        intptr_t values[3];

        begin();
        cr_assert(run_map(numbers, 3, results, NULL) == -ECANCELED);
        cr_assert(results[0] == 99 * 99 && results[1] == 0);
        cr_assert(run_map(numbers, 3, results, values) == -ECANCELED);
        cr_assert(values[0] == 1099 && values[1] == -ECANCELED && values[2] == -ECANCELED);
        host_end(&host);
}

/* ---- the life of a worker ---- */

static int initialized;

static intptr_t initializer(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        memcpy(&initialized, in.base, sizeof initialized);
        return initialized < 0 ? initialized : 0;
}

static intptr_t told_by_initializer(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return initialized;
}

static intptr_t finalizer(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        cr_assert(*(const int *)in.base == initialized);
        printf("finalized with %d", initialized);
        return 0;
}

static struct ouro_process_options with_hooks(const int *value)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.initializer = initializer;
        options.finalizer = finalizer;
        options.in = ouro_in(value, sizeof *value);
        return options;
}

Test(worker, the_initializer_runs_before_the_first_job_and_the_finalizer_after_the_last)
{
        const int value = 77;
        struct ouro_process_options options = with_hooks(&value);
        struct zygote_message death;
        char said[64] = "";
        int output = memfd_create("output", MFD_CLOEXEC);

        options.output = OURO_OUTPUT_CAPTURE;
        host_begin(&host, &options);
        host_spawn_with(&host, 0, -1, output);
        cr_assert(host_call(&host, 0, told_by_initializer, NULL, 0, NULL, 0) == 77);
        host_stop(&host, 0);
        death = host_await_death(&host, 0);
        cr_assert(WIFEXITED(death.status) && WEXITSTATUS(death.status) == 0);
        cr_assert(atomic_load(&head_of(0)->phase) == LANE_ENDING);
        cr_assert(pread(output, said, sizeof said - 1, 0) > 0);
        cr_assert(strcmp(said, "finalized with 77") == 0, "%s", said);
        close(output);
        host_end(&host);
}

Test(worker, one_whose_initializer_fails_says_so_and_ends)
{
        const int value = -EDOM;
        struct ouro_process_options options = with_hooks(&value);
        struct zygote_message death;

        host_begin(&host, &options);
        host_spawn(&host, 0);
        host_await_phase(&host, 0, LANE_BROKEN);
        cr_assert(atomic_load(&head_of(0)->phase_error) == -EDOM);
        death = host_await_death(&host, 0);
        cr_assert(WIFEXITED(death.status) && WEXITSTATUS(death.status) != 0);
        host_end(&host);
}

Test(worker, what_is_ready_is_run_before_it_stops)
{
        struct zygote_message death;

        begin();
        for (int i = 0; i < PLAYED_ENTRIES; i++)
                host_put(&host, 0, count_calls, NULL, 0, 0);
        host_stop(&host, 0);
        death = host_await_death(&host, 0);
        cr_assert(death.status == 0);
        for (int i = 0; i < PLAYED_ENTRIES; i++)
                cr_assert(host_is(&host, 0, (uint64_t)i, LANE_DONE));
        host_end(&host);
}

static intptr_t touch_memory(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const size_t bytes = 32 << 20;
        char *memory = malloc(bytes);

        (void)job, (void)in, (void)out;
        if (!memory)
                return -ENOMEM;
        memset(memory, 1, bytes);
        __asm__ volatile("" : : "r"(memory) : "memory");
        return 0;
}

Test(worker, what_it_has_resident_is_told_if_the_pool_asks)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        uint64_t before_bytes, after_bytes;

        options.recycle_bytes = 1 << 30;
        host_begin(&host, &options);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, count_calls, NULL, 0, NULL, 0) == 1);
        before_bytes = atomic_load(&head_of(0)->resident_bytes);
        cr_assert(host_call(&host, 0, touch_memory, NULL, 0, NULL, 0) == 0);
        after_bytes = atomic_load(&head_of(0)->resident_bytes);
        cr_assert(before_bytes > 0 && after_bytes >= before_bytes + (30 << 20), "%zu, then %zu",
                  (size_t)before_bytes, (size_t)after_bytes);
        host_end(&host);
}

Test(worker, it_goes_by_its_name)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        char path[64], name[32] = "";
        int fd;

        options.name = "abc-worker";
        host_begin(&host, &options);
        host_spawn(&host, 0);
        host_await_phase(&host, 0, LANE_WORKING);
        snprintf(path, sizeof path, "/proc/%d/comm", host.workers[0].pid);
        fd = open(path, O_RDONLY);
        cr_assert(read(fd, name, sizeof name - 1) > 0);
        close(fd);
        cr_assert(strcmp(name, "abc-worker\n") == 0, "%s", name);
        host_end(&host);
}
