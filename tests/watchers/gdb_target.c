/* gdb_target.c - a program to be stopped in gdb while tasks of it are suspended, each some calls deep. */
#include <ouro.h>

static ouro_chan *never;
static const struct ouro_local number = OURO_LOCAL_INIT("a number", NULL);

static __attribute__((noinline)) int innermost(void)
{
        char byte;
        int result = ouro_chan_recv(never, &byte);

        return result + 1;
}

static __attribute__((noinline)) int middle(void)
{
        return innermost() + 1;
}

static intptr_t waits_for_a_byte(void *arg)
{
        (void)arg;
        return middle() + 1;
}

static intptr_t sleeps(void *arg)
{
        return ouro_sleep(*(int64_t *)arg);
}

void stop_here(void);
__attribute__((noinline)) void stop_here(void)
{
        __asm__ volatile("");
}

static intptr_t looks(void *arg)
{
        static int64_t hour = 3600 * OURO_SEC(1);

        (void)arg;
        OURO_GROUP(group) {
                ouro_create_task(waits_for_a_byte, NULL);
                ouro_local_set(&number, (void *)42);
                ouro_create_task(sleeps, &hour);
                ouro_yield();
                stop_here();
                ouro_group_cancel(group);
        }
        return 0;
}

int main(void)
{
        intptr_t result;

        never = ouro_chan_new(1, 1);
        result = ouro_run(looks, NULL);
        ouro_chan_free(never);
        return (int)result;
}
