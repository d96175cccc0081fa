/* gather keeps going: every member's outcome is reported */
#include "say.h"

static intptr_t good(void *arg)
{
        (void)arg;
        int error = ouro_sleep(2 * TICK);
        return error < 0 ? error : 1;
}

static intptr_t bad(void *arg)
{
        (void)arg;
        ouro_sleep(1 * TICK);
        return -EIO;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        intptr_t results[2];
        ouro_task tasks[] = {ouro_create_task(good, NULL), ouro_create_task(bad, NULL)};
        int error = ouro_gather(tasks, 2, results);
        if (error != -EIO)
                return error;
        say("%d %d", (int)results[0], (int)-results[1]);
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
