/* results in the order in which they come */
#include "say.h"

static struct work {
        const char *name;
        int ticks;
} works[] = {{"a", 3}, {"b", 1}, {"c", 2}};

static intptr_t work(void *arg)
{
        const struct work *self = arg;

        int error = ouro_sleep(self->ticks * TICK);
        return error < 0 ? error : (intptr_t)self->name;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        ouro_task tasks[3];
        ouro_completions *completions;
        ssize_t next;
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(work, &works[i]);
        int error = ouro_as_completed(tasks, 3, &completions);
        if (error < 0)
                return error;
        while ((next = ouro_completions_next(completions)) >= 0)
                say("%s", (const char *)ouro_await(tasks[next]));
        ouro_completions_free(completions);
        return next == -ENOENT ? 0 : next;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
