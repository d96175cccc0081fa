/* cancel a task that is waiting; awaiting it tells that it was cancelled */
#include "say.h"

static intptr_t worker(void *arg)
{
        (void)arg;
        int error = ouro_sleep(9 * TICK);
        say("clean up");
        return error;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        ouro_task task = ouro_create_task(worker, NULL);
        ouro_sleep(1 * TICK);
        ouro_cancel(task);
        if (ouro_await(task) == -ECANCELED)
                say("awaited: cancelled");
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
