/* empty.c - an empty function in a shared library of its own: the price of a call that does nothing.
 *
 * Nothing that ouro exports can cost less, so it is the unit for what never waits. */
#include "bench.h"

__attribute__((visibility("default"), noinline)) void bench_empty(void *arg)
{
        __asm__ volatile("" : : "r"(arg) : "memory");
}
