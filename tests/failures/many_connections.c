/* As many connections at once as the limits of the machine let two processes have, up to 20,000. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro.h>

/* Sanitizers make each connection cost several times as much. */
#ifdef __SANITIZE_ADDRESS__
enum { WANTED = 4000 };
#else
enum { WANTED = 20000 };
#endif

enum { OWN = 64 /* what a process has besides */ };

static int raise_limit(void)
{
        struct rlimit limit;

        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        return limit.rlim_cur > WANTED + OWN ? WANTED : (int)limit.rlim_cur - OWN;
}

static intptr_t echo(void *arg)
{
        int fd = (int)(intptr_t)arg;
        struct ouro_buf buf;

        while (ouro_recv_buf(fd, &buf, 0) > 0) {
                int error = ouro_send_all(fd, buf.data, buf.len, NULL);

                ouro_buf_release(&buf);
                if (error < 0)
                        break;
        }
        return ouro_close(fd);
}

struct server {
        int listener, expected;
};

/* Ends when every connection has come and gone. */
static intptr_t serve(void *arg)
{
        const struct server *server = arg;

        OURO_GROUP(connections) {
                for (int i = 0; i < server->expected; i++) {
                        int fd = ouro_accept(server->listener, NULL, NULL);

                        if (fd < 0)
                                return fd;
                        if (ouro_go(echo, (void *)(intptr_t)fd) < 0)
                                return -ENOMEM;
                }
        }
        return 0;
}

static int listen_there(struct sockaddr_in *ret_addr)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t len = sizeof *ret_addr;

        *ret_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        cr_assert_eq(bind(fd, (struct sockaddr *)ret_addr, len), 0);
        cr_assert_eq(listen(fd, 4096), 0);
        cr_assert_eq(getsockname(fd, (struct sockaddr *)ret_addr, &len), 0);
        return fd;
}

static void exchange(int fd, uint32_t number)
{
        uint32_t answer = ~number;

        cr_assert_eq(send(fd, &number, sizeof number, MSG_NOSIGNAL), sizeof number);
        cr_assert_eq(recv(fd, &answer, sizeof answer, MSG_WAITALL), sizeof answer);
        cr_assert_eq(answer, number);
}

/* Each is served when it comes, and again, the last first, while all the others are there. */
Test(many_connections, each_of_twenty_thousand_is_served, .timeout = 300)
{
        static int fds[WANTED];
        struct sockaddr_in addr;
        int many = raise_limit(), status;
        struct server server = {listen_there(&addr), many};
        pid_t child = fork();

        cr_assert_geq(child, 0);
        if (child == 0)
                _exit(ouro_run(serve, &server) == 0 ? 0 : 1);
        close(server.listener);
        for (int i = 0; i < many; i++) {
                fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                cr_assert_geq(fds[i], 0, "descriptor %d of %d", i, many);
                cr_assert_eq(connect(fds[i], (struct sockaddr *)&addr, sizeof addr), 0);
                exchange(fds[i], (uint32_t)i);
        }
        for (int i = many; i-- > 0;)
                exchange(fds[i], (uint32_t)(i + 7));
        for (int i = 0; i < many; i++)
                close(fds[i]);
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the server ended with %x",
                  (unsigned)status);
}
