/* embed_epoll.c - a loop of ouro inside a plain epoll loop that has a descriptor of its own to look after.
 *
 * The outer loop polls what ouro_loop_fd() gives and calls ouro_loop_step() when that is readable. Into the
 * loop from outside comes ouro_post(); out of it comes whatever a task likes to call: it runs on this thread.
 */
#include <errno.h>
#include <ouro.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static int answers[2]; /* a pipe: from the tasks to the outer loop */

static intptr_t answer(void *arg)
{
        int question = *(int *)arg, squared = question * question;

        ouro_sleep(OURO_MS(1)); /* only this task waits */
        return ouro_write(answers[1], &squared, sizeof squared) == sizeof squared ? 0 : -EIO;
}

static intptr_t main_task(void *arg)
{
        static int questions[] = {3, 5, 7};

        (void)arg;
        for (int i = 0; i < 3; i++) {
                intptr_t result = ouro_await(ouro_create_task(answer, &questions[i]));

                if (result < 0)
                        return result;
        }
        return 0;
}

static void watch(int epoll, int fd)
{
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
                perror("epoll_ctl");
                exit(1);
        }
}

static void read_answer(void)
{
        int squared;

        if (read(answers[0], &squared, sizeof squared) == sizeof squared)
                printf("the outer loop reads %d\n", squared);
}

int main(void)
{
        int epoll = epoll_create1(EPOLL_CLOEXEC), goes_on = 1, answered = 0;
        ouro_loop *loop;

        if (epoll < 0 || pipe(answers) < 0 || ouro_loop_open(NULL, main_task, NULL, &loop) < 0)
                return 1;
        watch(epoll, answers[0]);
        watch(epoll, ouro_loop_fd(loop));
        while (goes_on || answered < 3) {
                struct epoll_event event;

                if (epoll_wait(epoll, &event, 1, -1) < 1)
                        continue; /* EINTR */
                if (event.data.fd == answers[0]) {
                        read_answer();
                        answered++;
                } else {
                        goes_on = ouro_loop_step(loop);
                }
        }
        printf("main has returned %ld\n", (long)ouro_loop_close(loop));
        return 0;
}
