/* plan.h - what the next job for the worker processes shall be like: sizes, places, and how it ends its
 * worker.
 *
 * A pure function of the random stream and of what is allowed at the moment. */
#ifndef OURO_TOOL_PLAN_H
#define OURO_TOOL_PLAN_H

#include "corpus.h"
#include "totals.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is allowed. */
struct plan_mood {
        bool chaos;   /* all sizes, retries, and other pastimes of a chaos run; else only plain work */
        bool harm;    /* this job shall end its worker, if chaos */
        bool cut;     /* it may have a deadline that it misses, if chaos */
        bool bounded; /* workers have a limit of memory */
};

struct plan {
        const struct piece *piece; /* its first piece_len bytes, so many times, are the data */
        uint32_t piece_len;
        uint32_t times;
        size_t copy_len; /* of the data's copy in the result */
        bool nameless;   /* nothing goes there or comes back */
        bool in_arena;
        bool out_arena;
        uint8_t level;
        uint8_t kill; /* enum chaos_kill */
        uint8_t kill_attempts;
        uint8_t kill_stage;
        uint32_t nap_us;
        unsigned retries;
        int64_t deadline_ns;
};

enum {
        PLAN_TIMES_MAX = 16,
        PLAN_EVERY_ATTEMPT = UINT8_MAX, /* as kill_attempts */
        PLAN_RETRIES_MAX = 4,
};

void plan_make(struct plan *ret_plan, struct random *random, const struct corpus *corpus,
               const struct plan_mood *mood);

/* How a worker ends that is done this to: a signal; 0: by an exit status, or it does not end by that. */
int chaos_signal(enum chaos_kill kill);

/* Such a job cannot end by itself: only its deadline, or being cancelled, ends it. */
bool chaos_endless(enum chaos_kill kill);

#endif
