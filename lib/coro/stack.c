/* stack.c - reserving, guarding, trimming and giving back stacks.
 *
 * A guard is installed once, when its slab is made: by MADV_GUARD_INSTALL (Linux 6.13), which needs no
 * mapping of its own, in bulk by process_madvise() where that is allowed; else by mprotect(), which splits
 * the mapping, so that at most GUARDS_BY_MPROTECT stacks get one: beyond that vm.max_map_count would end the
 * program. Slabs double in size, so that a small program reserves little and a million stacks need few. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/sys.h"
#include "coro/stack.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* include/uapi/asm-generic/mman-common.h */
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

enum {
        GUARD_BYTES = STACK_PAGE_BYTES,
        TOP_BYTES = STACK_PAGE_BYTES, /* of a trimmed stack that stay */
        SLAB_FIRST = 16,              /* stacks */
        SLAB_MOST = 4096,             /* stacks */
        GUARDS_PER_CALL = 64,         /* 1 KiB of iovecs, on a stack that may be of the least size */
        GUARDS_BY_MPROTECT = 15000,   /* two mappings each, vm.max_map_count is 65,530 by default */
        PIDFD_SELF_PROCESS = -10001,  /* PIDFD_SELF_THREAD_GROUP, include/uapi/linux/pidfd.h, Linux 6.15 */
};

void stack_pool_init(struct stack_pool *pool, size_t stack_bytes)
{
        memset(pool, 0, sizeof *pool);
        pool->stack_bytes = stack_round_up(stack_bytes);
}

void stack_pool_destroy(struct stack_pool *pool)
{
        struct stack_slab *slab;

        for (uint32_t i = 0; i < pool->total; i++)
                sanitize_stack_forget(pool->stacks[i].tool);
        mem_free(pool->stacks, pool->capacity * sizeof *pool->stacks);
        mem_free(pool->free, pool->capacity * sizeof *pool->free);
        while ((slab = pool->slabs)) {
                pool->slabs = slab->next;
                sanitize_unpoison(slab->base, slab->bytes);
                (void)sys_result(munmap(slab->base, slab->bytes));
                mem_free(slab, sizeof *slab);
        }
        stack_pool_init(pool, pool->stack_bytes);
}

static int make_room(struct stack_pool *pool, uint32_t more)
{
        uint32_t from = pool->capacity, to = from ? from : SLAB_FIRST;
        struct stack *stacks;
        uint32_t *free;

        while (to < pool->total + more)
                to *= 2;
        if (to == from)
                return 0;
        stacks = mem_calloc(to * sizeof *stacks);
        free = mem_calloc(to * sizeof *free);
        if (!stacks || !free) {
                mem_free(stacks, to * sizeof *stacks);
                mem_free(free, to * sizeof *free);
                return -ENOMEM;
        }
        if (from) {
                memcpy(stacks, pool->stacks, from * sizeof *stacks);
                memcpy(free, pool->free, from * sizeof *free);
                mem_free(pool->stacks, from * sizeof *stacks);
                mem_free(pool->free, from * sizeof *free);
        }
        pool->stacks = stacks;
        pool->free = free;
        pool->capacity = to;
        return 0;
}

/* How many of the guards from slot i on one call has installed; 0: none, this kernel cannot. */
static size_t guard_some(const struct stack_pool *pool, char *base, size_t i, size_t count)
{
        struct iovec guards[GUARDS_PER_CALL];
        size_t n = count - i < GUARDS_PER_CALL ? count - i : GUARDS_PER_CALL;
        long done = -ENOSYS;

        for (size_t k = 0; k < n; k++)
                guards[k] = (struct iovec){base + (i + k) * pool->stack_bytes, GUARD_BYTES};
        if (!sanitize_on_valgrind()) /* which does not know the call, and says so at length */
                done = sys_result(
                        syscall(SYS_process_madvise, PIDFD_SELF_PROCESS, guards, n, MADV_GUARD_INSTALL, 0));
        if (done > 0)
                return (size_t)done / GUARD_BYTES;
        return sys_result(madvise(guards[0].iov_base, GUARD_BYTES, MADV_GUARD_INSTALL)) == 0;
}

