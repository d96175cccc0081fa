/* cancel.c - clean-up that talks to the world: a shield with a deadline in it.
 *
 * A cancelled task can wait for nothing, so it could not even say goodbye. Inside OURO_SHIELD it can; and
 * because the peer may never answer, an OURO_TIMEOUT inside the shield says how long it may try. */
#include <ouro.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct session {
        int fd;
        const char *name;
};

/* Say goodbye, and wait until the peer has said it too. */
static int say_goodbye(int fd)
{
        char answer[4];
        int error = ouro_send_all(fd, "bye", 3, NULL);

        return error < 0 ? error : ouro_recv_all(fd, answer, 3, NULL);
}

static intptr_t serve(void *arg)
{
        const struct session *session = arg;
        bool expired;
        char buf[64];
        ssize_t n;

        while ((n = ouro_recv(session->fd, buf, sizeof buf, 0)) > 0)
                printf("%s: received %zd bytes\n", session->name, n);
        OURO_SHIELD
        {
                OURO_TIMEOUT(OURO_MS(50), &expired) {
                        say_goodbye(session->fd);
                }
        }
        printf("%s: %s\n", session->name, expired ? "no goodbye in time" : "said goodbye");
        ouro_close(session->fd);
        return n;
}

/* The other side of a conversation: it greets, hears the goodbye, and answers it if it is polite. */
static void hold_conversation(int fd, struct session *session, bool polite)
{
        ouro_task server = ouro_create_task(serve, session);
        char farewell[4] = "";

        ouro_send_all(fd, "hello", 5, NULL);
        ouro_sleep(OURO_MS(20));
        ouro_cancel(server);
        ouro_recv_all(fd, farewell, 3, NULL);
        printf("peer: heard \"%s\"\n", farewell);
        if (polite)
                ouro_send_all(fd, farewell, 3, NULL);
        printf("awaited: %s\n", strerror((int)-ouro_await(server)));
}

static intptr_t main_task(void *arg)
{
        static const char *const names[] = {"polite", "silent"};
        int ends[2];

        (void)arg;
        for (int i = 0; i < 2; i++) {
                static struct session session;

                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                        return -errno;
                session = (struct session){ends[0], names[i]};
                hold_conversation(ends[1], &session, i == 0);
                ouro_close(ends[1]);
        }
        return 0;
}

int main(void)
{
        return ouro_run(main_task, NULL) < 0;
}
