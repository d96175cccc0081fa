/* calling a task's function directly is a plain call: nothing overlaps */
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
        say("A");
        filler(NULL);
        say("B");
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
