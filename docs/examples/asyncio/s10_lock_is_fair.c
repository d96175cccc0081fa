/* a mutex is handed over in the order of asking */
#include "say.h"

static struct ouro_mutex lock = OURO_MUTEX_INIT;

static intptr_t worker(void *arg)
{
        const char *name = arg;

        int error = ouro_mutex_lock(&lock);
        if (error < 0)
                return error;
        say("%s holds", name);
        error = ouro_sleep(1 * TICK);
        ouro_mutex_unlock(&lock);
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
