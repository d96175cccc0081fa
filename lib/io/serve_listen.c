/* serve_listen.c - what a server listens on: sockets that it makes from addresses, and those it is lent. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/serve.h"

static struct listener *next_listener(struct ouro_server *server, int fd)
{
        struct listener *listener = &server->listeners[server->listeners_len++];

        check(server->listeners_len <= server->listeners_room);
        *listener = (struct listener){.server = server, .fd = fd};
        return listener;
}

/* The file of a unix socket, so that nobody else's is removed at the end. */
static void remember_path(struct listener *listener)
{
        struct sockaddr_un un;
        socklen_t len = sizeof un;
        struct stat st;

        if (sys_result(getsockname(listener->fd, (struct sockaddr *)&un, &len)) < 0 ||
            un.sun_family != AF_UNIX || len <= sizeof un.sun_family || !un.sun_path[0])
                return;
        if (sys_result(lstat(un.sun_path, &st)) < 0)
                return;
        memcpy(listener->path, un.sun_path, sizeof un.sun_path);
        listener->device = st.st_dev;
        listener->inode = st.st_ino;
}

static void remove_path(const struct listener *listener)
{
        struct stat st;

        if (listener->path[0] && sys_result(lstat(listener->path, &st)) == 0 &&
            st.st_dev == listener->device && st.st_ino == listener->inode)
                (void)sys_result(unlink(listener->path));
}

static int option_of(int fd, int name)
{
        socklen_t len = sizeof(int);
        int value, error = sys_result(getsockopt(fd, SOL_SOCKET, name, &value, &len));

        return error < 0 ? error : value;
}

/* Does it accept connections of streams? */
static int check_listener(int fd)
{
        int type = option_of(fd, SO_TYPE), listens = option_of(fd, SO_ACCEPTCONN);

        if (type < 0 || listens < 0)
                return type < 0 ? type : listens;
        return (type == SOCK_STREAM || type == SOCK_SEQPACKET) && listens ? 0 : -EINVAL;
}

int serve_listen(struct ouro_server *server, const char *address)
{
        struct listener *listener;
        int fd = ouro_listen_with(address, server->options.listen);

        if (fd < 0)
                return fd;
        listener = next_listener(server, fd);
        listener->made = true;
        remember_path(listener);
        return check_listener(fd);
}

int serve_listen_on(struct ouro_server *server, int fd)
{
        int error = check_listener(fd);

        if (error == 0)
                next_listener(server, fd);
        return error;
}

void serve_stop_listening(struct ouro_server *server)
{
        for (size_t i = 0; i < server->listeners_len; i++) {
                struct listener *listener = &server->listeners[i];

                if (listener->fd < 0 || !listener->made)
                        continue;
                remove_path(listener);
                ouro_close(listener->fd);
                listener->fd = -1;
        }
}
