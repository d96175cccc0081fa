/* planted.c - a program whose tasks behave, or have one bug, for the tools that look for it.
 *
 * planted clean | heap | stack | uninitialised | race | integer */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ouro.h>

static volatile int zero, racy;

/* Reads what the kernel has written, as a program would. */
static intptr_t talks(void *arg)
{
        const int *pair = arg;
        char out[64] = "over a socket", in[64];
        int pipe_fds[2], sum = 0;

        if (ouro_send_all(pair[0], out, sizeof out, NULL) < 0 ||
            ouro_recv_all(pair[1], in, sizeof in, NULL) < 0)
                return -EIO;
        if (pipe(pipe_fds) < 0 || ouro_write(pipe_fds[1], in, sizeof in) < 0 ||
            ouro_read(pipe_fds[0], in, sizeof in) < 0)
                return -EIO;
        for (size_t i = 0; i < sizeof in; i++)
                if (in[i])
                        sum += in[i];
        ouro_close(pipe_fds[0]);
        ouro_close(pipe_fds[1]);
        return sum;
}

static intptr_t sleeps_deep(void *arg)
{
        char deep[8192];

        memset(deep, 1, sizeof deep);
        return ouro_sleep(*(int64_t *)arg) + deep[zero] - 1;
}

static intptr_t behaves(void *arg)
{
        static int64_t moment = OURO_MS(2);
        ouro_task tasks[9];
        int pair[2], error;

        (void)arg;
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
                return -EIO;
        for (int round = 0; round < 3; round++) {
                for (int i = 0; i < 8; i++)
                        tasks[i] = ouro_create_task(sleeps_deep, &moment);
                tasks[8] = ouro_create_task(talks, pair);
                error = ouro_gather(tasks, 9, NULL);
                if (error < 0)
                        return error;
        }
        ouro_close(pair[0]);
        ouro_close(pair[1]);
        return 0;
}

static intptr_t planted_heap(void *arg)
{
        volatile char *block = malloc(16);

        (void)arg;
        ouro_yield();
        block[16 + zero] = 1;
        free((void *)block);
        return 0;
}

static intptr_t planted_stack(void *arg)
{
        volatile char buffer[16];

        (void)arg;
        buffer[0] = 0;
        ouro_yield();
        buffer[16 + zero] = 1;
        return buffer[zero];
}

static intptr_t planted_uninitialised(void *arg)
{
        volatile int *number = malloc(sizeof *number); /* the compiler must not know */

        (void)arg;
        __asm__ volatile("" : "+r"(number) : : "memory");
        ouro_yield();
        if (*number == 7)
                puts("seven");
        free((void *)number);
        return 0;
}

static void *races(void *arg)
{
        (void)arg;
        racy = 1;
        return NULL;
}

static intptr_t planted_race(void *arg)
{
        pthread_t thread;

        (void)arg;
        if (pthread_create(&thread, NULL, races, NULL) != 0)
                return -EAGAIN;
        ouro_yield();
        racy = 2;
        pthread_join(thread, NULL);
        return 0;
}

static intptr_t planted_integer(void *arg)
{
        int large = 0x7fffffff;

        (void)arg;
        ouro_yield();
        return (large + 1 - zero) & 1;
}

static ouro_fn *planted;

static intptr_t runs_it_as_a_task(void *arg)
{
        return ouro_await(ouro_create_task(planted, arg));
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                ouro_fn *fn;
        } bugs[] = {
                {"clean", behaves},       {"heap", planted_heap},
                {"stack", planted_stack}, {"uninitialised", planted_uninitialised},
                {"race", planted_race},   {"integer", planted_integer},
        };

        for (size_t i = 0; argc == 2 && i < sizeof bugs / sizeof *bugs; i++)
                if (strcmp(argv[1], bugs[i].name) == 0)
                        planted = bugs[i].fn;
        if (!planted) {
                fprintf(stderr, "usage: planted clean|heap|stack|uninitialised|race|integer\n");
                return 2;
        }
        return ouro_run(runs_it_as_a_task, NULL) < 0;
}
