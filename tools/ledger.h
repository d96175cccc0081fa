/* ledger.h - which job of the worker processes ran how often: they prove it in a file.
 *
 * Each run of a job begins by appending a record to a memfd that its worker inherited: the record outlives
 * the worker, whatever kills it. A write of one record at the end of a file is one step: it is there whole,
 * or not at all. The host reads the records into marks as the run goes on, gives the file's memory back, and
 * sweeps when no process is left that could write one more. */
#ifndef OURO_TOOL_LEDGER_H
#define OURO_TOOL_LEDGER_H

#include "marks.h"

#include <stdint.h>
#include <sys/types.h>

/* The number of jobs that carry no byte, and so know no number: only their sum can be judged. */
#define LEDGER_NAMELESS UINT64_MAX

enum {
        LEDGER_INTENTS = 16, /* what a run is about to do, as its author numbers them */
};

struct ledger_record {
        uint64_t number; /* of the job, from 0, or LEDGER_NAMELESS */
        uint32_t pid;
        uint16_t attempt;
        uint8_t intent;
        uint8_t check; /* ledger_check() */
};

struct ledger {
        int fd;        /* inherited by workers */
        off_t read_to; /* records before this have been read, and their memory given back */
        struct marks marks;
        uint64_t intents[LEDGER_INTENTS]; /* runs, by what they were about to do */
        struct process_totals *totals;
};

/* Returns 0 or a negative errno. What is counted goes to *totals. */
int ledger_open(struct ledger *ledger, struct process_totals *totals);
void ledger_close(struct ledger *ledger);

/* A job that may be begun again so often. NULL: no memory. Its number is the count of those before it. */
struct mark *ledger_add(struct ledger *ledger, unsigned retries, uint64_t *ret_number);

/* In the worker: this run of a job begins. Returns 0 or a negative errno. */
int ledger_write(int fd, uint64_t number, unsigned attempt, unsigned intent);

/* Takes in at most so many records. Returns how many there were, or a negative errno. */
int ledger_read(struct ledger *ledger, unsigned most);

/* After the last ledger_read(): counts the marks. */
void ledger_sweep(struct ledger *ledger);

#endif
