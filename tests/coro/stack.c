/* stack.c - the pool of stacks: growth, reuse, staggered tops, guards, trimming, shortage. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ouro.h>

#include "coro/child.h"
#include "coro/stack.h"

enum { STACK_BYTES = 64 * 1024, PAGE_BYTES = 4096, GUARD_INSTALL = 102 };

static struct stack_pool pool;
static int probe_fds[2];

static void set_up(void)
{
        stack_pool_init(&pool, STACK_BYTES);
        cr_assert(pipe(probe_fds) == 0);
}

static void tear_down(void)
{
        stack_pool_destroy(&pool);
        if (ouro_set_allocator(NULL) != 0)
                abort(); /* something was not given back; an assertion here would not count */
}

TestSuite(stack, .init = set_up, .fini = tear_down);

static uint32_t get(void)
{
        uint32_t number = 0;

        cr_assert(stack_get(&pool, &number));
        return number;
}

static char *slot_of(uint32_t number)
{
        return pool.stacks[number].slot;
}

/* The kernel reads the byte for us, so that a guard gives an error and no signal. */
static bool readable(const char *addr)
{
        char byte;

        if (write(probe_fds[1], addr, 1) < 0) {
                cr_assert(errno == EFAULT);
                return false;
        }
        cr_assert(read(probe_fds[0], &byte, 1) == 1);
        return true;
}

/* ---- growth and reuse ---- */

Test(stack, reserves_nothing_before_the_first_is_wanted)
{
        cr_assert(pool.total == 0 && !pool.slabs);
        cr_assert(get() == 0);
        cr_assert(pool.total == 16);
}

Test(stack, slabs_double_as_more_are_wanted)
{
        uint32_t totals[] = {16, 32, 64, 128, 256}, seen = 0;

        for (uint32_t i = 0; i < 256; i++) {
                cr_assert(get() == i, "numbers go up: the top page of a new stack lies near the last one");
                if (i + 1 == totals[seen])
                        cr_assert(pool.total == totals[seen++]);
        }
        cr_assert(seen == 5);
}

Test(stack, growth_is_bounded_by_4096_stacks_a_slab)
{
        for (uint32_t i = 0; i < 20000; i++)
                get();
        for (struct stack_slab *slab = pool.slabs; slab; slab = slab->next)
                cr_assert(slab->bytes <= (size_t)4096 * STACK_BYTES);
}

Test(stack, big_stacks_come_in_small_slabs)
{
        stack_pool_init(&pool, 256 << 20);
        get();
        cr_assert(pool.slabs->bytes <= STACK_MAX_BYTES);
}

Test(stack, last_put_is_first_got)
{
        uint32_t numbers[40];

        for (size_t i = 0; i < 40; i++)
                numbers[i] = get();
        for (size_t i = 0; i < 40; i += 2)
                stack_put(&pool, numbers[i]);
        for (size_t i = 40; i > 0; i -= 2)
                cr_assert(get() == numbers[i - 2]);
}

Test(stack, no_two_that_are_out_overlap)
{
        char *before = NULL;

        for (uint32_t i = 0; i < 16; i++) {
                char *slot = slot_of(get());

                cr_assert(!before || slot == before + STACK_BYTES);
                before = slot;
        }
}

Test(stack, size_is_rounded_up_to_pages)
{
        stack_pool_init(&pool, 20000);
        get();
        cr_assert(pool.stack_bytes == 20480);
        cr_assert((uintptr_t)slot_of(0) % PAGE_BYTES == 0 && (uintptr_t)slot_of(1) % PAGE_BYTES == 0);
}

Test(stack, tops_are_staggered_within_one_page)
{
        bool taken[PAGE_BYTES] = {false};

        for (uint32_t i = 0; i < 32; i++) {
                uint32_t number = get();
                uintptr_t top = (uintptr_t)stack_top(&pool, number);
                size_t below = (uintptr_t)slot_of(number) + STACK_BYTES - top;

                cr_assert(top % 16 == 0, "the ABIs want it");
                cr_assert(below < PAGE_BYTES / 2 && !taken[below], "stack %u", number);
                taken[below] = true;
        }
}

/* ---- guards ---- */

static void check_guards(uint32_t count)
{
        for (uint32_t i = 0; i < count; i++) {
                char *slot = slot_of(i);

                cr_assert(!readable(slot) && !readable(slot + PAGE_BYTES - 1), "stack %u", i);
                cr_assert(readable(slot + PAGE_BYTES) && readable(slot + STACK_BYTES - 1), "stack %u", i);
                cr_assert(stack_pool_guards(&pool, slot));
                cr_assert(stack_pool_guards(&pool, slot + PAGE_BYTES - 1));
                cr_assert(!stack_pool_guards(&pool, slot + PAGE_BYTES));
        }
        cr_assert(!stack_pool_guards(&pool, &pool));
        cr_assert(!stack_pool_guards(&pool, NULL));
}

static bool kernel_has_light_guards(void)
{
        void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        bool has = madvise(page, PAGE_BYTES, GUARD_INSTALL) == 0;

        munmap(page, PAGE_BYTES);
        return has;
}

static size_t count_mappings(void)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        size_t lines = 0;
        int c;

        cr_assert(maps);
        while ((c = getc(maps)) != EOF)
                lines += c == '\n';
        fclose(maps);
        return lines;
}

Test(stack, each_has_a_guard_page_below_it)
{
        for (int i = 0; i < 2000; i++) /* a slab of more guards than one call installs */
                get();
        check_guards(2000);
}

