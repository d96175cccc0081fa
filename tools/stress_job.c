/* stress_job.c - one round is a batch of jobs for the thread pool: checksum, deflate, inflate, compare.
 *
 * Requests and results lie on the round's stack, before the group that lends them: the group waits for the
 * jobs also where the gather was refused. Every job has a mark, see marks.h. */
#include "squeeze.h"
#include "stress.h"
#include "tool.h"

#include <errno.h>
#include <zlib.h>

enum {
        BATCH_MAX = 4,
        NOT_TOLD = -EINPROGRESS, /* no job returns this */
};

struct job_request {
        const struct piece *piece;
        struct mark *mark;
        int level; /* of the compression, 1 to 9 */
};

struct job_result {
        uint32_t crc;
        uint64_t packed_bytes;
};

/* In a thread the input is the round's own memory, so that pointers in it mean the same. */
static intptr_t squeeze_piece(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct job_request *request = in.base;
        struct job_result *result = out.base;

        mark_ran(request->mark);
        result->crc = (uint32_t)crc32(0, request->piece->data, request->piece->len);
        return squeeze(job, request->piece->data, request->piece->len, request->level, &result->packed_bytes);
}

struct batch {
        struct slot *slot;
        unsigned count;
        struct job_request requests[BATCH_MAX];
        struct job_result results[BATCH_MAX];
        intptr_t told[BATCH_MAX];
        int64_t begin_ns;
};

static int prepare(struct batch *batch, struct slot *slot)
{
        unsigned wanted = 1 + (unsigned)random_below(&slot->random, BATCH_MAX);

        batch->slot = slot;
        batch->begin_ns = tool_now_ns();
        for (batch->count = 0; batch->count < wanted; batch->count++) {
                struct job_request *request = &batch->requests[batch->count];

                request->piece = corpus_pick(slot->stress->corpus, CORPUS_MIDDLE, &slot->random);
                request->level = 1 + (int)random_below(&slot->random, 6);
                request->mark = marks_add(slot->stress->marks);
                if (!request->mark)
                        return -ENOMEM;
                batch->told[batch->count] = NOT_TOLD;
        }
        return 0;
}

static int run_batch(struct batch *batch)
{
        ouro_executor *pool = batch->slot->stress->pool;
        ouro_task jobs[BATCH_MAX];
        int r = 0;

        OURO_GROUP_KEEP_GOING(jobs_group) {
                for (unsigned i = 0; i < batch->count; i++)
                        jobs[i] = ouro_submit(pool, squeeze_piece, OURO_IN(batch->requests[i]),
                                              OURO_OUT(batch->results[i]));
                r = ouro_gather(jobs, batch->count, batch->told);
        }
        return r;
}

/* A single job has a deadline of its own instead of a gather. */
static int run_single(struct batch *batch)
{
        ouro_task job;

        OURO_GROUP_KEEP_GOING(job_group) {
                job = ouro_submit(batch->slot->stress->pool, squeeze_piece, OURO_IN(batch->requests[0]),
                                  OURO_OUT(batch->results[0]));
                batch->told[0] = ouro_wait_for(job, slot_limit(batch->slot, STRESS_STEP_NS));
        }
        return batch->told[0] < 0 ? (int)batch->told[0] : 0;
}

static int count_job(const struct batch *batch, unsigned i)
{
        struct kind_totals *kind = slot_totals(batch->slot);
        const struct job_request *request = &batch->requests[i];

        switch (batch->told[i]) {
        case 0:
                request->mark->fate = MARK_DONE;
                break;
        case NOT_TOLD: /* the gather was refused, the group has cancelled the job */
        case -ECANCELED:
        case -ETIME:
                request->mark->fate = MARK_CANCELLED;
                return 0;
        default:
                request->mark->fate = MARK_FAILED;
                return (int)batch->told[i];
        }
        if (batch->results[i].crc != request->piece->crc)
                return -EBADMSG;
        kind->done++;
        kind->bytes += request->piece->len;
        histogram_add(&kind->latency_ns, tool_now_ns() - batch->begin_ns);
        return 0;
}

intptr_t job_round(void *arg)
{
        struct batch batch;
        int r = prepare(&batch, arg), counted = 0, error;

        if (r == 0)
                r = batch.count == 1 ? run_single(&batch) : run_batch(&batch);
        for (unsigned i = 0; i < batch.count; i++) {
                error = count_job(&batch, i);
                if (error < 0)
                        counted = error;
        }
        return counted < 0 ? counted : r;
}
