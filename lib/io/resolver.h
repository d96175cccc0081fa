/* resolver.h - questions about names: asked of threads that the whole process shares, and answers kept.
 *
 *      task --ask--> question (queued, asked, answered) <--take-- helper thread
 *
 * A question is on the heap and counted: by its askers, by the helper that has it, by the table of those that
 * may be shared. All that is shared is under one lock, which nobody holds for longer than a few steps. */
#ifndef OURO_IO_RESOLVER_H
#define OURO_IO_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "ouro.h"

enum { HOST_KEY_BYTES = 256, SERVICE_KEY_BYTES = 36 };

/* What is asked for; compared byte by byte, so all of it is set, the padding too. */
struct question_key {
        bool reverse; /* address to name */
        int family;
        int type;
        char host[HOST_KEY_BYTES];
        char service[SERVICE_KEY_BYTES];
        struct ouro_address address; /* reverse */
};

struct answer {
        int error; /* 0 or a negated errno */
        int gai;   /* EAI_... or 0 */
        size_t count;
        struct ouro_address *all;
        char host[HOST_KEY_BYTES]; /* reverse */
};

enum question_state {
        QUESTION_QUEUED,
        QUESTION_ASKED,
        QUESTION_ANSWERED,
        QUESTION_WITHDRAWN, /* out of the queue: nobody waits for it any more */
};

struct question {
        struct ouro_list link;   /* in the queue, or in the list of those that are asked */
        struct ouro_list kept;   /* in the table, the one used last at the end */
        struct ouro_list askers; /* of struct asker: tasks that wait */
        struct question_key key;
        struct answer answer; /* written before the state says so, never changed after */
        int64_t answered_ns;  /* CLOCK_MONOTONIC */
        unsigned refs;
        enum question_state state;
        bool is_kept; /* in the table: may be found by others */
};

/* Asks it, or finds the answer; waits. 0, and *ret_question, which is answered and has to be given back by
 * question_release(); else how the wait was cut short, or -ENOMEM. */
int resolver_ask(const struct question_key *key, int64_t max_age_ns, bool fresh,
                 struct question **ret_question);
void question_release(struct question *question);

/* ---- resolve_system.c ---- */
/* In a helper: blocks. */
void system_answer(const struct question_key *key, struct answer *answer);
int errno_of_gai(int gai, int system_error);

/* ---- resolve_ares.c ---- */
/* On the loop; waits. 0: it is answered; else how it was cut short. */
int ares_resolve(const struct question_key *key, const char *servers, struct answer *answer);

/* Tests only: how many threads there are, and how many questions are kept. */
unsigned resolver_threads(void);
size_t resolver_kept(void);

#endif
