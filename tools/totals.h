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
        STRESS_PROCESS,
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
        uint64_t cut_runs;  /* of those: did run */
        uint64_t died;      /* waiter told: its worker process died */
        uint64_t failed;    /* waiter told: any other error */
        uint64_t lost;      /* told done, but never ran */
        uint64_t repeated;  /* ran more than once, or more often than it may be tried again */
        uint64_t untold;    /* nobody was told */
};

/* Jobs of the process pool beyond what all jobs have. */
struct process_totals {
        struct job_totals job;
        uint64_t unduly;      /* runs of an attempt that had run before, or that nobody allowed */
        uint64_t bad_records; /* in the ledger: of no job of ours */
        uint64_t wrong;       /* told done, with a result that is wrong */
        uint64_t torn;        /* their worker died, yet their out span was written */
        uint64_t late_writes; /* wrote to the arena after their waiter had been told */
        uint64_t from_arena;  /* with a span in the arena */
        uint64_t idempotent;
        /* Jobs without a byte in or out: nobody knows which of them ran, only how many. */
        uint64_t nameless;
        uint64_t nameless_done;
        uint64_t nameless_runs;
        /* As the pool itself counts. */
        uint64_t restarts;
        uint64_t recycled;
        uint64_t retried;
        uint64_t workers; /* that there should be */
};

/* What is done to worker processes and to the zygote they come from. */
enum chaos_kill {
        CHAOS_NONE, /* a job that does no harm */
        /* By a job, to the worker it runs in. */
        CHAOS_JOB_KILL,
        CHAOS_JOB_SEGV,
        CHAOS_JOB_ABORT,
        CHAOS_JOB_TERM,
        CHAOS_JOB_STOP, /* for ever: only its deadline finds that out */
        CHAOS_JOB_EXIT,
        CHAOS_JOB_MEMORY, /* allocates until its limit, then aborts */
        CHAOS_JOB_STACK,
        CHAOS_JOB_STUBBORN, /* ignores SIGTERM and the clock */
        CHAOS_JOB_CHILD,    /* leaves a process behind */
        CHAOS_JOB_ZYGOTE,   /* SIGKILL to the zygote */
        CHAOS_IN_JOBS,
        /* By the host, at any moment. */
        CHAOS_KILL = CHAOS_IN_JOBS,
        CHAOS_SEGV,
        CHAOS_ABORT,
        CHAOS_TERM,
        CHAOS_STOP_CONT, /* stopped for a moment */
        CHAOS_STOP_KILL, /* stopped for a moment, then killed */
        CHAOS_ZYGOTE_KILL,
        CHAOS_ZYGOTE_SEGV,
        CHAOS_ZYGOTE_TERM,
        CHAOS_ZYGOTE_STOP_CONT,
        CHAOS_ZYGOTE_STOP_KILL,
        CHAOS_KILLS,
};

extern const char *const chaos_kill_names[CHAOS_KILLS];

struct chaos_totals {
        uint64_t kills[CHAOS_KILLS];
        uint64_t reports;             /* of jobs that died with their worker */
        uint64_t reports_missing;     /* such jobs without one */
        uint64_t reports_odd;         /* which contradict themselves */
        uint64_t unasked;             /* jobs whose worker died though nobody had done it any harm */
        int unasked_signal;           /* of the first of those */
        uint64_t survived;            /* jobs that should have died, and were told to have been done */
        uint64_t backtraces;          /* in reports */
        uint64_t quarantined;         /* jobs that were given up */
        uint64_t with_zygote;         /* jobs that were lost with the zygote */
        uint64_t calms;               /* how often the pool was let alone, to see it whole */
        uint64_t calms_short;         /* of those: it was not whole in time */
        uint64_t unserved;            /* workers that then did not do a job in time */
        struct histogram strength_ns; /* from calm to full strength */
        struct histogram replaced_ns; /* from SIGKILL to the first sign of life of the next worker */
};

/* How long the loop did not come round, beyond what was slept. */
struct blocked_totals {
        int64_t longest_ns;
        int64_t longest_queued_ns; /* of that: waiting for a processor that others had */
        int64_t longest_own_ns;    /* the longest without such waiting */
        struct histogram gap_ns;
};

struct stress_totals {
        struct kind_totals kinds[STRESS_KINDS];
        struct echo_totals echo;
        struct job_totals job;
        struct process_totals process;
        struct chaos_totals chaos;
        struct blocked_totals blocked;
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
        bool with_processes; /* there was a process pool */
        bool with_chaos;     /* and it was harmed */
        bool strays;         /* some process of it was still there long after its end */
};

#endif
