/* channel.c - worker tasks fed by one channel, answering on another.
 *
 * Both channels are bounded: whoever runs ahead waits. Closing is how each end of the line is told:
 * no more jobs, so the workers end; the workers have ended, so no more results. */
#include <ouro.h>
#include <errno.h>
#include <stdio.h>

enum { WORKERS = 3, JOBS = 100 };

struct line {
        ouro_chan *jobs;
        ouro_chan *results;
};

static intptr_t feed(void *arg)
{
        struct line *line = arg;
        int error = 0;

        for (long i = 1; i <= JOBS && error == 0; i++)
                error = ouro_chan_send(line->jobs, &i);
        ouro_chan_close(line->jobs);
        return error;
}

static intptr_t worker(void *arg)
{
        struct line *line = arg;
        long number;
        int error;

        while ((error = ouro_chan_recv(line->jobs, &number)) == 0) {
                long square = number * number;

                error = ouro_chan_send(line->results, &square);
                if (error < 0)
                        return error;
        }
        return error == -EPIPE ? 0 : error;
}

/* The group is left when its last worker has ended. */
static intptr_t all_workers(void *arg)
{
        struct line *line = arg;
        int error;

        OURO_GROUP(group, &error) {
                for (int i = 0; i < WORKERS; i++)
                        ouro_create_task_in(group, worker, line);
        }
        ouro_chan_close(line->results);
        return error;
}

static int add_up(ouro_chan *results)
{
        long square, total = 0, count = 0;
        int error;

        while ((error = ouro_chan_recv(results, &square)) == 0) {
                total += square;
                count++;
        }
        printf("%ld squares, together %ld\n", count, total);
        return error == -EPIPE ? 0 : error;
}

static intptr_t main_task(void *arg)
{
        struct line line = {ouro_chan_new(sizeof(long), 8), ouro_chan_new(sizeof(long), 8)};
        int error = -ENOMEM, failed = 0;

        (void)arg;
        if (line.jobs != NULL && line.results != NULL) {
                OURO_GROUP(group, &failed) {
                        ouro_create_task_in(group, feed, &line);
                        ouro_create_task_in(group, all_workers, &line);
                        error = add_up(line.results);
                }
        }
        ouro_chan_free(line.jobs);
        ouro_chan_free(line.results);
        return failed < 0 ? failed : error;
}

int main(void)
{
        return ouro_run(main_task, NULL) < 0;
}
