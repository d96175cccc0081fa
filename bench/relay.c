/* relay.c - bytes passed on from one TCP connection to another, over loopback, beside a loop of splice(2).
 *
 * The relay, or the loop in its place, has the thread and core of the program; who sends and who receives
 * have a thread each, and share the next core. Printed: wall time and the relay's own CPU time for each MiB.
 * The loop blocks, and uses a pipe of the size that the relay has. */
#include <fcntl.h>
#include <netinet/in.h>
#include <ouro.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum { CHUNK_BYTES = 262144, PIPE_BYTES = 1048576 };

struct end {
        int fd;
        long mib;
        int core;
};

static void tcp_pair(int fds[2])
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        socklen_t len = sizeof addr;

        if (bind(listener, (struct sockaddr *)&addr, len) < 0 || listen(listener, 1) < 0 ||
            getsockname(listener, (struct sockaddr *)&addr, &len) < 0)
                bench_die("listen");
        fds[0] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fds[0], (struct sockaddr *)&addr, len) < 0)
                bench_die("connect");
        fds[1] = accept(listener, NULL, NULL);
        close(listener);
}

static void move_to(int core)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)core, &set);
        (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set); /* there may be but one */
}

static void *send_all(void *arg)
{
        const struct end *end = arg;
        char *chunk = calloc(1, CHUNK_BYTES);

        move_to(end->core);
        for (long left = end->mib << 20; left > 0;) {
                ssize_t n =
                        send(end->fd, chunk, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES, MSG_NOSIGNAL);

                if (n <= 0)
                        bench_die("send");
                left -= n;
        }
        shutdown(end->fd, SHUT_WR);
        free(chunk);
        return NULL;
}

static void *recv_all(void *arg)
{
        const struct end *end = arg;
        char *chunk = malloc(CHUNK_BYTES);
        long got = 0;
        ssize_t n;

        move_to(end->core);
        while ((n = recv(end->fd, chunk, CHUNK_BYTES, 0)) > 0)
                got += n;
        if (got != end->mib << 20)
                bench_die("recv");
        shutdown(end->fd, SHUT_WR);
        free(chunk);
        return NULL;
}

/* ---- the two that are measured; each passes on until the end, and passes that on ---- */

static void splice_loop(int from, int to)
{
        int fds[2];
        ssize_t n;

        if (pipe2(fds, O_CLOEXEC) < 0)
                bench_die("pipe");
        (void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
        while ((n = splice(from, NULL, fds[1], NULL, PIPE_BYTES, SPLICE_F_MOVE)) > 0)
                while (n > 0) {
                        ssize_t sent = splice(fds[0], NULL, to, NULL, (size_t)n, SPLICE_F_MOVE);

                        if (sent <= 0)
                                bench_die("splice");
                        n -= sent;
                }
        shutdown(to, SHUT_WR);
        close(fds[0]);
        close(fds[1]);
}

static int relayed[2]; /* its descriptors */

static intptr_t relay(void *arg)
{
        (void)arg;
        return ouro_relay_fds(relayed[0], relayed[1], NULL, NULL);
}

static void by_ouro(int from, int to)
{
        relayed[0] = from;
        relayed[1] = to;
        if (ouro_run(relay, NULL) < 0)
                bench_die("ouro_relay_fds");
}

static int64_t thread_cpu_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void measure(void (*pass)(int from, int to), long mib, int core, double *ret_ns, double *ret_cpu_ns)
{
        pthread_t sender, receiver;
        int in[2], out[2];
        int64_t cpu_ns, ns;

        tcp_pair(in);
        tcp_pair(out);
        ns = bench_now_ns();
        cpu_ns = thread_cpu_ns();
        if (pthread_create(&sender, NULL, send_all, &(struct end){in[0], mib, core}) != 0 ||
            pthread_create(&receiver, NULL, recv_all, &(struct end){out[1], mib, core}) != 0)
                bench_die("pthread_create");
        pass(in[1], out[0]);
        *ret_cpu_ns = (double)(thread_cpu_ns() - cpu_ns) / (double)mib;
        pthread_join(sender, NULL);
        pthread_join(receiver, NULL);
        *ret_ns = (double)(bench_now_ns() - ns) / (double)mib;
        for (int i = 0; i < 2; i++) {
                close(in[i]);
                close(out[i]);
        }
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = 9, .count = 1024};
        struct bench_series wall = {.name = "relay", .reference = "splice_loop"};
        struct bench_series cpu = {.name = "relay_cpu", .reference = "splice_loop"};
        int core;

        bench_parse(argc, argv, &options);
        core = (sched_getcpu() + 1) % (int)sysconf(_SC_NPROCESSORS_ONLN);
        for (int round = 0; round < options.rounds; round++) {
                double ns[2], cpu_ns[2];

                for (int i = 0; i < 2; i++) {
                        int which = (i + round) % 2;

                        measure(which == 0 ? by_ouro : splice_loop, options.count, core, &ns[which],
                                &cpu_ns[which]);
                }
                bench_add(&wall, ns[0], ns[1]);
                bench_add(&cpu, cpu_ns[0], cpu_ns[1]);
        }
        bench_print(&wall);
        bench_print(&cpu);
        return 0;
}
