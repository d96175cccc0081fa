/* one member fails: its siblings are cancelled, and the group tells of the failure */
#include "say.h"

static intptr_t fails(void *arg)
{
        (void)arg;
        ouro_sleep(1 * TICK);
        return -EIO;
}

static intptr_t sibling(void *arg)
{
        (void)arg;
        int error = ouro_sleep(9 * TICK);
        if (error == -ECANCELED)
                say("sibling cancelled");
        return error;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        int error;
        OURO_GROUP(group, &error) {
                ouro_create_task_in(group, fails, NULL);
                ouro_create_task_in(group, sibling, NULL);
        }
        if (error < 0)
                say("group failed with %d", -error);
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
