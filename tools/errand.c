/* errand.c - one job for the worker processes from the waiter's side: its spans, and what came back.
 *
 * Before the job the ends of its out span are filled with a pattern. A job that died has not changed them,
 * unless they lie in the arena: there it writes in place. There, they are filled once more after the job has
 * ended, and have to stay so: whoever has been told that a job is over may use its spans anew. */
#include "errand.h"

#include "stress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
        EDGE_BYTES = 256, /* at both ends of a span */
        EDGE_BEFORE = 0xe7,
        EDGE_AFTER = 0x7e,
        COMPARE_BYTES = 256 << 10, /* before others have a turn */
        WATCH_ONE_IN = 4,
};

#define WATCH_NS OURO_MS(2)

static struct process_totals *totals_of(const struct errand *errand)
{
        return &errand->processes->stress->totals->process;
}

static int span_begin(struct errand *errand, struct span *span, size_t len, bool arena)
{
        void *base = NULL;
        int r = 0;

        if (arena) {
                r = ouro_arena_alloc(errand->processes->pool, len, &base);
                if (r < 0)
                        return r;
                totals_of(errand)->from_arena++;
        } else {
                base = malloc(len);
                if (!base)
                        return -ENOMEM;
        }
        *span = (struct span){.base = base, .len = len, .arena = arena};
        return 0;
}

static int span_end(struct errand *errand, struct span *span)
{
        int r = 0;

        if (span->arena)
                r = ouro_arena_free(errand->processes->pool, span->base);
        else
                free(span->base);
        *span = (struct span){0};
        return r;
}

static size_t edge_len(const struct span *span)
{
        return span->len < EDGE_BYTES ? span->len : EDGE_BYTES;
}

static void fill_edges(const struct span *span, int byte)
{
        size_t len = edge_len(span);

        if (len == 0)
                return;
        memset(span->base, byte, len);
        memset(span->base + span->len - len, byte, len);
}

static bool edges_are(const struct span *span, unsigned char byte)
{
        size_t len = edge_len(span);

        for (size_t i = 0; i < len; i++)
                if (span->base[i] != byte || span->base[span->len - 1 - i] != byte)
                        return false;
        return true;
}

static void fill_in(const struct errand *errand)
{
        const struct plan *plan = &errand->plan;
        struct process_request *request = (struct process_request *)errand->in.base;
        unsigned char *data = (unsigned char *)(request + 1);

        *request = (struct process_request){
                .number = errand->number,
                .data_len = (uint64_t)plan->piece_len * plan->times,
                .times = plan->times,
                .level = plan->level,
                .kill = plan->kill,
                .kill_attempts = plan->kill_attempts,
                .kill_stage = plan->kill_stage,
                .nap_us = plan->nap_us,
        };
        for (uint32_t i = 0; i < plan->times; i++)
                memcpy(data + (size_t)i * plan->piece_len, plan->piece->data, plan->piece_len);
}

int errand_begin(struct errand *errand, struct processes *processes, const struct plan *plan)
{
        size_t data_len = (size_t)plan->piece_len * plan->times;
        int r;

        *errand = (struct errand){.processes = processes, .plan = *plan, .told = ERRAND_NOT_TOLD};
        if (plan->nameless)
                return 0;
        r = span_begin(errand, &errand->in, sizeof(struct process_request) + data_len, plan->in_arena);
        if (r == 0)
                r = span_begin(errand, &errand->out, sizeof(struct process_result) + plan->copy_len,
                               plan->out_arena);
        if (r < 0)
                return r;
        errand->mark = ledger_add(&processes->ledger, plan->retries, &errand->number);
        if (!errand->mark)
                return -ENOMEM;
        totals_of(errand)->idempotent += plan->retries > 0;
        errand->crc = plan->piece_len == plan->piece->len
                              ? plan->piece->crc
                              : (uint32_t)crc32(0, plan->piece->data, plan->piece_len);
        fill_in(errand);
        fill_edges(&errand->out, EDGE_BEFORE);
        return 0;
}

ouro_task errand_submit(struct errand *errand)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        if (errand->plan.nameless) {
                totals_of(errand)->nameless++;
                return ouro_submit(errand->processes->pool, process_nameless, OURO_NO_IN, OURO_NO_OUT);
        }
        options.name = "errand";
        options.retries = errand->plan.retries;
        options.deadline_ns = errand->plan.deadline_ns;
        options.ret_report = &errand->report;
        return ouro_submit_with(errand->processes->pool, process_job,
                                ouro_in(errand->in.base, errand->in.len),
                                ouro_out(errand->out.base, errand->out.len), &options);
}

/* Bytes [from, to) of the result's copy, which is the data over and over. */
static bool copy_is_right(const struct errand *errand, size_t from, size_t to)
{
        const unsigned char *copy = errand->out.base + sizeof(struct process_result);
        const unsigned char *data = errand->in.base + sizeof(struct process_request);
        size_t data_len = errand->in.len - sizeof(struct process_request);

        for (size_t at = from, len; at < to; at += len) {
                len = to - at;
                if (data_len == 0)
                        return copy[at] == 0 && memcmp(copy + at, copy + at + 1, len - 1) == 0;
                if (len > data_len - at % data_len)
                        len = data_len - at % data_len;
                if (memcmp(copy + at, data + at % data_len, len) != 0)
                        return false;
        }
        return true;
}

