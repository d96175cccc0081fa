/* virtual_time.c - a test of an hour's behaviour that takes no time: a client that tries again with growing
 * pauses, and a periodic report beside it.
 *
 * The tasks are the program's own; the test gives them a peer that is a function, and the virtual clock. */
#include <ouro.h>

#include <errno.h>
#include <stdio.h>

/* ---- the program ---- */

struct client {
        int (*connect)(void *peer); /* 0, or a negated errno */
        void *peer;
        int attempts;
};

/* Pauses of 1 s, 2 s, 4 s ... at most ten minutes. */
static intptr_t keep_trying(void *arg)
{
        struct client *client = arg;
        int64_t pause_ns = OURO_SEC(1);

        for (;;) {
                int error = client->connect(client->peer);

                client->attempts++;
                if (error != -ECONNREFUSED)
                        return error;
                error = ouro_sleep(pause_ns);
                if (error < 0)
                        return error;
                pause_ns = pause_ns < OURO_SEC(300) ? pause_ns * 2 : OURO_SEC(600);
        }
}

static intptr_t report_every_quarter(void *arg)
{
        const struct client *client = arg;
        int cut;

        while ((cut = ouro_sleep(OURO_SEC(15 * 60))) == 0)
                printf("%4lld s: %d attempts\n", (long long)(ouro_now() / OURO_SEC(1)), client->attempts);
        return cut;
}

/* Gives the client an hour. */
static int connect_within_an_hour(struct client *client)
{
        int error = 0;

        OURO_TIMEOUT(OURO_SEC(3600)) {
                OURO_GROUP(group) {
                        ouro_create_task_in(group, report_every_quarter, client);
                        error = (int)ouro_wait_for(ouro_create_task_in(group, keep_trying, client),
                                                   OURO_FOREVER);
                        ouro_group_cancel(group);
                }
        }
        return error;
}

/* ---- its test ---- */

static int is_up_after_half_an_hour(void *calls)
{
        ++*(int *)calls;
        return ouro_now() < OURO_SEC(1800) ? -ECONNREFUSED : 0;
}

static int is_never_up(void *calls)
{
        ++*(int *)calls;
        return -ECONNREFUSED;
}

static intptr_t test(void *arg)
{
        int calls = 0, error;
        struct client client = {is_up_after_half_an_hour, &calls, 0};
        int64_t began;

        (void)arg;
        puts("a peer that is up after half an hour:");
        error = connect_within_an_hour(&client);
        printf("%4lld s: %s, %d calls\n", (long long)(ouro_now() / OURO_SEC(1)),
               error == 0 ? "connected" : "failed", calls);

        calls = 0;
        client = (struct client){is_never_up, &calls, 0};
        began = ouro_now();
        puts("a peer that never is:");
        error = connect_within_an_hour(&client);
        printf("%4lld s: %s, %d calls\n", (long long)((ouro_now() - began) / OURO_SEC(1)),
               error == -ETIME ? "the hour is over" : "something else", calls);
        return 0;
}

int main(void)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        return ouro_run_with(&options, test, NULL) < 0;
}
