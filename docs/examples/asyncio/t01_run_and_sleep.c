/* run a coroutine; sleep suspends it */
#include "say.h"

static intptr_t main_task(void *arg)
{
        (void)arg;
        say("A");
        ouro_sleep(1 * TICK);
        say("B");
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
