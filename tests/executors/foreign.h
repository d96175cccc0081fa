/* foreign.h - a system call by the way of another ABI that this architecture has. */
#ifndef OURO_TESTS_EXECUTORS_FOREIGN_H
#define OURO_TESTS_EXECUTORS_FOREIGN_H

#include <stdbool.h>

#ifdef __x86_64__
enum { FOREIGN_THERE = true };
static inline void foreign_getpid(void)
{
        long number = 20; /* getpid of i386, writev of this */

        __asm__ volatile("int $0x80" : "+a"(number) : : "memory", "r8", "r9", "r10", "r11");
}
#else
enum { FOREIGN_THERE = false };
static inline void foreign_getpid(void)
{
}
#endif

#endif
