/* a task goes on when its waiter gives up: a plain await needs no shield for that */
#include "say.h"

static intptr_t precious(void *arg)
{
        (void)arg;
        int error = ouro_sleep(3 * TICK);
        if (error < 0)
                return error;
        say("precious ends");
        return 7;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        bool expired;
        ouro_task task = ouro_create_task(precious, NULL);
        OURO_TIMEOUT(1 * TICK, &expired) {
                ouro_await(task);
        }
        if (expired)
                say("gave up waiting");
        say("%d", (int)ouro_await(task));
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
