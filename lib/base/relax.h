/* relax.h - tells the processor that a loop does nothing but wait. */
#ifndef OURO_BASE_RELAX_H
#define OURO_BASE_RELAX_H

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
}

#endif
