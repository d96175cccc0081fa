/* raw.h - system calls that touch nothing but registers: no errno, no lock, no interceptor of a sanitizer.
 *
 * For code between clone() and exec or exit, in a process that shares the memory of another. Results are
 * the kernel's: negated errnos. */
#ifndef OURO_BASE_RAW_H
#define OURO_BASE_RAW_H

#include <stdint.h>
#include <sys/syscall.h>

/* For functions that run in such a process, on a stack that no sanitizer knows. */
#define raw_code __attribute__((no_sanitize_address, no_sanitize_thread, no_sanitize("undefined"), noinline))

#define raw_word(x) ((long)(uintptr_t)(x))
#define raw_call(n, a, b, c, d, e)                                                                           \
        raw_syscall(n, raw_word(a), raw_word(b), raw_word(c), raw_word(d), raw_word(e))

typedef int raw_body(void *arg); /* never returns */

/* clone(2) for a process that runs body on a stack of its own; the stack holds what it needs to begin:
 *
 *      | body | arg |  <- stack, a multiple of 16
 *
 * glibc's clone() would do, but ThreadSanitizer has its hand on that. */
#if defined(__x86_64__)
static inline __attribute__((always_inline)) long raw_syscall(long n, long a, long b, long c, long d, long e)
{
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        long result;

        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                         : "rcx", "r11", "memory");
        return result;
}

static inline __attribute__((always_inline)) long raw_clone(raw_body *body, char *stack, unsigned long flags,
                                                            void *arg, int *ret_pidfd)
{
        void **sp = (void **)(void *)stack - 2;
        register long r10 __asm__("r10") = 0;
        register long r8 __asm__("r8") = 0;
        long result;

        sp[0] = (void *)(uintptr_t)body;
        sp[1] = arg;
        __asm__ volatile("syscall\n\t"
                         "testq %%rax, %%rax\n\t"
                         "jnz 1f\n\t"
                         "xorl %%ebp, %%ebp\n\t"
                         "popq %%rax\n\t"
                         "popq %%rdi\n\t"
                         "callq *%%rax\n\t"
                         "hlt\n"
                         "1:"
                         : "=a"(result)
                         : "a"((long)SYS_clone), "D"(flags), "S"(sp), "d"(ret_pidfd), "r"(r10), "r"(r8)
                         : "rcx", "r11", "memory");
        return result;
}
#elif defined(__aarch64__)
static inline __attribute__((always_inline)) long raw_syscall(long n, long a, long b, long c, long d, long e)
{
        register long x8 __asm__("x8") = n;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;

        __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
        return x0;
}

static inline __attribute__((always_inline)) long raw_clone(raw_body *body, char *stack, unsigned long flags,
                                                            void *arg, int *ret_pidfd)
{
        void **sp = (void **)(void *)stack - 2;
        register long x8 __asm__("x8") = SYS_clone;
        register long x0 __asm__("x0") = (long)flags;
        register long x1 __asm__("x1") = (long)sp;
        register long x2 __asm__("x2") = (long)ret_pidfd;
        register long x3 __asm__("x3") = 0;
        register long x4 __asm__("x4") = 0;

        sp[0] = (void *)(uintptr_t)body;
        sp[1] = arg;
        __asm__ volatile("svc 0\n\t"
                         "cbnz x0, 1f\n\t"
                         "mov x29, #0\n\t"
                         "mov x30, #0\n\t"
                         "ldp x1, x0, [sp], #16\n\t"
                         "blr x1\n\t"
                         "brk #1\n"
                         "1:"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
                         : "memory");
        return x0;
}
#endif

#endif
