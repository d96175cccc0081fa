/* crash.h - a worker that dies of a signal of its own making says where it was. */
#ifndef OURO_EXECUTORS_CRASH_H
#define OURO_EXECUTORS_CRASH_H

#include <stdint.h>

#include "executors/lane.h"

/* In the zygote, so that the worker that crashes need not load the unwinder. */
void crash_prepare(void);

/* In a worker: handles SIGSEGV and its like where the program has left them alone, by writing a backtrace to
 * head->text and dying of them all the same. mine: nonzero in this process, zero in its children. */
void crash_watch(struct lane_head *head, const volatile uint32_t *mine);

#endif
