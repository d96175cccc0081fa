/* wait for the first of several; the others go on */
#include "say.h"

static struct work {
        const char *name;
        int ticks;
} works[] = {{"a", 3}, {"b", 1}, {"c", 2}};

static intptr_t work(void *arg)
{
        const struct work *self = arg;

        int error = ouro_sleep(self->ticks * TICK);
        if (error < 0)
                return error;
        say("%s ends", self->name);
        return (intptr_t)self->name;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        ouro_task tasks[3];
        int pending = 0;
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(work, &works[i]);
        ssize_t first = ouro_wait_first(tasks, 3);
        if (first < 0)
                return first;
        for (int i = 0; i < 3; i++)
                pending += ouro_task_state(tasks[i]) != OURO_STATE_ENDED;
        say("first: %s, %d pending", works[first].name, pending);
        for (int i = 0; i < 3; i++)
                ouro_await(tasks[i]);
        say("all");
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
