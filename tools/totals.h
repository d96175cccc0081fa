/* totals.h - what a stress run counts: plain data, from the workers to the verdict and the report.
 *
 * Only the loop's thread writes it, so nothing here is atomic. */
#ifndef OURO_TOOL_TOTALS_H
#define OURO_TOOL_TOTALS_H

#include "histogram.h"
#include "leftovers.h"

#include <stdbool.h>
#include <stdint.h>

enum stress_kind {
        STRESS_TCP,
        STRESS_UNIX,
        STRESS_FILE,
        STRESS_JOB,
        STRESS_SLEEP,
        STRESS_CHANNEL,
        STRESS_KINDS,
};

/* As it stands in the table and in the JSON. */
extern const char *const stress_kind_names[STRESS_KINDS];

struct kind_totals {
        uint64_t workers;
        uint64_t done;      /* messages echoed, files checked, jobs done, sleeps slept, items received */
        uint64_t bytes;     /* moved there and back once */
        uint64_t cancelled; /* rounds that ouro_cancel() ended, as was meant */
        uint64_t expired;   /* rounds that a short deadline ended, as was meant */
        uint64_t errors;    /* rounds that ended in any other way */
        int first_error;    /* negative errno of the first of them */
        struct histogram latency_ns;
};

/* Both ends of the echo. A message counts here once its echo has come back and is right. */
struct echo_totals {
        uint64_t sent_bytes;          /* by clients: of whole messages */
        uint64_t echoed_bytes;        /* to clients: the same messages */
        uint64_t dials;               /* begun */
        uint64_t whole_sessions;      /* clients that ended by themselves */
        uint64_t cut_sessions;        /* clients that were cancelled, ran out of time or failed */
        uint64_t accepted;            /* by the servers */
        uint64_t served_whole;        /* connections that ended between two messages */
        uint64_t served_broken;       /* connections that ended inside a message, or by a reset */
        uint64_t served_in_bytes;     /* of the whole ones: received */
        uint64_t served_out_bytes;    /* of the whole ones: sent back */
        uint64_t whole_session_bytes; /* what the clients of whole sessions sent */
        uint64_t corrupt;             /* messages whose checksum was wrong at the server */
        uint64_t server_errors;       /* servers that ended in any other way */
};

struct job_totals {
        uint64_t submitted;
        uint64_t runs;
        uint64_t done;      /* waiter told: done */
        uint64_t cancelled; /* waiter told: cancelled; ran at most once */
        uint64_t failed;    /* waiter told: any other error */
        uint64_t lost;      /* told done, but never ran */
        uint64_t repeated;  /* ran more than once */
        uint64_t untold;    /* nobody was told */
};

struct stress_totals {
        struct kind_totals kinds[STRESS_KINDS];
        struct echo_totals echo;
        struct job_totals job;
        uint64_t cancels; /* asked for by the canceller */
};

/* All that the verdict is made of. */
struct stress_outcome {
        const struct stress_totals *totals;
        struct leftovers leftovers;
        uint64_t files_left; /* in the directory of the run, at its end */
        intptr_t run_result; /* of ouro_run() */
        int64_t elapsed_ns;  /* from the start of the workers to the end of the last */
        uint64_t peak_bytes; /* resident, of the measured run */
        const char *backend; /* that served it */
};

#endif
