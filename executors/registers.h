/* registers.h - what of a processor's state a crash needs, for each architecture. */
#ifndef OURO_EXECUTORS_REGISTERS_H
#define OURO_EXECUTORS_REGISTERS_H

#include <stdint.h>
#include <ucontext.h>

#if defined(__x86_64__)

static inline uintptr_t *program_counter(ucontext_t *context)
{
        return (uintptr_t *)&context->uc_mcontext.gregs[REG_RIP];
}

static inline uintptr_t *stack_pointer(ucontext_t *context)
{
        return (uintptr_t *)&context->uc_mcontext.gregs[REG_RSP];
}

/* After a call of something that is no code: as if that had returned already. */
static inline void return_from_nowhere(ucontext_t *context)
{
        uintptr_t *sp = stack_pointer(context);

        *program_counter(context) = *(uintptr_t *)*sp;
        *sp += sizeof(uintptr_t);
}

#elif defined(__aarch64__)

static inline uintptr_t *program_counter(ucontext_t *context)
{
        return (uintptr_t *)&context->uc_mcontext.pc;
}

static inline uintptr_t *stack_pointer(ucontext_t *context)
{
        return (uintptr_t *)&context->uc_mcontext.sp;
}

static inline void return_from_nowhere(ucontext_t *context)
{
        *program_counter(context) = (uintptr_t)context->uc_mcontext.regs[30];
}

#else
#error "say where the registers are"
#endif

#endif
