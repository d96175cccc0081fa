/* functions.c - the number by which workers know a function: its module's, and its offset in that.
 *
 * Modules are numbered once for the whole pool, and each lane is told of all of them. A library that
 * functions of jobs are in stays loaded until the pool is freed: another one at the same address would be
 * taken for it. */
#include <errno.h>
#include <dlfcn.h>
#include <string.h>

#include "base/alloc.h"
#include "executors/module.h"
#include "executors/process_pool.h"

enum { MODULE_SHIFT = 48 };

static size_t modules_bytes(void)
{
        return LANE_MODULES_MOST * sizeof(struct lane_module);
}

static size_t handles_bytes(void)
{
        return LANE_MODULES_MOST * sizeof(void *);
}

int functions_init(struct functions *functions)
{
        functions->modules = mem_alloc(modules_bytes());
        functions->handles = mem_calloc(handles_bytes());
        return functions->modules && functions->handles ? 0 : -ENOMEM;
}

void functions_fini(struct functions *functions)
{
        for (unsigned i = 0; i < functions->modules_len; i++)
                if (functions->handles[i])
                        dlclose(functions->handles[i]);
        mem_free(functions->modules, modules_bytes());
        mem_free(functions->handles, handles_bytes());
}

/* The module's number, a new one if it is not known yet. */
static int module_number(struct functions *functions, const struct lane_module *module)
{
        unsigned n = functions->modules_len;

        for (unsigned i = 0; i < n; i++)
                if (memcmp(&functions->modules[i], module, sizeof *module) == 0)
                        return (int)i;
        if (n == LANE_MODULES_MOST)
                return -EINVAL;
        functions->modules[n] = *module;
        functions->modules_len++;
        return (int)n;
}

static struct function *cached(struct functions *functions, ouro_job_fn *fn)
{
        uintptr_t bits = (uintptr_t)fn;

        return &functions->cache[(bits >> 4 ^ bits >> 10) % FUNCTIONS_CACHED];
}

/* Looks at files and takes the dynamic linker's lock: not under ours. */
static int find_uncached(struct process_pool *pool, ouro_job_fn *fn, uint64_t *ret_module_fn)
{
        struct functions *functions = &pool->functions;
        struct lane_module module;
        uint64_t offset;
        void *handle = NULL;
        int number;

        pthread_mutex_unlock(&pool->lock);
        memset(&module, 0, sizeof module);
        number = module_find((const void *)fn, &module, &offset);
        if (number == 0 && module.path[0])
                handle = dlopen(module.path, RTLD_LAZY | RTLD_NOLOAD);
        pool_lock(pool);
        if (number == 0)
                number = module_number(functions, &module);
        if (number < 0)
                return number;
        if (functions->handles[number] == NULL)
                functions->handles[number] = handle;
        else if (handle)
                dlclose(handle); /* one is enough; its count does not reach zero */
        *ret_module_fn = (uint64_t)number << MODULE_SHIFT | offset;
        *cached(functions, fn) = (struct function){fn, *ret_module_fn};
        return 0;
}

int function_find(struct process_pool *pool, ouro_job_fn *fn, uint64_t *ret_module_fn)
{
        const struct function *slot = cached(&pool->functions, fn);

        if (unlikely(slot->fn != fn))
                return find_uncached(pool, fn, ret_module_fn);
        *ret_module_fn = slot->module_fn;
        return 0;
}

/* Before an entry that refers to them. */
void functions_tell(const struct functions *functions, struct worker *worker)
{
        const struct lane *lane = &worker->lane;
        unsigned told = worker->modules_told, n = functions->modules_len;

        if (likely(told == n))
                return;
        memcpy(&lane->modules[told], &functions->modules[told], (n - told) * sizeof *functions->modules);
        atomic_store_explicit(&lane->head->modules, n, memory_order_release);
        worker->modules_told = n;
}
