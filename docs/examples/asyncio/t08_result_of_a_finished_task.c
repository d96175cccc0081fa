/* a finished task's result is there at once */
#include "say.h"

static intptr_t filler(void *arg)
{
        (void)arg;
        say("1");
        int error = ouro_sleep(2 * TICK);
        if (error < 0)
                return error;
        say("2");
        return (intptr_t) "DONE";
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        ouro_task task = ouro_create_task(filler, NULL);
        say("A");
        ouro_sleep(5 * TICK);
        say("B");
        intptr_t value = ouro_await(task);
        say("%s", (const char *)value);
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
