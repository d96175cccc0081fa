/* a bounded channel holds its producer back */
#include "say.h"

static intptr_t producer(void *queue)
{
        int error = 0;
        for (int i = 0; i < 4 && error == 0; i++) {
                error = ouro_chan_send(queue, &i);
                if (error == 0)
                        say("put %d", i);
        }
        ouro_chan_close(queue);
        return error;
}

static intptr_t consumer(void *queue)
{
        int item, error;
        while ((error = ouro_chan_recv(queue, &item)) == 0) {
                say("got %d", item);
                ouro_sleep(1 * TICK);
        }
        return error == -EPIPE ? 0 : error;
}

static intptr_t main_task(void *arg)
{
        (void)arg;
        ouro_chan *queue = ouro_chan_new(sizeof(int), 1);
        if (queue == NULL)
                return -ENOMEM;
        ouro_task tasks[] = {ouro_create_task(producer, queue), ouro_create_task(consumer, queue)};
        int error = ouro_gather(tasks, 2, NULL);
        ouro_chan_free(queue);
        return error;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
