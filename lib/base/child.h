/* child.h - what a process does between clone() and exec while it shares the memory of the one that made it.
 *
 * Nothing but system calls is allowed there (see raw.h), and every signal must be blocked before clone():
 * a handler would run in the maker's memory. */
#ifndef OURO_BASE_CHILD_H
#define OURO_BASE_CHILD_H

#include <stdbool.h>
#include <stdint.h>

enum { CHILD_SIGNALS = 64, CHILD_SIGNALS_BYTES = 8 };

/* ---- in the maker ---- */

uint64_t child_block_signals(void); /* all; returns what was blocked before */
void child_restore_signals(uint64_t before);

/* Takes its status, which nobody wants, and closes pidfd. */
void child_reap(int pidfd);

/* ---- in the child ---- */

/* Bit number - 1 of each signal that is to be ignored; all others have their default effect then. */
void child_set_dispositions(uint64_t ignored);

/* What is handled gets its default effect; what is ignored stays ignored. */
void child_forget_handlers(void);

void child_set_mask(uint64_t blocked);

/* Closes first to last, both included; also before Linux 5.9. */
void child_close_range(unsigned first, unsigned last);

#endif
