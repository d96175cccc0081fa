/* zero_copy.c - large payloads over loopback TCP: ouro_send_zc() beside ouro_send().
 *
 * zero_copy [--core C] prints a line for each size: zero_copy_BYTES ns=.. cpu_ns=.. copy_ns=.. copy_cpu_ns=..
 * ratio=.. (CPU time of the sending thread, without a copy over with). Loopback copies all the same, when the
 * packet is handed to its receiver: this is what zero copy costs where it cannot pay. */
#include "bench.h"

#include <ouro.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_BYTES = 4 << 20, ROUND_BYTES = 256 << 20 };

static char payload[MOST_BYTES];

static void *swallow(void *arg)
{
        static char buffer[MOST_BYTES];
        int fd = (int)(intptr_t)arg;

        while (recv(fd, buffer, sizeof(buffer), 0) > 0)
                ;
        close(fd);
        return NULL;
}

static int connect_to_swallower(pthread_t *ret_thread)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
        socklen_t len = sizeof(addr);

        if (bind(listener, (struct sockaddr *)&addr, len) < 0 || listen(listener, 1) < 0 ||
            getsockname(listener, (struct sockaddr *)&addr, &len) < 0 ||
            connect(fd, (struct sockaddr *)&addr, len) < 0)
                bench_die("a connection");
        if (pthread_create(ret_thread, NULL, swallow, (void *)(intptr_t)accept(listener, NULL, NULL)) != 0)
                bench_die("a thread");
        close(listener);
        return fd;
}

struct cost {
        double ns, cpu_ns; /* per send of the size */
};

static int64_t thread_cpu_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct cost measure(int fd, size_t bytes, bool zero_copy)
{
        size_t turns = ROUND_BYTES / bytes;
        int64_t start_ns, start_cpu_ns;

        turns = turns > 4096 ? 4096 : turns;
        start_ns = bench_now_ns();
        start_cpu_ns = thread_cpu_ns();
        for (size_t i = 0; i < turns; i++) {
                for (size_t done = 0; done < bytes;) {
                        ssize_t n =
                                (zero_copy ? ouro_send_zc : ouro_send)(fd, payload + done, bytes - done, 0);

                        bench_check(n < 0 ? (int)n : 0, "send");
                        done += (size_t)n;
                }
        }
        return (struct cost){(double)(bench_now_ns() - start_ns) / (double)turns,
                             (double)(thread_cpu_ns() - start_cpu_ns) / (double)turns};
}

static intptr_t measure_all(void *arg)
{
        static const size_t sizes[] = {4096, 16384, 65536, 262144, 1 << 20, MOST_BYTES};
        pthread_t thread;
        int fd = connect_to_swallower(&thread);

        (void)arg;
        memset(payload, 1, sizeof(payload));
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                struct cost copied, zero_copied;

                measure(fd, sizes[i], true);
                copied = measure(fd, sizes[i], false);
                zero_copied = measure(fd, sizes[i], true);
                printf("zero_copy_%zu ns=%.0f cpu_ns=%.0f copy_ns=%.0f copy_cpu_ns=%.0f ratio=%.3f\n",
                       sizes[i], zero_copied.ns, zero_copied.cpu_ns, copied.ns, copied.cpu_ns,
                       zero_copied.cpu_ns / copied.cpu_ns);
        }
        close(fd);
        pthread_join(thread, NULL);
        return 0;
}

int main(int argc, char **argv)
{
        if (argc > 2 && strcmp(argv[1], "--core") == 0)
                bench_pin(atoi(argv[2]));
        bench_check(ouro_run(measure_all, NULL), "ouro_run");
        return 0;
}
