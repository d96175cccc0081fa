/* report.c - what is told of a job whose worker died, and what a job wrote where the pool captures that. */
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "executors/job_report.h"
#include "executors/output.h"
#include "executors/process_pool.h"

/* Replaces what the record had, whose strings the new one may have. Without memory there is no report. */
static void keep(struct record *record, const struct ouro_report *report)
{
        struct ouro_report *old = record->report;

        record->report = report_copy(report);
        ouro_report_free(old);
}

static void fill_in_death(struct ouro_report *report, const struct zygote_message *died)
{
        if (!died) {
                report->zygote_died = true;
                report->signal = SIGKILL; /* they go down with it */
                return;
        }
        report->signal = WIFSIGNALED(died->status) ? WTERMSIG(died->status) : 0;
        report->core_dumped = WIFSIGNALED(died->status) && WCOREDUMP(died->status);
        report->exit_status = WIFEXITED(died->status) ? WEXITSTATUS(died->status) : 0;
        report->cpu_ns = died->cpu_ns;
        report->resident_bytes = died->resident_bytes;
}

/* The worker has written it, and may have written anything. */
static const char *backtrace_of(const struct worker *worker, char *text)
{
        const struct lane_head *head = worker->lane.head;

        text[0] = '\0';
        if (atomic_load(&head->crashed) == 0)
                return text;
        memcpy(text, head->text, LANE_TEXT_BYTES);
        text[LANE_TEXT_BYTES - 1] = '\0';
        return text;
}

static const char *name_of(const struct record *record)
{
        const char *name = record->job->options->name;

        return name ? name : "job";
}

static void take_output(const struct worker *worker, char **ret_text, size_t *ret_bytes)
{
        *ret_text = NULL;
        *ret_bytes = 0;
        if (worker->output >= 0)
                output_take(worker->output, worker->output_bytes, ret_text, ret_bytes);
}

/* died NULL: with the zygote. */
void report_death(struct record *record, const struct zygote_message *died, bool quarantined)
{
        const struct worker *worker = record->worker;
        char backtrace[LANE_TEXT_BYTES], *output;
        struct ouro_report report = {
                .pid = worker->pid,
                .attempts = record->attempt + 1u,
                .deaths = record->deaths,
                .quarantined = quarantined,
                .function = name_of(record),
                .backtrace = backtrace_of(worker, backtrace),
        };

        take_output(worker, &output, &report.output_bytes);
        report.output = output;
        fill_in_death(&report, died);
        keep(record, &report);
        if (output)
                mem_free(output, report.output_bytes + 1);
}

/* A job that is done: it may have died before, and have written something. */
void report_done(struct record *record)
{
        const struct worker *worker = record->worker;
        struct ouro_report report = {.function = name_of(record)};
        char *output;

        if (!record->job->options->ret_report) {
                if (worker->output >= 0)
                        output_drop(worker->output, worker->output_bytes);
                return;
        }
        if (record->report)
                report = *record->report;
        report.pid = worker->pid;
        report.attempts = record->attempt + 1u;
        take_output(worker, &output, &report.output_bytes);
        report.output = output;
        keep(record, &report);
        if (output)
                mem_free(output, report.output_bytes + 1);
}
