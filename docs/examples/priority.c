/* A task of low priority works on while others wait, and hardly keeps them from anything while they do not.
 */
#include <stdbool.h>
#include <stdio.h>

#include <ouro.h>

static bool done;

/* In the background: tidies a bit whenever nobody else has anything to do. */
static intptr_t tidies(void *arg)
{
        int *bits = arg;

        while (!done) {
                ++*bits;
                ouro_yield();
        }
        return 0;
}

static intptr_t answers(void *name)
{
        for (int i = 1; i <= 200; i++) {
                if (i == 200)
                        printf("%s has answered %d requests\n", (const char *)name, i);
                ouro_yield();
        }
        return 0;
}

static intptr_t main_task(void *arg)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        int bits = 0;

        (void)arg;
        OURO_GROUP(group) {
                options.priority = OURO_PRIORITY_LOW;
                ouro_create_task_with(&options, tidies, &bits);

                ouro_task first = ouro_create_task(answers, "first");
                ouro_task second = ouro_create_task(answers, "second");

                ouro_await(first);
                ouro_await(second);
                printf("meanwhile, %s bits were tidied\n", bits == 0 ? "no" : bits < 10 ? "a few" : "many");
                ouro_sleep(OURO_MS(20));
                printf("nobody else had anything to do: %s bits\n", bits < 10 ? "a few" : "many");
                done = true;
        }
        return 0;
}

int main(void)
{
        return ouro_run(main_task, NULL) < 0;
}
