/* gather waits for all of its members, which start in the order of their creation */
#include "say.h"

static intptr_t first(void *arg)
{
        (void)arg;
        say("1");
        int error = ouro_sleep(3 * TICK);
        if (error < 0)
                return error;
        say("2");
        return 12;
}

static intptr_t second(void *arg)
{
        (void)arg;
        say("3");
        int error = ouro_sleep(1 * TICK);
        if (error < 0)
                return error;
        say("4");
        return 34;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        intptr_t results[2];
        ouro_task tasks[] = {ouro_create_task(first, NULL), ouro_create_task(second, NULL)};
        int error = ouro_gather(tasks, 2, results);
        if (error < 0)
                return error;
        say("results %d %d", (int)results[0], (int)results[1]);
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
