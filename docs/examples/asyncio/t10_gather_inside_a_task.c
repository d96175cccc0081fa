/* a gather wrapped in a task of its own runs in main's gap */
#include "say.h"

static intptr_t first(void *arg)
{
        (void)arg;
        say("first starts");
        int error = ouro_sleep(2 * TICK);
        if (error < 0)
                return error;
        say("first ends");
        return (intptr_t) "result 1";
}

static intptr_t second(void *arg)
{
        (void)arg;
        say("second starts");
        int error = ouro_sleep(1 * TICK);
        if (error < 0)
                return error;
        say("second ends");
        return (intptr_t) "result 2";
}

static intptr_t both(void *arg)
{
        (void)arg;
        intptr_t results[2];
        ouro_task tasks[] = {ouro_create_task(first, NULL), ouro_create_task(second, NULL)};
        int error = ouro_gather(tasks, 2, results);
        if (error < 0)
                return error;
        say("both: %s, %s", (const char *)results[0], (const char *)results[1]);
        return 0;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        ouro_task task = ouro_create_task(both, NULL);
        say("A");
        ouro_sleep(5 * TICK);
        say("B");
        (void)task;
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