static bool guard_by_mprotect(struct stack_pool *pool, char *guard)
{
        if (pool->mprotected >= GUARDS_BY_MPROTECT || sys_result(mprotect(guard, GUARD_BYTES, PROT_NONE)) < 0)
                return false;
        pool->mprotected++;
        return true;
}

static void install_guards(struct stack_pool *pool, char *base, size_t count)
{
        size_t i = 0, some = 0;

        for (; i < count; i += some)
                if ((some = guard_some(pool, base, i, count)) == 0)
                        break;
        while (i < count && guard_by_mprotect(pool, base + i * pool->stack_bytes))
                i++;
        if (i < count && !pool->told_unguarded) {
                pool->told_unguarded = true;
                log_line(OURO_LOG_WARNING,
                         "more than %u stacks, and this kernel has no light guard pages: "
                         "the others have none",
                         pool->mprotected);
        }
}

/* The largest slab of at most count stacks that can be had, less where memory is short. */
static char *map_slab(const struct stack_pool *pool, size_t *inout_count)
{
        for (size_t count = *inout_count; count > 0; count /= 2) {
                size_t bytes = count * pool->stack_bytes;
                int saved_errno = errno;
                void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

                errno = saved_errno;
                if (base == MAP_FAILED)
                        continue;
                (void)sys_result(madvise(base, bytes, MADV_NOHUGEPAGE)); /* else a visit costs 2 MiB */
                *inout_count = count;
                return base;
        }
        return NULL;
}

static void number_stacks(struct stack_pool *pool, char *base, size_t count)
{
        uint32_t first = pool->total;

        pool->total += (uint32_t)count;
        for (uint32_t i = 0; i < count; i++) {
                pool->stacks[first + i].slot = base + i * pool->stack_bytes;
                pool->stacks[first + i].tool =
                        sanitize_stack_register(base + i * pool->stack_bytes, pool->stack_bytes);
        }
        for (uint32_t i = pool->total; i > first; i--) /* the first on top */
                pool->free[pool->free_count++] = i - 1;
}

int stack_pool_grow(struct stack_pool *pool)
{
        size_t count = pool->total < SLAB_FIRST ? SLAB_FIRST : pool->total;
        struct stack_slab *slab = mem_alloc(sizeof *slab);
        char *base = NULL;

        if (count > SLAB_MOST)
                count = SLAB_MOST;
        while (count > 1 && count * pool->stack_bytes > STACK_MAX_BYTES)
                count /= 2;
        if (slab && make_room(pool, (uint32_t)count) == 0)
                base = map_slab(pool, &count);
        if (!base) {
                mem_free(slab, sizeof *slab);
                return -ENOMEM;
        }
        install_guards(pool, base, count);
        *slab = (struct stack_slab){base, count * pool->stack_bytes, pool->slabs};
        pool->slabs = slab;
        check(pool->free_count == 0);
        number_stacks(pool, base, count);
        pool->clean = pool->free_count;
        pool->idle = pool->free_count;
        return 0;
}

void stack_pool_trim(struct stack_pool *pool)
{
        uint32_t end = pool->idle < pool->free_count ? pool->idle : pool->free_count;

        for (uint32_t i = pool->clean; i < end; i++)
                (void)sys_result(madvise(pool->stacks[pool->free[i]].slot + GUARD_BYTES,
                                         pool->stack_bytes - GUARD_BYTES - TOP_BYTES, MADV_DONTNEED));
        if (end > pool->clean)
                pool->clean = end;
        pool->idle = pool->free_count;
}

bool stack_pool_guards(const struct stack_pool *pool, const void *addr)
{
        for (const struct stack_slab *slab = pool->slabs; slab; slab = slab->next) {
                size_t offset = (size_t)((const char *)addr - slab->base);

                if ((const char *)addr >= slab->base && offset < slab->bytes)
                        return offset % pool->stack_bytes < GUARD_BYTES;
        }
        return false;
}
