/* a deadline cancels what it bounds, which may clean up first */
#include "say.h"

static intptr_t slow(void *arg)
{
        (void)arg;
        int error = ouro_sleep(9 * TICK);
        if (error == -ECANCELED)
                say("slow is cancelled");
        return error;
}

static intptr_t quick(void *arg)
{
        (void)arg;
        int error = ouro_sleep(1 * TICK);
        return error < 0 ? error : (intptr_t) "in time";
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        intptr_t result = ouro_wait_for(ouro_create_task(slow, NULL), 2 * TICK);
        if (result == -ETIME)
                say("timed out");
        result = ouro_wait_for(ouro_create_task(quick, NULL), 2 * TICK);
        if (result < 0)
                return result;
        say("%s", (const char *)result);
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
