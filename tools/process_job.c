/* process_job.c - what runs in worker processes: initializer and jobs.
 *
 * A worker has not run main, so that all it knows is what it was told at its start. The record in the ledger
 * comes before anything else: what is not there has not run. */
#include "process.h"

#include "census.h"
#include "ledger.h"
#include "squeeze.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static struct process_birth birth;

intptr_t process_born(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)out;
        if (in.len != sizeof(birth))
                return -EINVAL;
        memcpy(&birth, in.base, sizeof(birth));
        ouro_job_set_state(job, &birth);
        if (birth.census_fd >= 0)
                census_report(birth.census_fd, ouro_job_worker(job));
        return 0;
}

/* The initializer came first, and the job runs in the process that it ran in. */
static bool well_born(const struct ouro_job *job)
{
        return ouro_job_state(job) == &birth;
}

intptr_t process_present(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in;
        (void)out;
        return well_born(job) ? (intptr_t)ouro_job_worker(job) : -EPROTO;
}

intptr_t process_nameless(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        if (!well_born(job) || in.len != 0 || out.len != 0)
                return -EPROTO;
        return ledger_write(birth.ledger_fd, LEDGER_NAMELESS, ouro_job_attempt(job), CHAOS_NONE);
}

/* One job at work. */
struct work {
        struct ouro_job *job;
        const struct process_request *request;
        const unsigned char *data;
        struct process_result *result;
        unsigned char *copy; /* the rest of out */
        size_t copy_len;
};

static bool harmful(const struct work *work)
{
        return work->request->kill != CHAOS_NONE &&
               ouro_job_attempt(work->job) < work->request->kill_attempts;
}

static void harm_at(const struct work *work, enum process_stage stage)
{
        if (harmful(work) && work->request->kill_stage == stage)
                chaos_harm((enum chaos_kill)work->request->kill, &birth);
}

/* All pieces are alike: so a torn or mixed-up span is seen here. */
static int check_data(const struct work *work)
{
        const struct process_request *request = work->request;
        size_t piece_len = request->times ? request->data_len / request->times : 0;

        for (uint32_t i = 1; i < request->times; i++)
                if (memcmp(work->data, work->data + i * piece_len, piece_len) != 0)
                        return -EBADMSG;
        work->result->crc = (uint32_t)crc32(0, work->data, (uInt)piece_len);
        return 0;
}

/* Bytes [from, to) of the copy. */
static void copy_data(const struct work *work, size_t from, size_t to)
{
        size_t data_len = work->request->data_len;

        if (data_len == 0)
                memset(work->copy + from, 0, to - from);
        for (size_t at = from, len; data_len > 0 && at < to; at += len) {
                len = data_len - at % data_len;
                if (len > to - at)
                        len = to - at;
                memcpy(work->copy + at, work->data + at % data_len, len);
        }
}

static int squeeze_data(const struct work *work)
{
        const struct process_request *request = work->request;

        if (request->level == 0)
                return 0;
        return squeeze(work->job, work->data, request->data_len, request->level, &work->result->packed_bytes);
}

static int do_work(const struct work *work)
{
        size_t half = work->copy_len / 2;
        int r = 0;

        harm_at(work, PROCESS_BEGIN);
        *work->result = (struct process_result){
                .number = work->request->number,
                .attempt = ouro_job_attempt(work->job),
        };
        copy_data(work, 0, half);
        harm_at(work, PROCESS_HALF);
        if (work->request->nap_us > 0)
                r = ouro_job_sleep(work->job, OURO_US(work->request->nap_us));
        if (r == 0)
                r = check_data(work);
        if (r == 0)
                r = squeeze_data(work);
        copy_data(work, half, work->copy_len);
        harm_at(work, PROCESS_END);
        return r;
}

intptr_t process_job(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct process_request *request = in.base;
        struct work work = {.job = job, .request = request};
        int r;

        if (!well_born(job) || in.len < sizeof(*request) || out.len < sizeof(struct process_result) ||
            request->data_len != in.len - sizeof(*request))
                return -EPROTO;
        r = ledger_write(birth.ledger_fd, request->number, ouro_job_attempt(job),
                         harmful(&work) ? request->kill : CHAOS_NONE);
        if (r < 0)
                return r;
        work.data = (const unsigned char *)(request + 1);
        work.result = out.base;
        work.copy = (unsigned char *)out.base + sizeof(struct process_result);
        work.copy_len = out.len - sizeof(struct process_result);
        return do_work(&work);
}
