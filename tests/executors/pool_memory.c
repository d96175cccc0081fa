/* pool_memory.c - the address space that a process pool reserves: limits on it, and programs that lock
 * theirs. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ouro.h>

#include "support/leaks.h"
#include "support/limits.h"

TestSuite(pool_memory, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static intptr_t tell_pid(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return getpid();
}

static long resident_kib(void)
{
        FILE *status = fopen("/proc/self/status", "re");
        char line[256];
        long kib = -1;

        cr_assert(status);
        while (fgets(line, sizeof line, status) && sscanf(line, "VmRSS: %ld", &kib) != 1)
                ;
        fclose(status);
        return kib;
}

/* mlockall(MCL_FUTURE) has the kernel fill in all that is mapped from then on. */
Test(pool_memory, a_program_that_locks_its_memory_does_not_get_all_of_it_at_once)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool;
        long before_kib;

        options.workers = 2;
        if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
                cr_skip_test("memory cannot be locked here");
        before_kib = resident_kib();
        cr_assert(ouro_process_pool_open(&options, &pool) == 0);
        cr_assert(ouro_call(pool, tell_pid, OURO_NO_IN, OURO_NO_OUT, NULL) > 0);
        cr_expect(resident_kib() - before_kib < 100 << 10, "%ld KiB of more than 20 GiB",
                  resident_kib() - before_kib);
        cr_assert(ouro_executor_close(pool) == 0);
        munlockall();
}

Test(pool_memory, a_pool_whose_window_is_not_allowed_is_not_opened)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        struct rlimit before = limit_address_space(2ULL << 30);
        ouro_executor *pool = NULL;

        options.workers = 1;
        options.message_bytes = 16 << 20;
        cr_expect(ouro_process_pool_open(&options, &pool) == -ENOMEM && !pool, "16 GiB by default");
        options.arena_bytes = 64 << 20;
        cr_expect(ouro_process_pool_open(&options, &pool) == 0);
        if (pool)
                cr_expect(ouro_executor_close(pool) == 0);
        limit_restore(before);
}

/* ---- every allocation fails in turn ---- */

static atomic_int left; /* allocations until one fails */

static void *allocate(size_t bytes, void *unused)
{
        (void)unused;
        return atomic_fetch_sub(&left, 1) == 0 ? NULL : malloc(bytes);
}

static void release(void *ptr, size_t bytes, void *unused)
{
        (void)bytes, (void)unused;
        free(ptr);
}

Test(pool_memory, f90_each_allocation_of_opening_may_fail)
{
        const struct ouro_allocator scarce = {allocate, release, NULL};
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        int refused = 0;

        options.workers = 2;
        cr_assert(ouro_set_allocator(&scarce) == 0);
        for (int nth = 0;; nth++) {
                ouro_executor *pool = NULL;
                int r;

                left = nth;
                r = ouro_process_pool_open(&options, &pool);
                if (r == 0) {
                        left = -1; /* all others succeed */
                        cr_assert(ouro_executor_close(pool) == 0);
                        break;
                }
                cr_assert(r == -ENOMEM && !pool, "allocation %d: %d", nth, r);
                refused++;
        }
        cr_assert(refused >= 3);
        cr_assert(ouro_set_allocator(NULL) == 0, "nothing is left of any of them");
}
