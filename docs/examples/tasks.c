/* tasks.c - two requests under way: each logs under its own name, and somebody looks at what all tasks wait
 * for.
 *
 * On the virtual clock, so that it prints the same each time, and at once. */
#include <ouro.h>
#include <stdio.h>

/* Each task has the value of the one that created it, until it sets another. */
static const struct ouro_local request = OURO_LOCAL_INIT("request", NULL);

static void say(const char *what)
{
        const char *id = ouro_local_get(&request);

        printf("%3lld s  %s: %s\n", (long long)(ouro_now() / OURO_SEC(1)), id ? id : "nobody", what);
}

static intptr_t look_up(void *seconds)
{
        int error = ouro_sleep(OURO_SEC((intptr_t)seconds));

        if (error == 0)
                say("looked up");
        return error;
}

static intptr_t serve(void *id)
{
        int error = ouro_local_set(&request, id);

        if (error < 0)
                return error;
        OURO_GROUP(group, &error) {
                ouro_create_task(look_up, (void *)(intptr_t)10);
                ouro_create_task_named(look_up, (void *)(intptr_t)20, "look_up_elsewhere");
        }
        say("served");
        return error;
}

static int depth_of(struct ouro_task_info info)
{
        int depth = 0;

        while (ouro_task_info(info.parent, &info) == 0)
                depth++;
        return depth;
}

/* The tasks of the loop as a tree: members below the task that waits for them. */
static void show_tasks(void)
{
        ouro_task tasks[16];
        ssize_t n = ouro_tasks(tasks, 16);

        for (ssize_t i = 0; i < n && i < 16; i++) {
                struct ouro_task_info info = OURO_TASK_INFO_INIT;

                if (ouro_task_info(tasks[i], &info) < 0)
                        continue;
                printf("%*s%s", 2 * depth_of(info) + 7, "", info.name);
                if (info.function)
                        printf(", created in %s", info.function);
                if (info.waits_for)
                        printf(", waits for %s since %lld s", info.waits_for,
                               (long long)(info.waits_since_ns / OURO_SEC(1)));
                printf("%s\n", info.state == OURO_STATE_ENDED ? ", has ended" : "");
        }
}

static intptr_t main_task(void *arg)
{
        int error = 0;

        (void)arg;
        OURO_GROUP(group, &error) {
                ouro_create_task(serve, "request 1");
                ouro_sleep(OURO_SEC(5));
                ouro_create_task(serve, "request 2");
                ouro_sleep(OURO_SEC(7));
                say("looks around");
                show_tasks();
        }
        return error;
}

int main(void)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        return ouro_run_with(&options, main_task, NULL) < 0;
}