Test(stack, guards_cost_no_mapping_where_the_kernel_can)
{
        size_t before = count_mappings();

        if (!kernel_has_light_guards())
                cr_skip_test("this kernel is older than 6.13");
        for (int i = 0; i < 2000; i++)
                get();
        cr_assert(pool.mprotected == 0);
        cr_assert(count_mappings() < before + 20);
}

/* From now on this process has the system calls of an older kernel. */
static void deny_light_guards(bool also_to_madvise)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 440 /* process_madvise */, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, also_to_madvise ? GUARD_INSTALL : UINT32_MAX, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                cr_skip_test("no seccomp here");
}

Test(stack, guards_come_one_by_one_where_process_madvise_is_denied)
{
        if (!kernel_has_light_guards())
                cr_skip_test("this kernel is older than 6.13");
        deny_light_guards(false);
        for (int i = 0; i < 40; i++)
                get();
        cr_assert(pool.mprotected == 0);
        check_guards(40);
}

Test(stack, older_kernels_guard_by_mprotect)
{
        deny_light_guards(true);
        for (int i = 0; i < 40; i++)
                get();
        cr_assert(pool.mprotected == pool.total);
        check_guards(40);
}

static unsigned warnings;

static void count_warning(enum ouro_log_level level, const char *line, void *arg)
{
        (void)line, (void)arg;
        warnings += level == OURO_LOG_WARNING;
}

/* Beyond that number of mappings the program would end: the others go without, and that is told once. */
Test(stack, guards_by_mprotect_stop_before_mappings_run_out)
{
        ouro_set_log(count_warning, NULL);
        deny_light_guards(true);
        for (int i = 0; i < 30000; i++)
                get();
        cr_assert(pool.mprotected == 15000);
        cr_assert(count_mappings() < 32000);
        cr_assert(warnings == 1);
}

/* ---- trimming ---- */

static size_t resident_pages(uint32_t number)
{
        unsigned char resident[STACK_BYTES / PAGE_BYTES];
        size_t pages = 0;

        cr_assert(mincore(slot_of(number), STACK_BYTES, resident) == 0);
        for (size_t i = 0; i < sizeof resident; i++)
                pages += resident[i] & 1;
        return pages;
}

static void use_deeply(uint32_t number)
{
        memset(slot_of(number) + PAGE_BYTES, 1, STACK_BYTES - PAGE_BYTES);
        cr_assert(resident_pages(number) >= 15);
}

Test(stack, a_deep_one_that_stays_idle_keeps_its_top_page_only)
{
        uint32_t number = get();

        stack_pool_trim(&pool);
        use_deeply(number);
        stack_put(&pool, number);
        stack_pool_trim(&pool); /* it was in use since the last look */
        cr_assert(resident_pages(number) >= 15);
        stack_pool_trim(&pool);
        cr_assert(resident_pages(number) == 1);
        cr_assert(slot_of(number)[STACK_BYTES - 1] == 1, "the top page is the same");
}

Test(stack, trimming_leaves_those_in_use_alone)
{
        uint32_t used = get(), idle = get();

        use_deeply(used);
        use_deeply(idle);
        stack_put(&pool, idle);
        for (int i = 0; i < 3; i++)
                stack_pool_trim(&pool);
        cr_assert(resident_pages(used) >= 15);
        cr_assert(resident_pages(idle) == 1);
}

Test(stack, trimmed_and_used_again_it_is_trimmed_again)
{
        for (int i = 0; i < 3; i++) {
                uint32_t number = get();

                use_deeply(number);
                stack_put(&pool, number);
                stack_pool_trim(&pool);
                stack_pool_trim(&pool);
                cr_assert(resident_pages(number) == 1, "round %d", i);
        }
}

Test(stack, guards_outlive_a_trim)
{
        uint32_t number = get();

        use_deeply(number);
        stack_put(&pool, number);
        stack_pool_trim(&pool);
        stack_pool_trim(&pool);
        check_guards(1);
}

/* ---- shortage ---- */

static void limit_address_space(size_t more)
{
        FILE *statm = fopen("/proc/self/statm", "re");
        struct rlimit limit;
        size_t pages;

        cr_assert(statm && fscanf(statm, "%zu", &pages) == 1);
        fclose(statm);
        limit.rlim_cur = limit.rlim_max = pages * PAGE_BYTES + more;
        cr_assert(setrlimit(RLIMIT_AS, &limit) == 0);
}

static int short_of_address_space(void)
{
        uint32_t number;
        unsigned got = 0;

        limit_address_space(5 * STACK_BYTES + STACK_BYTES / 2);
        while (stack_get(&pool, &number))
                got++;
        return (int)got;
}

Test(stack, short_of_memory_smaller_slabs_are_tried, .disabled = SANITIZED)
{
        struct child_end end = child_run(short_of_address_space);

        cr_assert(end.signal == 0);
        cr_assert(end.status >= 4 && end.status <= 5, "%d", end.status);
}

static bool deny;

static void *maybe_allocate(size_t bytes, void *arg)
{
        (void)arg;
        return deny ? NULL : malloc(bytes);
}

static void release(void *ptr, size_t bytes, void *arg)
{
        (void)bytes, (void)arg;
        free(ptr);
}

Test(stack, growth_that_fails_changes_nothing)
{
        const struct ouro_allocator allocator = {maybe_allocate, release, NULL};
        uint32_t number = 12345;

        cr_assert(ouro_set_allocator(&allocator) == 0);
        for (int i = 0; i < 16; i++)
                get();
        deny = true;
        cr_assert(!stack_get(&pool, &number));
        cr_assert(stack_pool_grow(&pool) == -ENOMEM);
        cr_assert(number == 12345 && pool.total == 16 && pool.free_count == 0);
        deny = false;
        cr_assert(get() == 16);
}
