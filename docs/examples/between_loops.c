/* between_loops.c - two loops and a plain thread that share a channel, a watch and a broadcast.
 *
 * The thread reads numbers (here: counts) and sends them; tasks of a second loop square them; the first loop
 * adds them up. Everybody knows the same end: a channel that is closed. How far the sum has come is a value
 * of which only the latest counts; that all is over is said to everybody at once. */
#include <ouro.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

enum { WORKERS = 3, NUMBERS = 100 };

struct line {
        ouro_chan *numbers;
        ouro_chan *squares;
        ouro_watch *sum;
        ouro_broadcast *news;
        ouro_subscription *heard_there; /* by the second loop */
};

/* A thread without a loop: its calls simply block it. */
static void *read_numbers(void *arg)
{
        struct line *line = arg;

        for (long i = 1; i <= NUMBERS; i++)
                if (ouro_chan_send(line->numbers, &i) < 0)
                        break;
        ouro_chan_close(line->numbers);
        return NULL;
}

static intptr_t square(void *arg)
{
        struct line *line = arg;
        long number;
        int error;

        while ((error = ouro_chan_recv(line->numbers, &number)) == 0) {
                number *= number;
                error = ouro_chan_send(line->squares, &number);
                if (error < 0)
                        return error;
        }
        return error == -EPIPE ? 0 : error;
}

/* The main task of the second loop. */
static intptr_t square_all(void *arg)
{
        struct line *line = arg;
        int error, last;

        OURO_GROUP(group, &error) {
                for (int i = 0; i < WORKERS; i++)
                        ouro_create_task_in(group, square, line);
        }
        ouro_chan_close(line->squares);
        if (error < 0)
                return error;
        error = ouro_broadcast_recv(line->heard_there, &last, NULL);
        if (error == 0)
                printf("the second loop has heard that %d is the last\n", last);
        return error;
}

static void *run_second_loop(void *arg)
{
        return (void *)ouro_run(square_all, arg);
}

/* Looks at the sum now and then; how often, depends on who is faster. */
static intptr_t watch_sum(void *arg)
{
        struct line *line = arg;
        int64_t version = 0;
        long sum = 0;

        while ((version = ouro_watch_wait(line->sum, version, &sum)) >= 0)
                ;
        printf("the last sum is %ld\n", sum);
        return version == -EPIPE ? 0 : (intptr_t)version;
}

static intptr_t add_up(void *arg)
{
        struct line *line = arg;
        ouro_task watcher = ouro_create_task(watch_sum, line);
        long squared, sum = 0;
        int n = 0, error;

        while ((error = ouro_chan_recv(line->squares, &squared)) == 0) {
                sum += squared;
                n++;
                ouro_watch_set(line->sum, &sum);
        }
        ouro_watch_close(line->sum);
        error = (int)ouro_await(watcher);
        ouro_broadcast_send(line->news, &n);
        return error;
}

int main(void)
{
        struct line line = {
                ouro_chan_new_shared(sizeof(long), 16),
                ouro_chan_new_shared(sizeof(long), 16),
                ouro_watch_new(sizeof(long), NULL),
                ouro_broadcast_new(sizeof(int), 4),
                NULL,
        };
        pthread_t reader, second;
        void *result;

        line.heard_there = ouro_broadcast_subscribe(line.news);
        if (!line.numbers || !line.squares || !line.sum || !line.heard_there ||
            pthread_create(&reader, NULL, read_numbers, &line) != 0 ||
            pthread_create(&second, NULL, run_second_loop, &line) != 0)
                return 1;
        if (ouro_run(add_up, &line) < 0)
                return 1;
        pthread_join(reader, NULL);
        pthread_join(second, &result);

        /* Everybody is gone: now it may be freed. */
        ouro_broadcast_unsubscribe(line.heard_there);
        ouro_broadcast_free(line.news);
        ouro_watch_free(line.sum);
        ouro_chan_free(line.squares);
        ouro_chan_free(line.numbers);
        return (intptr_t)result < 0;
}
