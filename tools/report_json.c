/* report_json.c - the outcome of a stress run as one JSON object.
 *
 * Times are in nanoseconds and sizes in bytes, as the names of the members say. */
#include "report.h"
#include "stress.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

/* Adding to an object takes its value over; so nothing but the outermost is ever freed here. */
static void add_u64(struct json_object *to, const char *name, uint64_t value)
{
        json_object_object_add(to, name, json_object_new_uint64(value));
}

static void add_text(struct json_object *to, const char *name, const char *value)
{
        json_object_object_add(to, name, json_object_new_string(value));
}

static struct json_object *add_object(struct json_object *to, const char *name)
{
        struct json_object *object = json_object_new_object();

        json_object_object_add(to, name, object);
        return object;
}

static void add_options(struct json_object *to, const struct stress_options *options)
{
        add_u64(to, "duration_ns", (uint64_t)options->duration_ns);
        add_u64(to, "connections", options->connections);
        add_u64(to, "tasks", options->tasks);
        add_u64(to, "threads", options->threads);
        if (!options->no_processes)
                add_u64(to, "processes", options->processes);
        json_object_object_add(to, "chaos", json_object_new_boolean(options->chaos));
        add_u64(to, "seed", options->seed);
}

static void add_kind(struct json_object *to, const struct kind_totals *kind, int64_t elapsed_ns)
{
        add_u64(to, "workers", kind->workers);
        add_u64(to, "count", kind->done);
        json_object_object_add(to, "per_second",
                               json_object_new_double((double)kind->done * 1e9 / (double)elapsed_ns));
        add_u64(to, "bytes", kind->bytes);
        add_u64(to, "p50_ns", histogram_quantile(&kind->latency_ns, 0.5));
        add_u64(to, "p99_ns", histogram_quantile(&kind->latency_ns, 0.99));
        add_u64(to, "p999_ns", histogram_quantile(&kind->latency_ns, 0.999));
        add_u64(to, "max_ns", kind->latency_ns.max);
        add_u64(to, "errors", kind->errors);
        if (kind->errors > 0)
                add_text(to, "first_error", strerror(-kind->first_error));
        add_u64(to, "cancelled", kind->cancelled);
        add_u64(to, "expired", kind->expired);
}

static void add_echo(struct json_object *to, const struct echo_totals *echo)
{
        add_u64(to, "sent_bytes", echo->sent_bytes);
        add_u64(to, "echoed_bytes", echo->echoed_bytes);
        add_u64(to, "dials", echo->dials);
        add_u64(to, "accepted", echo->accepted);
        add_u64(to, "whole_sessions", echo->whole_sessions);
        add_u64(to, "cut_sessions", echo->cut_sessions);
        add_u64(to, "served_whole", echo->served_whole);
        add_u64(to, "served_broken", echo->served_broken);
        add_u64(to, "served_in_bytes", echo->served_in_bytes);
        add_u64(to, "served_out_bytes", echo->served_out_bytes);
        add_u64(to, "corrupt", echo->corrupt);
        add_u64(to, "server_errors", echo->server_errors);
}

static void add_jobs(struct json_object *to, const struct job_totals *job)
{
        add_u64(to, "submitted", job->submitted);
        add_u64(to, "runs", job->runs);
        add_u64(to, "done", job->done);
        add_u64(to, "cancelled", job->cancelled);
        add_u64(to, "cut_runs", job->cut_runs);
        add_u64(to, "died", job->died);
        add_u64(to, "failed", job->failed);
        add_u64(to, "lost", job->lost);
        add_u64(to, "repeated", job->repeated);
        add_u64(to, "untold", job->untold);
}

static void add_processes(struct json_object *to, const struct process_totals *process)
{
        add_u64(to, "workers", process->workers);
        add_jobs(add_object(to, "jobs"), &process->job);
        add_u64(to, "unduly", process->unduly);
        add_u64(to, "bad_records", process->bad_records);
        add_u64(to, "wrong", process->wrong);
        add_u64(to, "torn", process->torn);
        add_u64(to, "late_writes", process->late_writes);
        add_u64(to, "from_arena", process->from_arena);
        add_u64(to, "idempotent", process->idempotent);
        add_u64(to, "nameless", process->nameless);
        add_u64(to, "nameless_done", process->nameless_done);
        add_u64(to, "nameless_runs", process->nameless_runs);
        add_u64(to, "restarts", process->restarts);
        add_u64(to, "recycled", process->recycled);
        add_u64(to, "retried", process->retried);
}

static void add_times(struct json_object *to, const char *name, const struct histogram *histogram)
{
        struct json_object *object = add_object(to, name);

        add_u64(object, "count", histogram->count);
        add_u64(object, "p50_ns", histogram_quantile(histogram, 0.5));
        add_u64(object, "p99_ns", histogram_quantile(histogram, 0.99));
        add_u64(object, "max_ns", histogram->max);
}

