/* library.c - a shared library with a job, for programs in other languages. */
#include <ouro.h>

intptr_t add_up(struct ouro_job *job, struct ouro_in in, struct ouro_out out);
int open_pool(int start, const char *helper, ouro_executor **ret_pool);
intptr_t add_in(ouro_executor *pool, const int *numbers, size_t n);

static int made;

__attribute__((constructor)) static void construct(void)
{
        made = 1000;
}

__attribute__((visibility("default"))) intptr_t add_up(struct ouro_job *job, struct ouro_in in,
                                                       struct ouro_out out)
{
        const int *numbers = (const int *)in.base;
        intptr_t sum = made;

        (void)job, (void)out;
        for (size_t i = 0; i < in.len / sizeof *numbers; i++)
                sum += numbers[i];
        return sum;
}

/* What such a program calls. */
__attribute__((visibility("default"))) int open_pool(int start, const char *helper, ouro_executor **ret_pool)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.start = (enum ouro_start)start;
        options.helper = helper;
        options.workers = 1;
        return ouro_process_pool_open(&options, ret_pool);
}

__attribute__((visibility("default"))) intptr_t add_in(ouro_executor *pool, const int *numbers, size_t n)
{
        return ouro_call(pool, add_up, ouro_in(numbers, n * sizeof *numbers), OURO_NO_OUT, NULL);
}
