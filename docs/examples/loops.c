/* loops.c - a loop on each of two threads; work handed to them, awaited here, and an orderly end. */
#include <ouro.h>
#include <stdio.h>

struct range {
        long from, to, sum;
};

static intptr_t add_up(void *arg)
{
        struct range *range = arg; /* lies in main's frame, which waits in its group */

        for (long i = range->from; i < range->to; i++) {
                range->sum += i;
                if (i % 1000 == 0)
                        ouro_yield(); /* other tasks of that loop run meanwhile */
        }
        return 0;
}

static int greet(void *arg, unsigned i)
{
        (void)arg;
        if (i == 1)
                puts("the second loop is there");
        return 0;
}

static intptr_t run(void *loops)
{
        struct range ranges[4];
        long sum = 0;

        OURO_GROUP(group) {
                for (int i = 0; i < 4; i++) {
                        ranges[i] = (struct range){.from = i * 250000, .to = (i + 1) * 250000};
                        ouro_create_task_on(ouro_loops_next(loops), add_up, &ranges[i]);
                }
        }
        for (int i = 0; i < 4; i++)
                sum += ranges[i].sum;
        printf("the sum is %ld\n", sum);
        return 0;
}

int main(void)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        ouro_loops *loops;

        options.count = 2;
        options.init = greet;
        if (ouro_loops_open(&options, &loops) < 0 || ouro_run(run, loops) < 0)
                return 1;
        return ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER) < 0;
}
