/* processes.c - jobs in worker processes: one that crashes is an outcome like any other.
 *
 * Each number's divisors are added up in a worker. One of the jobs aborts: it alone fails, its
 * report tells why, and the pool goes on with another worker. */
#include <ouro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static intptr_t add_divisors(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        long number = *(const long *)in.base, sum = 0;

        (void)job;
        for (long i = 1; i <= number; i++)
                if (number % i == 0)
                        sum += i;
        memcpy(out.base, &sum, sizeof sum);
        return 0;
}

static intptr_t crash(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        abort();
}

static void tell(const struct ouro_report *report)
{
        printf("%s: %s, %u attempt\n", report->function, strsignal(report->signal), report->attempts);
}

/* A job whose end is worth a report. */
static intptr_t crash_and_tell(ouro_executor *processes)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = NULL;
        intptr_t result;

        options.name = "crash";
        options.ret_report = &report;
        result = ouro_call(processes, crash, OURO_NO_IN, OURO_NO_OUT, &options);
        if (report != NULL)
                tell(report);
        ouro_report_free(report);
        return result;
}

static intptr_t main_task(void *arg)
{
        static const long numbers[] = {6, 28, 496, 8128};
        enum { N = sizeof numbers / sizeof *numbers };
        long sums[N] = {0};
        ouro_executor *processes;
        int error = ouro_process_pool_open(NULL, &processes);

        (void)arg;
        if (error < 0)
                return error;
        printf("crash: %s\n", strerror((int)-crash_and_tell(processes)));
        error = ouro_map(processes, add_divisors, numbers, sizeof *numbers, N, sums, sizeof *sums, NULL);
        for (int i = 0; i < N && error == 0; i++)
                printf("the divisors of %ld add up to %ld\n", numbers[i], sums[i]);
        ouro_executor_close(processes);
        return error;
}

int main(void)
{
        intptr_t error = ouro_run(main_task, NULL);

        if (error < 0)
                fprintf(stderr, "processes: %s\n", strerror((int)-error));
        return error < 0;
}
