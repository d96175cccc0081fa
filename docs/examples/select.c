/* select.c - a server's heart: one task that waits for requests, for its answer to be taken, for the end of a
 * shift and for word to stop, whichever comes first.
 *
 * A case that makes no sense at the moment is switched off with OURO_CASE_NEVER(): there is nothing to answer
 * before a request has come, and no new request is taken before the last one has been answered. Time is
 * virtual here, so that the output is the same each time. */
#include <ouro.h>
#include <stdio.h>

struct desk {
        ouro_chan *requests;
        ouro_chan *answers;
        struct ouro_event stop;
};

static intptr_t customer(void *arg)
{
        struct desk *desk = arg;

        for (int number = 1; number <= 3; number++) {
                int answer, error = ouro_chan_send(desk->requests, &number);

                if (error == 0)
                        error = ouro_chan_recv(desk->answers, &answer);
                if (error < 0)
                        return error;
                printf("%d squared is %d\n", number, answer);
                ouro_sleep(OURO_MS(40));
        }
        return ouro_event_set(&desk->stop);
}

static intptr_t serve(struct desk *desk)
{
        enum { REQUEST, ANSWER, SHIFT, STOP, CASES };
        int request, answer;
        struct ouro_case cases[CASES] = {
                [REQUEST] = OURO_CASE_RECV(desk->requests, &request),
                [ANSWER] = OURO_CASE_NEVER(),
                [SHIFT] = OURO_CASE_AFTER(OURO_MS(30)),
                [STOP] = OURO_CASE_EVENT(&desk->stop),
        };

        for (;;) {
                ssize_t done = ouro_select(cases, CASES);

                switch (done) {
                case REQUEST:
                        answer = request * request;
                        cases[REQUEST] = OURO_CASE_NEVER();
                        cases[ANSWER] = OURO_CASE_SEND(desk->answers, &answer);
                        break;
                case ANSWER:
                        cases[REQUEST] = OURO_CASE_RECV(desk->requests, &request);
                        cases[ANSWER] = OURO_CASE_NEVER();
                        break;
                case SHIFT:
                        printf("nothing to do for 30 ms\n");
                        break;
                case STOP:
                        printf("told to stop\n");
                        return 0;
                default:
                        return done;
                }
        }
}

static intptr_t run(void *arg)
{
        struct desk desk = {ouro_chan_new(sizeof(int), 0), ouro_chan_new(sizeof(int), 0), OURO_EVENT_INIT};
        intptr_t result = -1;
        int error = 0;

        (void)arg;
        if (desk.requests && desk.answers)
                OURO_GROUP(group, &error) {
                        ouro_create_task_in(group, customer, &desk);
                        result = serve(&desk);
                }
        ouro_chan_free(desk.requests);
        ouro_chan_free(desk.answers);
        return error < 0 ? error : result;
}

int main(void)
{
        struct ouro_options options = {.size = sizeof options, .clock = OURO_CLOCK_VIRTUAL};

        return ouro_run_with(&options, run, NULL) == 0 ? 0 : 1;
}
