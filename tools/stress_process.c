/* stress_process.c - one round is a batch of jobs for the process pool.
 *
 * Plain jobs compress, decompress and compare, as those of the thread pool do; their spans are copied, or lie
 * in the arena. In a chaos run they are of all sizes, and some of them end their worker. Either way each job
 * has a place in the ledger, see ledger.h. */
#include "errand.h"
#include "stress.h"
#include "tool.h"

#include <errno.h>

enum {
        BATCH_MAX = 4,
        HARM_PAUSE_MS_MAX = 60,
};

struct batch {
        struct slot *slot;
        unsigned count;
        struct errand errands[BATCH_MAX];
        int64_t begin_ns;
};

/* Jobs that end their worker come every few tens of milliseconds, whatever the rate of all jobs is. */
static struct plan_mood mood_of(struct processes *processes)
{
        struct plan_mood mood = {.chaos = processes->chaos, .bounded = processes->bounded};

        if (processes->chaos && !processes_calm(processes)) {
                mood.cut = true;
                mood.harm = ouro_now() >= processes->next_harm_ns;
        }
        if (mood.harm)
                processes->next_harm_ns =
                        ouro_now() + (int64_t)random_below(&processes->random, OURO_MS(HARM_PAUSE_MS_MAX));
        return mood;
}

static int prepare(struct batch *batch, struct slot *slot)
{
        struct processes *processes = slot->stress->processes;
        unsigned wanted = 1 + (unsigned)random_below(&slot->random, BATCH_MAX);
        int r = 0;

        batch->slot = slot;
        batch->begin_ns = tool_now_ns();
        for (batch->count = 0; batch->count < wanted && r == 0; batch->count++) {
                struct plan_mood mood = mood_of(processes);
                struct plan plan;

                plan_make(&plan, &slot->random, slot->stress->corpus, &mood);
                r = errand_begin(&batch->errands[batch->count], processes, &plan);
        }
        return r;
}

static void run_batch(struct batch *batch)
{
        intptr_t told[BATCH_MAX];
        ouro_task jobs[BATCH_MAX];

        for (unsigned i = 0; i < batch->count; i++)
                told[i] = ERRAND_NOT_TOLD;
        OURO_GROUP_KEEP_GOING(jobs_group) {
                for (unsigned i = 0; i < batch->count; i++)
                        jobs[i] = errand_submit(&batch->errands[i]);
                ouro_gather(jobs, batch->count, told);
        }
        for (unsigned i = 0; i < batch->count; i++)
                batch->errands[i].told = told[i];
}

/* A single job has a deadline of its own instead of a gather. */
static void run_single(struct batch *batch)
{
        OURO_GROUP_KEEP_GOING(job_group) {
                ouro_task job = errand_submit(&batch->errands[0]);

                batch->errands[0].told = ouro_wait_for(job, slot_limit(batch->slot, STRESS_STEP_NS));
        }
}

/* Returns the first result that is no success. */
static int judge(struct batch *batch)
{
        struct kind_totals *kind = slot_totals(batch->slot);
        int64_t ns = tool_now_ns() - batch->begin_ns;
        int first = 0;

        for (unsigned i = 0; i < batch->count; i++) {
                struct errand *errand = &batch->errands[i];
                int r = errand_judge(errand);

                if (first == 0)
                        first = r;
                if (r < 0 || !errand_done(errand))
                        continue;
                kind->done++;
                kind->bytes += errand->in.len + errand->out.len;
                histogram_add(&kind->latency_ns, ns);
        }
        return first;
}

static intptr_t one_batch(struct slot *slot)
{
        struct batch batch;
        int r = prepare(&batch, slot), judged;

        if (r == 0 && batch.count == 1)
                run_single(&batch);
        else if (r == 0)
                run_batch(&batch);
        judged = judge(&batch); /* what was not even submitted counts as cancelled */
        for (unsigned i = 0; i < batch.count; i++)
                errand_end(&batch.errands[i]);
        return r < 0 ? r : judged;
}

intptr_t process_round(void *arg)
{
        struct slot *slot = arg;
        struct processes *processes = slot->stress->processes;
        unsigned parity = processes->epoch % 2;
        intptr_t r;

        processes->rounds_out[parity]++;
        r = one_batch(slot);
        processes->rounds_out[parity]--;
        if (parity == 0)
                processes->last_harm_ns = tool_now_ns();
        return r;
}