static void add_chaos(struct json_object *to, const struct chaos_totals *chaos)
{
        struct json_object *kills = add_object(to, "kills");

        for (unsigned kill = CHAOS_NONE + 1; kill < CHAOS_KILLS; kill++)
                add_u64(kills, chaos_kill_names[kill], chaos->kills[kill]);
        add_u64(to, "reports", chaos->reports);
        add_u64(to, "reports_missing", chaos->reports_missing);
        add_u64(to, "reports_odd", chaos->reports_odd);
        add_u64(to, "unasked", chaos->unasked);
        add_u64(to, "survived", chaos->survived);
        add_u64(to, "backtraces", chaos->backtraces);
        add_u64(to, "quarantined", chaos->quarantined);
        add_u64(to, "with_zygote", chaos->with_zygote);
        add_u64(to, "calms", chaos->calms);
        add_u64(to, "calms_short", chaos->calms_short);
        add_u64(to, "unserved", chaos->unserved);
        add_times(to, "full_strength", &chaos->strength_ns);
        add_times(to, "replaced", &chaos->replaced_ns);
}

static void add_blocked(struct json_object *to, const struct blocked_totals *blocked)
{
        add_u64(to, "longest_ns", (uint64_t)blocked->longest_ns);
        add_u64(to, "longest_queued_ns", (uint64_t)blocked->longest_queued_ns);
        add_u64(to, "longest_own_ns", (uint64_t)blocked->longest_own_ns);
        add_u64(to, "p999_ns", histogram_quantile(&blocked->gap_ns, 0.999));
}

static void add_leftover(struct json_object *to, const char *name, const struct leftover *leftover)
{
        struct json_object *object = add_object(to, name);

        add_u64(object, "before", leftover->before);
        add_u64(object, "after", leftover->after);
        add_u64(object, "extra", leftover->extra);
        if (leftover->extra > 0)
                add_text(object, "first", leftover->first);
}

static void add_leftovers(struct json_object *to, const struct leftovers *leftovers)
{
        struct json_object *memory;

        add_leftover(to, "descriptors", &leftovers->descriptors);
        add_leftover(to, "threads", &leftovers->threads);
        add_leftover(to, "children", &leftovers->children);
        add_leftover(to, "names", &leftovers->names);
        add_leftover(to, "mappings", &leftovers->mappings);
        if (!leftovers->anonymous_known)
                return;
        memory = add_object(to, "anonymous_bytes");
        add_u64(memory, "before", (uint64_t)leftovers->anonymous_before_bytes);
        add_u64(memory, "after", (uint64_t)leftovers->anonymous_after_bytes);
}

static void add_checks(struct json_object *to, const struct verdict *verdict)
{
        struct json_object *checks = json_object_new_array();

        json_object_object_add(to, "checks", checks);
        for (unsigned i = 0; i < verdict->count; i++) {
                struct json_object *check = json_object_new_object();

                add_text(check, "name", verdict->checks[i].name);
                json_object_object_add(check, "ok", json_object_new_boolean(verdict->checks[i].ok));
                add_text(check, "detail", verdict->checks[i].detail);
                json_object_array_add(checks, check);
        }
}

static struct json_object *whole_report(const struct stress_options *options,
                                        const struct stress_outcome *outcome, const struct verdict *verdict)
{
        struct json_object *root = json_object_new_object(), *kinds;

        json_object_object_add(root, "ok", json_object_new_boolean(verdict->ok));
        add_text(root, "version", ouro_version());
        add_text(root, "backend", outcome->backend);
        add_options(add_object(root, "options"), options);
        add_u64(root, "elapsed_ns", (uint64_t)outcome->elapsed_ns);
        add_u64(root, "peak_memory_bytes", outcome->peak_bytes);
        add_u64(root, "cancels", outcome->totals->cancels);
        add_u64(root, "files_left", outcome->files_left);
        kinds = add_object(root, "kinds");
        for (unsigned i = 0; i < STRESS_KINDS; i++)
                add_kind(add_object(kinds, stress_kind_names[i]), &outcome->totals->kinds[i],
                         outcome->elapsed_ns);
        add_echo(add_object(root, "echo"), &outcome->totals->echo);
        add_jobs(add_object(root, "jobs"), &outcome->totals->job);
        if (outcome->with_processes)
                add_processes(add_object(root, "processes"), &outcome->totals->process);
        if (outcome->with_chaos)
                add_chaos(add_object(root, "chaos"), &outcome->totals->chaos);
        add_blocked(add_object(root, "blocked"), &outcome->totals->blocked);
        add_leftovers(add_object(root, "leftovers"), &outcome->leftovers);
        add_checks(root, verdict);
        return root;
}

int report_json(FILE *file, const struct stress_options *options, const struct stress_outcome *outcome,
                const struct verdict *verdict)
{
        struct json_object *root = whole_report(options, outcome, verdict);
        const char *text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY);
        bool written = fprintf(file, "%s\n", text) > 0 && fflush(file) == 0;

        json_object_put(root);
        return written ? 0 : -EIO;
}
