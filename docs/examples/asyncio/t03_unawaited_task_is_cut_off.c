/* a task that nobody awaits gets its first step, then is cancelled when main returns */
#include "say.h"

static intptr_t filler(void *arg)
{
        (void)arg;
        say("1");
        int error = ouro_sleep(2 * TICK);
        if (error < 0)
                return error;
        say("2");
        return 0;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        ouro_task task = ouro_create_task(filler, NULL);
        say("A");
        say("B");
        (void)task;
        return 0;
}

int main(void)
{
        begin();
        intptr_t result = run(main_task);
        say("run returned");
        return result < 0;
}
