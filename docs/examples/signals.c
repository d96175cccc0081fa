/* signals.c - a service that counts, reads its configuration again at SIGHUP, and ends in order at SIGTERM.
 *
 * The signals come from the program itself, as another would send them by kill(1). */
#include <ouro.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct service {
        int step; /* from the configuration */
        int count;
        struct ouro_event has_counted;
};

static intptr_t counts(void *arg)
{
        struct service *service = arg;

        for (;;) {
                int cut = ouro_sleep(OURO_MS(1));

                if (cut < 0)
                        return cut;
                service->count += service->step;
                ouro_event_set(&service->has_counted);
        }
}

/* Until SIGTERM. */
static int obey(struct service *service, ouro_signals *signals)
{
        for (;;) {
                struct ouro_signal_info info;
                int number = ouro_signals_next(signals, &info);

                if (number < 0)
                        return number; /* cancelled */
                printf("%s, from %s\n", number == SIGHUP ? "SIGHUP" : "SIGTERM",
                       info.pid == getpid() ? "ourselves" : "somebody else");
                if (number == SIGTERM)
                        return 0;
                service->step = 10;
                printf("reading the configuration again: a step is %d\n", service->step);
        }
}

/* What an administrator would do from outside. */
static intptr_t administers(void *arg)
{
        struct service *service = arg;
        int error = ouro_event_wait(&service->has_counted);

        if (error < 0)
                return error;
        kill(getpid(), SIGHUP);
        while (error == 0 && service->count < 100)
                error = ouro_sleep(OURO_MS(1));
        kill(getpid(), SIGTERM);
        return error;
}

static intptr_t main_task(void *arg)
{
        struct service service = {.step = 1};
        ouro_signals *signals;
        sigset_t set;
        int error;

        (void)arg;
        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGTERM);
        error = ouro_signals_open(&set, &signals); /* before anything that could start a thread */
        if (error < 0)
                return error;
        OURO_GROUP(group) {
                ouro_create_task_in(group, counts, &service);
                ouro_create_task_in(group, administers, &service);
                error = obey(&service, signals);
                ouro_group_cancel(group);
        }
        ouro_signals_close(signals);
        printf("ended in order: %s\n", service.count >= 100 ? "it has counted" : "it has not counted");
        return error;
}

int main(void)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.interrupt = OURO_INTERRUPT_SIGINT; /* and ctrl-C cancels main_task */
        return ouro_run_with(&options, main_task, NULL) < 0;
}
