/* partial_results.c - what is there at the deadline is used, what is not is cut short.
 *
 * A scope around a group with outcomes. A member that reports progress has the deadline moved, up to a limit
 * that an outer scope sets; the user who loses patience cancels the scope. On the virtual clock. */
#include <ouro.h>
#include <errno.h>
#include <stdio.h>

enum { PAGES = 4 };

static intptr_t fetch(void *arg)
{
        intptr_t page = (intptr_t)arg;
        int cut = ouro_sleep(OURO_MS(30) * page); /* stands for a conversation */

        return cut < 0 ? cut : 1000 * page;
}

struct search {
        struct ouro_outcome outcomes[PAGES];
        size_t ended;
        size_t succeeded;
        int error;
};

/* Also called when the caller has been given up: then nothing of it succeeds. */
static void run_search(struct search *search)
{
        struct ouro_group_options options = OURO_GROUP_OPTIONS_INIT;

        options.outcomes = search->outcomes;
        options.outcomes_len = PAGES;
        options.ret_ended = &search->ended;
        options.ret_succeeded = &search->succeeded;
        options.ret_error = &search->error;
        OURO_GROUP_WITH(group, &options) {
                for (intptr_t page = 1; page <= PAGES; page++)
                        ouro_create_task_in(group, fetch, (void *)page);
        }
}

static void show(const struct search *search, const char *why)
{
        long bytes = 0;

        for (size_t i = 0; i < search->ended; i++)
                if (search->outcomes[i].result >= 0)
                        bytes += search->outcomes[i].result;
        printf("%zu of %zu pages, %ld bytes: %s\n", search->succeeded, search->ended, bytes, why);
}

static intptr_t extends(void *arg)
{
        struct ouro_scope *scope = arg;
        int error = ouro_sleep(OURO_MS(50));

        return error < 0 ? error : ouro_scope_reschedule(scope, OURO_MS(50));
}

static intptr_t loses_patience(void *arg)
{
        struct ouro_scope *scope = arg;
        int error = ouro_sleep(OURO_MS(50));

        return error < 0 ? error : ouro_scope_cancel_with(scope, "the user went away");
}

static intptr_t main_task(void *arg)
{
        struct ouro_cancellation why = OURO_CANCELLATION_INIT;
        struct search search;
        bool expired = false;

        (void)arg;
        OURO_TIMEOUT(OURO_MS(75), &expired) {
                run_search(&search);
        }
        show(&search, expired ? "the deadline passed" : "all");

        OURO_SCOPE(scope, OURO_MS(75), &expired) {
                OURO_GROUP(helpers) {                                 /* inside, for they borrow the scope */
                        ouro_create_task_in(helpers, extends, scope); /* to 100 ms after the beginning */
                        run_search(&search);
                        ouro_group_cancel(helpers);
                }
        }
        show(&search, expired ? "the deadline passed, but later" : "all");

        OURO_SCOPE(scope, OURO_FOREVER, &expired) {
                OURO_GROUP(helpers) {
                        ouro_create_task_in(helpers, loses_patience, scope);
                        run_search(&search);
                        ouro_cancel_info(ouro_self(), &why);
                        ouro_group_cancel(helpers);
                }
        }
        show(&search, why.text ? why.text : "all");
        return 0;
}

int main(void)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        return ouro_run_with(&options, main_task, NULL) < 0;
}
