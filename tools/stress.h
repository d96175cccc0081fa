/* stress.h - the parts of `ouro stress`, and what they share.
 *
 * One loop carries everything. A *slot* is a place that is always at work: it creates a task for one *round*
 * of its kind (a session of messages, a file, a batch of jobs, a sleep, a channel), awaits it under a
 * deadline, counts how it ended, and begins again. Rounds are what gets cancelled; slots never are. */
#ifndef OURO_TOOL_STRESS_H
#define OURO_TOOL_STRESS_H

#include "corpus.h"
#include "marks.h"
#include "random.h"
#include "totals.h"

#include <ouro.h>

struct stress_options {
        int64_t duration_ns;
        unsigned connections; /* half TCP, half Unix */
        unsigned tasks;       /* other slots, dealt out to files, jobs, sleeps, channels and process jobs */
        unsigned threads;     /* 0: the pool's default */
        unsigned processes;   /* 0: as threads */
        bool no_processes;    /* there is no process pool */
        bool chaos;           /* its processes are killed */
        enum ouro_backend backend;
        uint64_t seed;
        const char *json; /* a file's name, "-" for stdout, or NULL */
        bool quiet;
        bool help; /* nothing else was asked for */
};

enum {
        STRESS_ADDRESS_ROOM = 108,
        ECHO_SERVERS = 2,  /* by STRESS_TCP and STRESS_UNIX */
        ECHO_ACCEPTS = 16, /* at a time, for each: one takes a turn of the loop, and a crowd may be waiting */
};

struct slot;
struct processes;

/* One measured or warming run. */
struct stress {
        const struct stress_options *options;
        const struct corpus *corpus;
        struct stress_totals *totals;
        struct marks *marks;
        int64_t duration_ns;
        bool warm_up; /* nobody looks at the counts */
        bool live;    /* a line every second */
        int directory_fd;
        ouro_executor *pool;         /* threads */
        struct processes *processes; /* NULL: there are none */
        bool strays;                 /* they were not gone long after their pool was closed */
        struct slot *slots;
        size_t slot_count;
        bool stopping; /* rounds end soon, no new ones begin */
        int64_t elapsed_ns;
        const char *backend;                               /* that serves it */
        char addresses[ECHO_SERVERS][STRESS_ADDRESS_ROOM]; /* of the echo servers */
};

struct slot {
        struct stress *stress;
        enum stress_kind kind;
        uint64_t number;
        uint64_t rounds;
        struct random random;
        ouro_task round;
        bool asked;   /* the canceller has cancelled this round */
        bool hurried; /* this round is under a deadline that it may miss */
};

/* Longer than anything may take on a slow and busy machine: who reaches these deadlines has been forgotten.
 */
#define STRESS_ROUND_NS OURO_SEC(120)
#define STRESS_STEP_NS OURO_SEC(30)

/* options of the command line: 0, or -EINVAL after one line on stderr */
int stress_parse(int argc, char **argv, struct stress_options *ret_options);
void stress_usage(void);

/* stress_work.c */
intptr_t stress_main(void *stress);
struct kind_totals *slot_totals(const struct slot *slot);
/* usual_ns, or now and then a deadline that may well be missed, remembered in slot->hurried */
int64_t slot_limit(struct slot *slot, int64_t usual_ns);

/* the bodies of rounds; each takes its slot, and returns 0 or a negative errno */
intptr_t echo_round(void *slot);
intptr_t file_round(void *slot);
intptr_t job_round(void *slot);
intptr_t sleep_round(void *slot);
intptr_t channel_round(void *slot);
intptr_t process_round(void *slot);

struct acceptor {
        struct echo_totals *echo;
        int fd;
};

struct echo_servers {
        struct acceptor acceptors[ECHO_SERVERS];
        ouro_task tasks[ECHO_SERVERS * ECHO_ACCEPTS];
};

/* Opens the listeners, fills in stress->addresses, and serves in tasks of the innermost group, to which
 * *servers is lent. Returns 0 or a negative errno; then nothing stays. */
int echo_serve(struct stress *stress, struct echo_servers *servers);

/* Accepts no more, and waits for the connections that are still open: they end when their clients do.
 * Returns 0 or a negative errno. */
int echo_stop(struct echo_servers *servers);

#endif
