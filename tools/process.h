/* process.h - the jobs that `ouro stress` gives to worker processes: what goes there, and what comes back.
 *
 * A job's in is a request and its data, its out a result and, from there on, the same data over and over
 * until the span is full. Where there is no room for that both are empty, and such a job has no name. */
#ifndef OURO_TOOL_PROCESS_H
#define OURO_TOOL_PROCESS_H

#include "totals.h"

#include <ouro.h>
#include <sys/types.h>

/* What each worker is told at its start: the numbers of what it has inherited. */
struct process_birth {
        int ledger_fd; /* see ledger.h */
        int census_fd; /* see census.h; -1: nobody asks */
        pid_t host;    /* never to be harmed */
};

struct process_request {
        uint64_t number;   /* in the ledger */
        uint64_t data_len; /* that follow: times pieces, all alike */
        uint32_t times;
        uint8_t level;         /* compress and decompress at this level as well; 0: only copy */
        uint8_t kill;          /* enum chaos_kill: how the job ends its worker */
        uint8_t kill_attempts; /* only in so many first attempts */
        uint8_t kill_stage;    /* enum process_stage */
        uint32_t nap_us;       /* sleep so long between the two halves of the work */
};

enum process_stage {
        PROCESS_BEGIN, /* before any of the result is written */
        PROCESS_HALF,
        PROCESS_END, /* after all of it */
};

struct process_result {
        uint64_t number; /* the request's */
        uint32_t crc;    /* of one piece of its data */
        uint32_t attempt;
        uint64_t packed_bytes; /* 0 at level 0 */
};

/* The bodies of the jobs. They return 0, or a negative errno that says what was wrong with the request. */
ouro_job_fn process_job;
ouro_job_fn process_nameless;

/* Returns the worker's number. */
ouro_job_fn process_present;

/* The pool's initializer; in is a struct process_birth. */
ouro_job_fn process_born;

enum { CHAOS_EXIT_STATUS = 3 };

/* Does it; returns only if that is not deadly. chaos_harm.c */
void chaos_harm(enum chaos_kill kill, const struct process_birth *birth);

#endif
