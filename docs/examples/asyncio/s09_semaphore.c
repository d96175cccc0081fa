/* at most two at a time, first come first served */
#include "say.h"

static struct ouro_semaphore semaphore = OURO_SEMAPHORE_INIT(2);

static intptr_t worker(void *arg)
{
        const char *name = arg;

        int error = ouro_semaphore_acquire(&semaphore);
        if (error < 0)
                return error;
        say("%s in", name);
        error = ouro_sleep(2 * TICK);
        if (error == 0)
                say("%s out", name);
        ouro_semaphore_release(&semaphore);
        return error;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        ouro_task tasks[] = {
                ouro_create_task(worker, "a"),
                ouro_create_task(worker, "b"),
                ouro_create_task(worker, "c"),
        };
        return ouro_gather(tasks, 3, NULL);
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
