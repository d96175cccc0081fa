/* futex.h - sleeping on a word of this process until another thread changes it.
 *
 * A condition variable costs a lock that the sleeper must get back before it can go on, often while the one
 * who woke it still holds it: two more system calls for every wake. */
#ifndef OURO_BASE_FUTEX_H
#define OURO_BASE_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"

/* Sleeps while *word is value, at most timeout_ns (less than zero: for ever). May return for no reason;
 * false: the time is over. */
static inline bool futex_wait(atomic_uint *word, unsigned value, int64_t timeout_ns)
{
        const struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};

        return sys_result(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
                                  timeout_ns < 0 ? NULL : &timeout)) != -ETIMEDOUT;
}

/* Wakes all who sleep on word, which need not be there any more: nobody looks at what is in it. */
static inline void futex_wake(atomic_uint *word)
{
        (void)sys_result(syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX));
}

#endif
