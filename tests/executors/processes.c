/* The process pool does what every executor must do; and what it does besides, with options of its own. */
#include <errno.h>
#include <string.h>

#include "executors/suite.h"
#include "support/leaks.h"

static ouro_executor *open_processes(unsigned queue)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.workers = 1;
        options.queue = queue;
        return ouro_process_pool(&options);
}

/* The arena: freed with the pool. */
static void *share(ouro_executor *executor, size_t bytes)
{
        void *span = NULL;

        cr_assert(ouro_arena_alloc(executor, bytes, &span) == 0);
        return span;
}

static const struct executor_kind kind = {"processes", open_processes, share};

#define CASE(name)                                                                                           \
        Test(processes, name, .init = leaks_begin, .fini = leaks_end, .timeout = 60)                         \
        {                                                                                                    \
                suite_##name(&kind);                                                                         \
        }
SUITE_OF_ANY(CASE)
SUITE_OF_WORKERS(CASE)
SUITE_OF_HURRY(CASE)
