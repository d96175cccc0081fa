/* middle.c - a library through which a program uses ouro, without being linked with it. */
#include <ouro.h>
#include <stdio.h>

int middle_use(ouro_job_fn *fn);

static intptr_t use(void *arg)
{
        ouro_job_fn *const *fn = arg;
        ouro_executor *pool = ouro_process_pool(NULL);
        intptr_t result = pool ? ouro_await(ouro_submit(pool, *fn, OURO_NO_IN, OURO_NO_OUT)) : -1;

        ouro_executor_close(pool);
        return result;
}

int middle_use(ouro_job_fn *fn)
{
        return (int)ouro_run(use, &fn);
}