static bool result_is_right(const struct errand *errand)
{
        const struct process_result *result = (const struct process_result *)errand->out.base;
        size_t copy_len = errand->out.len - sizeof(*result);

        if (result->number != errand->number || result->crc != errand->crc ||
            result->attempt > errand->plan.retries || (errand->plan.level > 0) != (result->packed_bytes > 0))
                return false;
        for (size_t at = 0; at < copy_len; at += COMPARE_BYTES) {
                size_t end = at + COMPARE_BYTES < copy_len ? at + COMPARE_BYTES : copy_len;

                if (!copy_is_right(errand, at, end))
                        return false;
                if (end < copy_len)
                        ouro_yield(); /* cancelled or not, the result is judged */
        }
        return true;
}

/* Its worker was not killed by what this job did, nor by the killer: then by what? */
static bool explained(const struct errand *errand)
{
        const struct ouro_report *report = errand->report;
        enum chaos_kill kill = (enum chaos_kill)errand->plan.kill;

        if (report->zygote_died)
                return true;
        if (kill == CHAOS_JOB_EXIT && report->signal == 0 && report->exit_status == CHAOS_EXIT_STATUS)
                return true;
        if (report->signal != 0 && report->signal == chaos_signal(kill))
                return true;
        return census_was_signalled(&errand->processes->census, report->pid, report->signal);
}

static void judge_report(const struct errand *errand)
{
        struct chaos_totals *chaos = &errand->processes->stress->totals->chaos;
        const struct ouro_report *report = errand->report;

        if (!report) {
                chaos->reports_missing++;
                return;
        }
        chaos->reports++;
        /* What takes the zygote along is not held against the job. */
        if ((report->deaths == 0 && !report->zygote_died) || report->deaths > report->attempts ||
            report->attempts > 1 + errand->plan.retries || !report->backtrace || !report->output)
                chaos->reports_odd++;
        else if (report->backtrace[0] != '\0')
                chaos->backtraces++;
        chaos->quarantined += report->quarantined;
        chaos->with_zygote += report->zygote_died;
        if (!explained(errand) && chaos->unasked++ == 0)
                chaos->unasked_signal = report->signal ? report->signal : -report->exit_status;
}

static int judge_death(struct errand *errand)
{
        if (!errand->processes->chaos)
                return -EOWNERDEAD;
        errand->processes->last_harm_ns = ouro_now();
        if (errand->plan.nameless)
                return 0;
        if (!errand->out.arena && !edges_are(&errand->out, EDGE_BEFORE))
                totals_of(errand)->torn++;
        judge_report(errand);
        return 0;
}

static int judge_done(struct errand *errand)
{
        enum chaos_kill kill = (enum chaos_kill)errand->plan.kill;

        if (errand->plan.nameless) {
                totals_of(errand)->nameless_done++;
                return 0;
        }
        if (kill != CHAOS_NONE && kill != CHAOS_JOB_CHILD && errand->plan.kill_attempts == PLAN_EVERY_ATTEMPT)
                errand->processes->stress->totals->chaos.survived++;
        if (result_is_right(errand))
                return 0;
        totals_of(errand)->wrong++;
        return -EBADMSG;
}

/* Nothing of a job that is over writes any more. */
static void watch_arena(struct errand *errand)
{
        if (!errand->out.arena || errand->told == 0 ||
            !random_one_in(&errand->processes->random, WATCH_ONE_IN))
                return;
        fill_edges(&errand->out, EDGE_AFTER);
        OURO_SHIELD
        {
                ouro_sleep(WATCH_NS);
        }
        if (!edges_are(&errand->out, EDGE_AFTER))
                totals_of(errand)->late_writes++;
}

static void tell(struct errand *errand, enum mark_fate fate)
{
        if (errand->mark)
                errand->mark->fate = (uint8_t)fate;
}

int errand_judge(struct errand *errand)
{
        int r = (int)errand->told;

        switch (errand->told) {
        case 0:
                tell(errand, MARK_DONE);
                r = judge_done(errand);
                break;
        case ERRAND_NOT_TOLD: /* the gather was refused, the group has cancelled the job */
        case -ECANCELED:
                tell(errand, MARK_CANCELLED);
                r = -ECANCELED;
                break;
        case -ETIME:
                tell(errand, MARK_CANCELLED);
                if (errand->plan.deadline_ns > 0)
                        r = 0;
                break;
        case -EOWNERDEAD:
                tell(errand, MARK_DIED);
                r = judge_death(errand);
                break;
        default:
                tell(errand, MARK_FAILED);
                break;
        }
        watch_arena(errand);
        return r;
}

void errand_end(struct errand *errand)
{
        int in = span_end(errand, &errand->in), out = span_end(errand, &errand->out);

        /* What was lent there and has been freed cannot be freed again: that would be our own mistake. */
        if (in < 0 || out < 0)
                totals_of(errand)->wrong++;
        ouro_report_free(errand->report);
}
