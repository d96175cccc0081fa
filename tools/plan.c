/* plan.c - what the next job for the worker processes shall be like. */
#include "plan.h"

#include "process.h"

#include <signal.h>

enum {
        TINY_MAX = 300, /* with its request it fits into an entry's own place */
        NAP_US_MAX = 8000,
        CUT_MS_MAX = 10,
        ENDLESS_MS_MIN = 10,
        ENDLESS_MS_MAX = 100,
        LEVEL_MAX = 6,
};

/* Longer than any job runs that is not to be cut off by it: one that was to die and did not is found by it.
 */
#define DEADLY_NS OURO_SEC(30)

const char *const chaos_kill_names[CHAOS_KILLS] = {
        [CHAOS_NONE] = "none",
        [CHAOS_JOB_KILL] = "job SIGKILL",
        [CHAOS_JOB_SEGV] = "job SIGSEGV",
        [CHAOS_JOB_ABORT] = "job abort",
        [CHAOS_JOB_TERM] = "job SIGTERM",
        [CHAOS_JOB_STOP] = "job SIGSTOP",
        [CHAOS_JOB_EXIT] = "job exit",
        [CHAOS_JOB_MEMORY] = "job out of memory",
        [CHAOS_JOB_STACK] = "job stack overflow",
        [CHAOS_JOB_STUBBORN] = "job ignores SIGTERM",
        [CHAOS_JOB_CHILD] = "job leaves a child",
        [CHAOS_JOB_ZYGOTE] = "job kills the zygote",
        [CHAOS_KILL] = "SIGKILL",
        [CHAOS_SEGV] = "SIGSEGV",
        [CHAOS_ABORT] = "SIGABRT",
        [CHAOS_TERM] = "SIGTERM",
        [CHAOS_STOP_CONT] = "SIGSTOP, SIGCONT",
        [CHAOS_STOP_KILL] = "SIGSTOP, SIGKILL",
        [CHAOS_ZYGOTE_KILL] = "zygote SIGKILL",
        [CHAOS_ZYGOTE_SEGV] = "zygote SIGSEGV",
        [CHAOS_ZYGOTE_TERM] = "zygote SIGTERM",
        [CHAOS_ZYGOTE_STOP_CONT] = "zygote SIGSTOP, SIGCONT",
        [CHAOS_ZYGOTE_STOP_KILL] = "zygote SIGSTOP, SIGKILL",
};

int chaos_signal(enum chaos_kill kill)
{
        switch (kill) {
        case CHAOS_JOB_SEGV:
        case CHAOS_JOB_STACK:
        case CHAOS_SEGV:
        case CHAOS_ZYGOTE_SEGV:
                return SIGSEGV;
        case CHAOS_JOB_ABORT:
        case CHAOS_JOB_MEMORY:
        case CHAOS_ABORT:
                return SIGABRT;
        case CHAOS_JOB_TERM:
        case CHAOS_TERM:
        case CHAOS_ZYGOTE_TERM:
                return SIGTERM;
        case CHAOS_JOB_KILL:
        case CHAOS_KILL:
        case CHAOS_STOP_KILL:
        case CHAOS_ZYGOTE_KILL:
        case CHAOS_ZYGOTE_STOP_KILL:
                return SIGKILL;
        default:
                return 0;
        }
}

bool chaos_endless(enum chaos_kill kill)
{
        return kill == CHAOS_JOB_STOP || kill == CHAOS_JOB_STUBBORN;
}

/* Many small jobs to each large one, and now and then one of some MiB. */
static void choose_data(struct plan *plan, struct random *random, const struct corpus *corpus)
{
        uint64_t dice = random_below(random, 64);

        plan->times = 1;
        if (dice < 24) {
                plan->piece = corpus_pick(corpus, CORPUS_SMALL, random);
                plan->piece_len = (uint32_t)random_below(random, TINY_MAX + 1);
                if (plan->piece_len > plan->piece->len)
                        plan->piece_len = plan->piece->len;
                return;
        }
        plan->piece = corpus_pick(corpus,
                                  dice < 40   ? CORPUS_SMALL
                                  : dice < 54 ? CORPUS_MIDDLE
                                              : CORPUS_LARGE,
                                  random);
        plan->piece_len = plan->piece->len;
        if (dice >= 62)
                plan->times = 1 + (uint32_t)random_below(random, PLAN_TIMES_MAX);
}

/* The result is now and then of quite another size. */
static size_t choose_copy_len(const struct plan *plan, struct random *random)
{
        size_t data_len = (size_t)plan->piece_len * plan->times;

        switch (random_below(random, 8)) {
        case 0:
                return 0;
        case 1:
                return random_below(random, CORPUS_MIDDLE_MAX);
        case 2:
                return data_len / 2;
        default:
                return data_len;
        }
}

static void choose_harm(struct plan *plan, struct random *random, bool bounded)
{
        enum chaos_kill kill = CHAOS_NONE + 1 + (enum chaos_kill)random_below(random, CHAOS_IN_JOBS - 1);

        /* The zygote dies more seldom: all workers go with it. */
        if (kill == CHAOS_JOB_ZYGOTE && !random_one_in(random, 3))
                kill = CHAOS_JOB_KILL;
        if (kill == CHAOS_JOB_MEMORY && !bounded)
                kill = CHAOS_JOB_ABORT;
        plan->kill = (uint8_t)kill;
        plan->kill_stage = (uint8_t)random_below(random, PROCESS_END + 1);
        plan->kill_attempts = random_one_in(random, 4) ? PLAN_EVERY_ATTEMPT : 1;
        plan->deadline_ns = DEADLY_NS;
        if (chaos_endless(kill))
                plan->deadline_ns = OURO_MS(ENDLESS_MS_MIN) +
                                    (int64_t)random_below(random, OURO_MS(ENDLESS_MS_MAX - ENDLESS_MS_MIN));
}

static void choose_chaos(struct plan *plan, struct random *random, const struct corpus *corpus,
                         const struct plan_mood *mood)
{
        choose_data(plan, random, corpus);
        plan->copy_len = choose_copy_len(plan, random);
        if (plan->times == 1 && plan->piece_len <= CORPUS_MIDDLE_MAX && random_one_in(random, 4))
                plan->level = 1;
        if (random_one_in(random, 4))
                plan->nap_us = (uint32_t)random_below(random, NAP_US_MAX);
        if (random_one_in(random, 3))
                plan->retries = 1 + (unsigned)random_below(random, PLAN_RETRIES_MAX);
        if (mood->harm) {
                choose_harm(plan, random, mood->bounded);
        } else if (random_one_in(random, 32)) {
                plan->nameless = true;
                plan->retries = 0; /* nobody could say of which job a further run is */
        } else if (mood->cut && random_one_in(random, 32)) {
                plan->deadline_ns = 1 + (int64_t)random_below(random, OURO_MS(CUT_MS_MAX));
        }
}

void plan_make(struct plan *ret_plan, struct random *random, const struct corpus *corpus,
               const struct plan_mood *mood)
{
        struct plan plan = {.times = 1};

        plan.in_arena = random_one_in(random, 3);
        plan.out_arena = random_one_in(random, 3);
        if (mood->chaos) {
                choose_chaos(&plan, random, corpus, mood);
        } else {
                plan.piece = corpus_pick(corpus, CORPUS_MIDDLE, random);
                plan.piece_len = plan.piece->len;
                plan.copy_len = plan.piece_len;
                plan.level = (uint8_t)(1 + random_below(random, LEVEL_MAX));
        }
        *ret_plan = plan;
}
