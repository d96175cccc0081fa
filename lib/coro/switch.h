/* switch.h - leaving one stack for another. Implemented in arch/, one file per processor.
 *
 * A suspended coroutine is one pointer: the top of its stack, where its callee-saved registers, its
 * floating-point control words and its errno lie (each arch file draws them). They belong to the task. */
#ifndef OURO_CORO_SWITCH_H
#define OURO_CORO_SWITCH_H

#include <stdint.h>

struct coro;

/* Suspends the caller into *save_sp and resumes the coroutine suspended at load_sp, whose own call returns
 * value. Returns what the one that resumes the caller passes. */
intptr_t switch_to(void **save_sp, void *load_sp, intptr_t value, int *errno_at);

/* The same, for callers that return an int and can so end in a jump to it. */
int switch_to_int(void **save_sp, void *load_sp, intptr_t value, int *errno_at) __asm__("switch_to");

/* Suspends the caller into *save_sp and runs coro_body(fresh) on the empty stack below stack_top (16-byte
 * aligned), then coro_exit(), and goes where that says. */
intptr_t switch_start(void **save_sp, void *stack_top, struct coro *fresh, int *errno_at);

/* Called by assembly only. */
intptr_t coro_body(struct coro *fresh);

struct coro_next {
        void *sp;       /* resume this one with value ... */
        intptr_t value; /* ... or, sp being NULL, run this fresh coroutine on the stack that is in use */
};
struct coro_next coro_exit(intptr_t result);

/* coro_unwound(), in leave.c, is switch_start's personality routine: no unwinder passes a task's entry. */

#endif
