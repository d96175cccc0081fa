/* main sleeps for less time than the task: the task starts in the gap and is cut off */
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
        ouro_sleep(1 * TICK);
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
