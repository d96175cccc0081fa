/* three downloads of different lengths, gathered: the shortest ends first */
#include "say.h"

struct download {
        const char *source;
        int ticks;
};

static intptr_t fetch(void *arg)
{
        const struct download *download = arg;

        say("start %s", download->source);
        int error = ouro_sleep(download->ticks * TICK);
        if (error < 0)
                return error;
        say("done %s", download->source);
        return 0;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        static struct download a = {"Source 1", 2}, b = {"Source 2", 3}, c = {"Source 3", 1};
        ouro_task tasks[] = {
                ouro_create_task(fetch, &a),
                ouro_create_task(fetch, &b),
                ouro_create_task(fetch, &c),
        };
        return ouro_gather(tasks, 3, NULL);
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
