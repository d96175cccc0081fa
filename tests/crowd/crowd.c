/* crowd.c - crowd BACKEND: as many connections at once as this process may have descriptors, at most 20,000,
 * to a server in another process with the same limit.
 *
 * Neither of the two can have all of them: of the clients that find no descriptor each is told -EMFILE, and
 * the connections that the server has none for wait until others have ended. Each of the others gets its own
 * bytes back, and none is lost. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro.h>

enum {
        CROWD_MOST = 20000,
        OWN_DESCRIPTORS = 400, /* that loop, pipes and whatever was inherited need, at the most */
        HOSTS = 8,             /* 127.0.0.1 and the next: so that ports last */
};

static int crowd, port;

/* ---- the server's process ---- */

static void ignore_log(enum ouro_log_level level, const char *message, void *arg)
{
        (void)level, (void)message, (void)arg;
}

static intptr_t echo(int fd, void *arg)
{
        uint64_t bytes;
        ssize_t n;

        (void)arg;
        while ((n = ouro_recv(fd, &bytes, sizeof bytes, 0)) > 0)
                if ((n = ouro_send_all(fd, &bytes, (size_t)n, NULL)) < 0)
                        break;
        return n;
}

static int tell_port(ouro_server *server, void *arg)
{
        struct ouro_address address;
        int error = ouro_local_address(ouro_serve_listener(server, 0), &address);

        port = error < 0 ? error : ouro_address_port(&address);
        return write(*(int *)arg, &port, sizeof port) == sizeof port ? 0 : -EIO;
}

static intptr_t serve(void *to_parent)
{
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT;

        options.on_ready = tell_port;
        options.signals = OURO_INTERRUPT_SIGTERM;
        return ouro_serve_fd("tcp:*:0", echo, to_parent, &options);
}

static pid_t start_server(const struct ouro_options *options)
{
        int pipe_ends[2];
        pid_t pid;

        if (pipe(pipe_ends) < 0 || (pid = fork()) < 0)
                return -1;
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                ouro_set_log(ignore_log, NULL); /* that descriptors are short is what this is about */
                close(pipe_ends[0]);
                _exit(ouro_run_with(options, serve, &pipe_ends[1]) < 0);
        }
        close(pipe_ends[1]);
        if (read(pipe_ends[0], &port, sizeof port) != sizeof port)
                port = -1;
        close(pipe_ends[0]);
        return pid;
}

/* ---- the clients' ---- */

struct clients {
        struct ouro_event go;    /* all may end */
        struct ouro_event moved; /* one of the numbers below has changed */
        int answered, refused, failed;
};

struct client {
        struct clients *all;
        uint64_t number;
};

static int talk(const struct client *client, int fd)
{
        uint64_t back = 0;
        int error = ouro_send_all(fd, &client->number, sizeof client->number, NULL);

        if (error == 0)
                error = ouro_recv_all(fd, &back, sizeof back, NULL);
        if (error == 0 && back != client->number)
                error = -EBADMSG;
        return error;
}

static void count(struct clients *all, int result, const struct client *client)
{
        if (result == 0)
                all->answered++;
        else if (result == -EMFILE)
                all->refused++;
        else if (all->failed++ < 10)
                fprintf(stderr, "client %d: error %d (%s)\n", (int)client->number, -result,
                        strerror(-result));
        ouro_event_set(&all->moved);
}

static intptr_t visit(void *arg)
{
        struct client *client = arg;
        char address[64];
        int fd, error;

        snprintf(address, sizeof address, "tcp:127.0.0.%d:%d", 1 + (int)client->number % HOSTS, port);
        fd = ouro_dial(address);
        error = fd < 0 ? fd : talk(client, fd);
        count(client->all, error, client);
        if (fd < 0)
                return 0;
        if (error == 0)
                ouro_event_wait(&client->all->go);
        ouro_close(fd);
        return 0;
}

/* Until all but those that may have to wait have been answered. */
static void await_most(struct clients *all)
{
        while (all->answered + all->failed < crowd - OWN_DESCRIPTORS &&
               all->answered + all->failed + all->refused < crowd) {
                ouro_event_clear(&all->moved);
                ouro_event_wait(&all->moved);
        }
}

static intptr_t visit_all(void *arg)
{
        struct client *clients = arg;
        struct clients all = {.go = OURO_EVENT_INIT, .moved = OURO_EVENT_INIT};
        int at_once = 0;

        OURO_GROUP(group) {
                for (int i = 0; i < crowd; i++) {
                        clients[i] = (struct client){&all, (uint64_t)i};
                        ouro_create_task(visit, &clients[i]);
                }
                await_most(&all);
                at_once = all.answered;
                ouro_event_set(&all.go);
        }
        printf("%d clients: %d answered, %d of them at once, %d without a descriptor, %d failed\n", crowd,
               all.answered, at_once, all.refused, all.failed);
        return all.failed == 0 && all.answered + all.refused == crowd && all.refused <= OWN_DESCRIPTORS &&
                               at_once >= crowd - 2 * OWN_DESCRIPTORS
                       ? 0
                       : -EBADMSG;
}

static intptr_t run_clients(const struct ouro_options *options)
{
        struct client *clients = calloc((size_t)crowd, sizeof *clients);
        intptr_t result = clients ? ouro_run_with(options, visit_all, clients) : -ENOMEM;

        free(clients);
        return result;
}

int main(int argc, char **argv)
{
        struct ouro_options options = OURO_OPTIONS_INIT;
        struct rlimit limit;
        int status = -1;
        pid_t server;
        intptr_t result;

        options.backend = argc > 1 && strcmp(argv[1], "epoll") == 0 ? OURO_BACKEND_EPOLL : OURO_BACKEND_URING;
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max < CROWD_MOST ? limit.rlim_max : CROWD_MOST;
        setrlimit(RLIMIT_NOFILE, &limit);
        crowd = (int)limit.rlim_cur;
        server = start_server(&options);
        if (server < 0 || port <= 0) {
                fprintf(stderr, "there is no server\n");
                return 1;
        }
        result = run_clients(&options);
        kill(server, SIGTERM);
        waitpid(server, &status, 0);
        if (result < 0 || status != 0)
                fprintf(stderr, "result %ld, the server's status %d\n", (long)result, status);
        return result < 0 || status != 0;
}
