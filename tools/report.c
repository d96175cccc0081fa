/* report.c - what a stress run tells: a line every second, a table, a verdict.
 *
 * Only the live line is written while the loop runs, so only that goes through the library. */
#include "report.h"

#include "procfs.h"
#include "stress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* A line that is put together bit by bit; what does not fit is left out. */
struct line {
        char text[256];
        size_t len;
};

static void __attribute__((format(printf, 2, 3))) line_add(struct line *line, const char *format, ...)
{
        size_t room = sizeof(line->text) - line->len;
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(line->text + line->len, room, format, args);
        va_end(args);
        if (n > 0)
                line->len += (size_t)n < room ? (size_t)n : room - 1;
}

void report_live(struct live *live, unsigned second, const struct stress_totals *totals)
{
        struct line line = {.len = 0};
        uint64_t cut = 0, errors = 0;

        line_add(&line, "%4u s ", second);
        for (unsigned i = 0; i < STRESS_KINDS; i++) {
                const struct kind_totals *kind = &totals->kinds[i];

                if (kind->workers > 0)
                        line_add(&line, " %s %" PRIu64 "/s ", stress_kind_names[i],
                                 kind->done - live->done[i]);
                live->done[i] = kind->done;
                cut += kind->cancelled + kind->expired;
                errors += kind->errors;
        }
        line_add(&line, " cut %" PRIu64 "  errors %" PRIu64 "  %" PRIu64 " MiB\n", cut, errors,
                 procfs_resident_bytes() >> 20);
        ouro_write_all(STDOUT_FILENO, line.text, line.len, NULL);
}

void report_begin(const struct stress_options *options)
{
        printf("ouro %s stress: %.1f s%s, %u connections, %u tasks, seed %" PRIu64 "\n", ouro_version(),
               (double)options->duration_ns / 1e9, options->chaos ? " of chaos" : "", options->connections,
               options->tasks, options->seed);
        fflush(stdout);
}

/* With a unit that leaves at most four digits before the point. */
static const char *time_text(uint64_t ns, char text[16])
{
        if (ns < 10000)
                snprintf(text, 16, "%" PRIu64 " ns", ns);
        else if (ns < 10000000)
                snprintf(text, 16, "%.1f us", (double)ns / 1e3);
        else if (ns < 10000000000)
                snprintf(text, 16, "%.1f ms", (double)ns / 1e6);
        else
                snprintf(text, 16, "%.1f s", (double)ns / 1e9);
        return text;
}

static void print_kind(const struct kind_totals *kind, const char *name, int64_t elapsed_ns)
{
        char p50[16], p99[16], p999[16];

        printf("%-8s %8" PRIu64 " %12" PRIu64 " %12.1f %11s %11s %11s %8" PRIu64 " %9" PRIu64 " %8" PRIu64
               "\n",
               name, kind->workers, kind->done, (double)kind->done * 1e9 / (double)elapsed_ns,
               time_text(histogram_quantile(&kind->latency_ns, 0.5), p50),
               time_text(histogram_quantile(&kind->latency_ns, 0.99), p99),
               time_text(histogram_quantile(&kind->latency_ns, 0.999), p999), kind->errors, kind->cancelled,
               kind->expired);
}

static void print_kills(const struct stress_outcome *outcome)
{
        const struct chaos_totals *chaos = &outcome->totals->chaos;
        const struct process_totals *process = &outcome->totals->process;
        char p50[16], p99[16], most[16];

        printf("%-28s %8s\n", "kill", "times");
        for (unsigned kill = CHAOS_NONE + 1; kill < CHAOS_KILLS; kill++)
                printf("%-28s %8" PRIu64 "\n", chaos_kill_names[kill], chaos->kills[kill]);
        printf("\nworkers: %" PRIu64 ", restarted %" PRIu64 " times, recycled %" PRIu64 " times\n",
               process->workers, process->restarts, process->recycled);
        printf("jobs: %" PRIu64 " died with their worker, %" PRIu64
               " of them with the zygote; begun again %" PRIu64 " times, given up %" PRIu64 "; %" PRIu64
               " backtraces\n",
               process->job.died, chaos->with_zygote, process->retried, chaos->quarantined,
               chaos->backtraces);
        printf("a worker that was killed was replaced after %s (p50), %s (p99), %s at most\n",
               time_text(histogram_quantile(&chaos->replaced_ns, 0.5), p50),
               time_text(histogram_quantile(&chaos->replaced_ns, 0.99), p99),
               time_text(chaos->replaced_ns.max, most));
        printf("full strength after calm: %s (p50), %s at most, %" PRIu64 " times\n\n",
               time_text(histogram_quantile(&chaos->strength_ns, 0.5), p50),
               time_text(chaos->strength_ns.max, most), chaos->calms);
}

static void print_blocked(const struct blocked_totals *blocked)
{
        char p999[16], longest[16], queued[16], own[16];

        printf("loop blocked: %s (p99.9), %s at most (%s of it waiting for a processor), %s at most without "
               "such waiting\n\n",
               time_text(histogram_quantile(&blocked->gap_ns, 0.999), p999),
               time_text((uint64_t)blocked->longest_ns, longest),
               time_text((uint64_t)blocked->longest_queued_ns, queued),
               time_text((uint64_t)blocked->longest_own_ns, own));
}

void report_table(const struct stress_outcome *outcome)
{
        printf("\n%-8s %8s %12s %12s %11s %11s %11s %8s %9s %8s\n", "work", "workers", "count", "per second",
               "p50", "p99", "p99.9", "errors", "cancelled", "expired");
        for (unsigned i = 0; i < STRESS_KINDS; i++)
                if (outcome->totals->kinds[i].workers > 0)
                        print_kind(&outcome->totals->kinds[i], stress_kind_names[i], outcome->elapsed_ns);
        printf("\npeak memory %.1f MiB, backend %s, %.2f s\n", (double)outcome->peak_bytes / (1 << 20),
               outcome->backend, (double)outcome->elapsed_ns / 1e9);
        print_blocked(&outcome->totals->blocked);
        if (outcome->with_chaos)
                print_kills(outcome);
}

void report_verdict(const struct verdict *verdict, bool quiet)
{
        for (unsigned i = 0; i < verdict->count; i++) {
                const struct verdict_check *check = &verdict->checks[i];

                if (!quiet)
                        printf("%-4s %s: %s\n", check->ok ? "ok" : "FAIL", check->name, check->detail);
                else if (!check->ok)
                        fprintf(stderr, "ouro stress: not so: %s: %s\n", check->name, check->detail);
        }
        if (!quiet)
                printf("\n%s\n", verdict->ok ? "all promises kept" : "PROMISES BROKEN");
}
