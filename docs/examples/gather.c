/* gather.c - a conversation over a socket and a job on a thread, gathered under one deadline.
 *
 * The program is its own server: serve() runs as a task beside the others, on a port that the kernel chose.
 */
#include <ouro.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* One connection is served, and echoed until the client has ended its side. */
static intptr_t serve(void *arg)
{
        const int *listener = arg;
        int fd = ouro_accept(*listener, NULL, NULL);
        char buf[256];
        ssize_t n;

        if (fd < 0)
                return fd;
        while ((n = ouro_recv(fd, buf, sizeof buf, 0)) > 0)
                if ((n = ouro_send_all(fd, buf, (size_t)n, NULL)) < 0)
                        break;
        ouro_close(fd);
        return n;
}

/* How many bytes come back for the ones that were sent. */
static intptr_t talk(int fd, const char *text)
{
        int error = ouro_send_all(fd, text, strlen(text), NULL);
        intptr_t total = 0;
        char buf[256];
        ssize_t n;

        if (error == 0)
                error = ouro_shutdown(fd, SHUT_WR);
        if (error < 0)
                return error;
        while ((n = ouro_recv(fd, buf, sizeof buf, 0)) > 0)
                total += n;
        return n < 0 ? n : total;
}

static intptr_t fetch(void *address)
{
        int fd = ouro_dial(address);
        intptr_t result;

        if (fd < 0)
                return fd;
        result = talk(fd, "what goes around comes around\n");
        ouro_close(fd);
        return result;
}

/* A job: bytes in, bytes out. It runs on a thread of the pool and may take the processor as long as it likes.
 */
static intptr_t sum(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int *numbers = in.base;
        long total = 0;

        (void)job;
        for (size_t i = 0; i < in.len / sizeof *numbers; i++)
                total += numbers[i];
        memcpy(out.base, &total, sizeof total);
        return 0;
}

/* What the tasks borrow is declared before the group that they belong to. */
static intptr_t conversation(int listener, const char *address, ouro_executor *threads)
{
        static const int numbers[] = {1, 2, 3, 4};
        intptr_t results[2] = {0, 0};
        bool expired = false;
        int error = 0;
        long total = 0;

        OURO_TIMEOUT(OURO_SEC(10), &expired) {
                OURO_GROUP(group, &error) {
                        ouro_create_task_in(group, serve, &listener);
                        ouro_task tasks[] = {
                                ouro_create_task_in(group, fetch, (void *)address),
                                ouro_submit(threads, sum, OURO_IN(numbers), OURO_OUT(total)),
                        };
                        ouro_gather(tasks, 2, results);
                }
        }
        if (error == 0)
                printf("%ld bytes came back, the numbers add up to %ld\n", (long)results[0], total);
        else
                printf("%s\n", expired ? "the deadline passed" : strerror(-error));
        return error;
}

static intptr_t main_task(void *arg)
{
        int listener = ouro_listen("tcp:127.0.0.1:0");
        ouro_executor *threads = ouro_thread_pool(NULL);
        struct sockaddr_in bound;
        socklen_t len = sizeof bound;
        intptr_t error = listener < 0 ? listener : -ENOMEM;
        char address[32];

        (void)arg;
        if (listener >= 0 && threads != NULL && getsockname(listener, (struct sockaddr *)&bound, &len) == 0) {
                snprintf(address, sizeof address, "tcp:127.0.0.1:%u", ntohs(bound.sin_port));
                error = conversation(listener, address, threads);
        }
        ouro_executor_close(threads);
        ouro_close(listener);
        return error;
}

int main(void)
{
        return ouro_run(main_task, NULL) < 0;
}
