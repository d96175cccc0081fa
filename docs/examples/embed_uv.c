/* embed_uv.c - a loop of ouro inside a libuv loop, on one thread: callbacks and tasks side by side.
 *
 * A uv_poll_t watches what ouro_loop_fd() gives; its callback is one step. */
#include <ouro.h>
#include <stdio.h>
#include <uv.h>

static int ticks;

static void tick(uv_timer_t *timer)
{
        if (++ticks == 3) {
                printf("libuv's timer has fired %d times\n", ticks);
                uv_close((uv_handle_t *)timer, NULL);
        }
}

static intptr_t worker(void *arg)
{
        ouro_sleep(OURO_MS(2));
        return *(int *)arg * 2;
}

static intptr_t main_task(void *arg)
{
        int numbers[] = {1, 2, 3};
        intptr_t results[3];
        ouro_task tasks[3];

        (void)arg;
        while (ticks < 3) /* until the timer of the other loop is done */
                ouro_sleep(OURO_MS(1));
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(worker, &numbers[i]);
        if (ouro_gather(tasks, 3, results) < 0)
                return -1;
        printf("tasks: %ld %ld %ld\n", (long)results[0], (long)results[1], (long)results[2]);
        return 0;
}

static void step(uv_poll_t *handle, int status, int events)
{
        (void)events;
        if (status == 0 && ouro_loop_step(handle->data) == 1)
                return;
        uv_poll_stop(handle);
        uv_close((uv_handle_t *)handle, NULL);
}

int main(void)
{
        uv_loop_t *uv = uv_default_loop();
        uv_timer_t timer;
        uv_poll_t poll;
        ouro_loop *loop;

        if (ouro_loop_open(NULL, main_task, NULL, &loop) < 0)
                return 1;
        uv_timer_init(uv, &timer);
        uv_timer_start(&timer, tick, 1, 1);
        uv_poll_init(uv, &poll, ouro_loop_fd(loop));
        poll.data = loop;
        uv_poll_start(&poll, UV_READABLE, step);
        uv_run(uv, UV_RUN_DEFAULT);
        printf("main has returned %ld\n", (long)ouro_loop_close(loop));
        return uv_loop_close(uv) == 0 ? 0 : 1;
}
