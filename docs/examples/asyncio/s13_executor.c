/* jobs in a thread pool and a process pool, gathered with a coroutine under one call */
#include "say.h"

static intptr_t add_up(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        intptr_t total = 0;

        (void)job, (void)out;
        for (int i = 0, n = *(const int *)in.base; i < n; i++)
                total += i;
        return total;
}

static intptr_t tick(void *arg)
{
        (void)arg;
        ouro_sleep(1 * TICK);
        return 1;
}

static intptr_t main_task(void *arg)
{
        struct ouro_thread_options one_thread = OURO_THREAD_OPTIONS_INIT;
        struct ouro_process_options one_process = OURO_PROCESS_OPTIONS_INIT;
        const int thousand = 1000, two_thousand = 2000;
        intptr_t results[3] = {0, 0, 0};
        ouro_executor *threads, *processes;

        (void)arg;
        one_thread.threads = one_process.workers = 1;
        threads = ouro_thread_pool(&one_thread);
        processes = ouro_process_pool(&one_process);
        ouro_task tasks[] = {
                ouro_create_task(tick, NULL),
                ouro_submit(threads, add_up, OURO_IN(thousand), OURO_NO_OUT),
                ouro_submit(processes, add_up, OURO_IN(two_thousand), OURO_NO_OUT),
        };
        ouro_gather(tasks, 3, results);
        ouro_executor_close(processes);
        ouro_executor_close(threads);
        printf("%ld %ld %ld\n", (long)results[0], (long)results[1], (long)results[2]);
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
