/* an event wakes all its waiters; a condition wakes as many as it is told to */
#include "say.h"

static struct ouro_event event = OURO_EVENT_INIT;
static struct ouro_condition condition = OURO_CONDITION_INIT;
static struct ouro_mutex lock = OURO_MUTEX_INIT; /* asyncio's condition brings its own */

static intptr_t on_event(void *arg)
{
        const char *name = arg;

        int error = ouro_event_wait(&event);
        if (error == 0)
                say("%s saw the event", name);
        return error;
}

static intptr_t on_condition(void *arg)
{
        const char *name = arg;

        int error = ouro_mutex_lock(&lock);
        if (error < 0)
                return error;
        error = ouro_condition_wait(&condition, &lock);
        if (error == 0)
                say("%s was notified", name);
        ouro_mutex_unlock(&lock);
        return error;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        ouro_task waiters[] = {
                ouro_create_task(on_event, "a"),
                ouro_create_task(on_event, "b"),
                ouro_create_task(on_condition, "c"),
                ouro_create_task(on_condition, "d"),
        };
        ouro_sleep(1 * TICK);
        ouro_event_set(&event);
        ouro_mutex_lock(&lock);
        ouro_condition_notify(&condition, 1);
        ouro_mutex_unlock(&lock);
        ouro_sleep(1 * TICK);
        ouro_mutex_lock(&lock);
        ouro_condition_notify_all(&condition);
        ouro_mutex_unlock(&lock);
        return ouro_gather(waiters, 4, NULL);
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
