/* program.c - somebody else's program: it sees nothing but what was installed, as C11, C17 and C++17. */
#include <ouro.h>
#include <stdio.h>
#include <string.h>

static intptr_t twice(void *arg)
{
        int *number = (int *)arg;

        *number *= 2;
        return *number;
}

static intptr_t sum(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int *numbers = (const int *)in.base;
        int total = 0;

        (void)job;
        for (size_t i = 0; i < in.len / sizeof *numbers; i++)
                total += numbers[i];
        memcpy(out.base, &total, sizeof total);
        return 0;
}

static intptr_t app(void *arg)
{
        int number = 21, total = 0, error = -1;
        const int numbers[] = {1, 2, 3};
        bool expired = true;
        ouro_executor *pool = ouro_thread_pool(NULL);
        ouro_task task = OURO_NO_TASK;

        OURO_TIMEOUT(OURO_SEC(10), &expired) {
                OURO_GROUP(group, &error) {
                        task = ouro_create_task_in(group, twice, &number);
                        if (ouro_await(task) != 42)
                                return 1;
                        task = ouro_submit(pool, sum, OURO_IN(numbers), OURO_OUT(total));
                        if (ouro_await(task) != 0 || total != 6)
                                return 2;
                }
        }
        if (error != 0 || expired || arg != NULL)
                return 3;
        return ouro_executor_close(pool) == 0 ? 0 : 4;
}

int main(void)
{
        struct ouro_options options = OURO_OPTIONS_INIT;
        intptr_t result;

        options.report_stack_overflow = true;
        result = ouro_run_with(&options, app, NULL);
        printf("%s %ld\n", ouro_version(), (long)result);
        return result == 0 ? 0 : 1;
}
