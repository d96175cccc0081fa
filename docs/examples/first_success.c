/* first_success.c - ask several, take the first good answer, and let the others go.
 *
 * Mirrors that fail cancel nobody; the first that answers ends the group, and so do the first two of a
 * quorum. Each of those who are not needed can learn why. On the virtual clock: it takes no time. */
#include <ouro.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct mirror {
        const char *name;
        int64_t delay_ns;
        int error; /* 0: it answers */
};

static intptr_t ask(void *arg)
{
        const struct mirror *mirror = arg;
        struct ouro_cancellation why = OURO_CANCELLATION_INIT;
        int cut = ouro_sleep(mirror->delay_ns); /* stands for a conversation */

        if (cut < 0) {
                ouro_cancel_info(ouro_self(), &why);
                printf("  %s is not needed%s\n", mirror->name,
                       why.reason == OURO_CANCEL_ENOUGH ? ": others were quicker" : "");
                return cut;
        }
        if (mirror->error < 0)
                return mirror->error;
        printf("  %s answers\n", mirror->name);
        return 0;
}

static int ask_all(struct mirror *mirrors, size_t n, size_t wanted)
{
        struct ouro_group_options options = OURO_GROUP_OPTIONS_INIT;
        size_t succeeded = 0;
        int error = 0;

        options.successes = wanted;
        options.ret_succeeded = &succeeded;
        options.ret_error = &error;
        OURO_GROUP_WITH(group, &options) {
                for (size_t i = 0; i < n; i++)
                        ouro_create_task_in(group, ask, &mirrors[i]);
        }
        printf("%zu of %zu wanted: %s\n", succeeded, wanted, error < 0 ? strerror(-error) : "enough");
        return error;
}

static intptr_t main_task(void *arg)
{
        struct mirror mirrors[] = {
                {"near", OURO_MS(10), -ECONNREFUSED},
                {"far", OURO_MS(80), 0},
                {"farther", OURO_MS(120), 0},
                {"farthest", OURO_MS(200), 0},
        };

        (void)arg;
        ask_all(mirrors, 4, 1);
        ask_all(mirrors, 4, 2);
        ask_all(mirrors, 2, 2);
        printf("%lld ms\n", (long long)(ouro_now() / OURO_MS(1)));
        return 0;
}

int main(void)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        return ouro_run_with(&options, main_task, NULL) < 0;
}
