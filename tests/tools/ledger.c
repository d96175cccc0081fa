/* Of tools/ledger.c: runs that other processes wrote down are counted, once each, whatever became of them. */
#include "../../tools/ledger.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct process_totals totals;
static struct ledger ledger;

static void begin(void)
{
        totals = (struct process_totals){0};
        cr_assert_eq(ledger_open(&ledger, &totals), 0);
}

static void end(void)
{
        ledger_close(&ledger);
}

TestSuite(ledger, .init = begin, .fini = end);

static uint64_t add(unsigned retries, enum mark_fate fate)
{
        uint64_t number;
        struct mark *mark = ledger_add(&ledger, retries, &number);

        cr_assert_not_null(mark);
        mark->fate = (uint8_t)fate;
        return number;
}

static void run(uint64_t number, unsigned attempt)
{
        cr_assert_eq(ledger_write(ledger.fd, number, attempt, 0), 0);
}

static void read_all(void)
{
        int n;

        do
                n = ledger_read(&ledger, 100);
        while (n > 0);
        cr_assert_eq(n, 0);
        ledger_sweep(&ledger);
}

Test(ledger, empty_one_counts_nothing)
{
        read_all();
        cr_assert_eq(totals.job.submitted, 0);
        cr_assert_eq(totals.job.runs, 0);
}

Test(ledger, run_is_found_at_its_job)
{
        uint64_t first = add(0, MARK_DONE), second = add(0, MARK_DONE);

        cr_assert_eq(first, 0);
        cr_assert_eq(second, 1);
        run(second, 0);
        read_all();
        cr_assert_eq(totals.job.runs, 1);
        cr_assert_eq(totals.job.done, 2);
        cr_assert_eq(totals.job.lost, 1); /* the first */
        cr_assert_eq(totals.unduly, 0);
}

Test(ledger, second_run_of_a_job_is_unduly_and_too_often)
{
        uint64_t number = add(0, MARK_DIED);

        run(number, 0);
        run(number, 0);
        read_all();
        cr_assert_eq(totals.unduly, 1);
        cr_assert_eq(totals.job.repeated, 1);
}

Test(ledger, attempt_that_was_not_allowed_is_unduly)
{
        run(add(0, MARK_DONE), 1);
        run(add(2, MARK_DONE), 3);
        read_all();
        cr_assert_eq(totals.unduly, 2);
        cr_assert_eq(totals.job.repeated, 0);
}

Test(ledger, idempotent_job_may_run_once_for_each_attempt)
{
        uint64_t number = add(2, MARK_DONE);

        for (unsigned attempt = 0; attempt < 3; attempt++)
                run(number, attempt);
        read_all();
        cr_assert_eq(totals.job.runs, 3);
        cr_assert_eq(totals.unduly, 0);
        cr_assert_eq(totals.job.repeated, 0);
}

Test(ledger, same_attempt_twice_is_unduly_even_of_an_idempotent_job)
{
        uint64_t number = add(2, MARK_DONE);

        run(number, 1);
        run(number, 1);
        read_all();
        cr_assert_eq(totals.unduly, 1);
}

Test(ledger, nameless_runs_are_only_summed_up)
{
        run(LEDGER_NAMELESS, 0);
        run(LEDGER_NAMELESS, 0);
        read_all();
        cr_assert_eq(totals.nameless_runs, 2);
        cr_assert_eq(totals.job.runs, 0);
        cr_assert_eq(totals.bad_records, 0);
}

Test(ledger, intents_are_counted)
{
        uint64_t number = add(0, MARK_DIED);

        cr_assert_eq(ledger_write(ledger.fd, number, 0, 5), 0);
        read_all();
        cr_assert_eq(ledger.intents[5], 1);
}

Test(ledger, garbage_is_a_bad_record)
{
        struct ledger_record zeros = {0};

        run(7, 0); /* there is no such job */
        cr_assert_eq(write(ledger.fd, &zeros, sizeof(zeros)), (ssize_t)sizeof(zeros));
        read_all();
        cr_assert_eq(totals.bad_records, 2);
}

Test(ledger, late_run_is_seen_by_the_next_reading)
{
        uint64_t number = add(0, MARK_CANCELLED);

        cr_assert_eq(ledger_read(&ledger, 100), 0);
        run(number, 0);
        cr_assert_eq(ledger_read(&ledger, 100), 1);
        cr_assert_eq(ledger_read(&ledger, 100), 0);
}

Test(ledger, memory_of_what_was_read_is_given_back)
{
        uint64_t number = add(0, MARK_DONE);
        struct stat stat;

        for (unsigned i = 0; i < 20000; i++)
                run(number, 0);
        while (ledger_read(&ledger, 4096) > 0)
                ;
        cr_assert_eq(fstat(ledger.fd, &stat), 0);
        cr_assert_eq(stat.st_size, 20000 * (off_t)sizeof(struct ledger_record));
        cr_assert_leq(stat.st_blocks * 512, 8192);
        run(number, 0);
        cr_assert_eq(ledger_read(&ledger, 100), 1);
}

/* Several processes write at once, and one of them is killed as it does: no record is lost or torn. */
Test(ledger, records_of_processes_that_are_killed_are_whole)
{
        uint64_t number = add(255, MARK_DIED);
        pid_t writers[3];
        int n;

        for (unsigned i = 0; i < 3; i++) {
                writers[i] = fork();
                cr_assert_geq(writers[i], 0);
                while (writers[i] == 0)
                        ledger_write(ledger.fd, number, 0, 1);
        }
        for (unsigned i = 0; i < 3; i++) {
                usleep(5000);
                kill(writers[i], SIGKILL);
                cr_assert_eq(waitpid(writers[i], NULL, 0), writers[i]);
        }
        do
                n = ledger_read(&ledger, 4096);
        while (n > 0);
        cr_assert_eq(n, 0);
        cr_assert_gt(ledger.intents[1], 0);
        cr_assert_eq(totals.bad_records, 0);
        cr_assert_eq(ledger.read_to, lseek(ledger.fd, 0, SEEK_END));
}
