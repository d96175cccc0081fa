/* addresses.c - what stands before the first byte: addresses as text, names, options; then datagrams, and a
 * descriptor that goes from one socket to another. */
#include <ouro.h>
#include <stdio.h>
#include <string.h>

/* Where a socket is, as text that ouro_dial() understands. */
static const char *where(int fd, char text[OURO_ADDRESS_TEXT])
{
        struct ouro_address address;

        if (ouro_local_address(fd, &address) < 0 ||
            ouro_address_format(&address, text, OURO_ADDRESS_TEXT) < 0)
                return "nowhere";
        return text;
}

static intptr_t greet(void *arg)
{
        int fd = ouro_accept((int)(intptr_t)arg, NULL, NULL);

        if (fd < 0)
                return fd;
        ouro_send(fd, "hello", 5, 0);
        return ouro_close(fd);
}

/* A name is dialled at all its addresses, one after the other, until one answers. */
static void dial_a_name(void)
{
        struct ouro_listen_options options = OURO_LISTEN_OPTIONS_INIT;
        struct ouro_address address;
        char text[OURO_ADDRESS_TEXT], buf[16];
        int listener, fd, nodelay = 0;

        options.backlog = 16;
        options.flags = OURO_LISTEN_REUSE_PORT;
        listener = ouro_listen_with("tcp4:*:0", &options);
        if (listener < 0 || ouro_local_address(listener, &address) < 0)
                return;
        snprintf(text, sizeof text, "tcp:localhost:%d", ouro_address_port(&address));
        ouro_go(greet, (void *)(intptr_t)listener);
        OURO_TIMEOUT(OURO_SEC(10)) {
                fd = ouro_dial(text);
                if (fd >= 0 && ouro_recv_all(fd, buf, 5, NULL) == 0) {
                        ouro_socket_get(fd, "tcp_nodelay", &nodelay);
                        printf("localhost says %.5s, tcp_nodelay is %d\n", buf, nodelay);
                }
                if (fd >= 0)
                        ouro_close(fd);
        }
        ouro_close(listener);
}

static void send_datagrams(void)
{
        struct ouro_address to, from;
        struct ouro_datagram out[2], in[2];
        char bufs[2][16], text[OURO_ADDRESS_TEXT], whose[OURO_ADDRESS_TEXT];
        int server = ouro_listen("udp:127.0.0.1:0"), client = ouro_listen("udp:127.0.0.1:0");
        ssize_t n = 0;

        if (server < 0 || client < 0 || ouro_local_address(server, &to) < 0)
                return;
        out[0] = (struct ouro_datagram){.buf = (char[]){"one"}, .len = 3, .address = &to};
        out[1] = (struct ouro_datagram){.buf = (char[]){"two"}, .len = 3, .address = &to};
        if (ouro_send_datagrams(client, out, 2) == 2) {
                for (int i = 0; i < 2; i++)
                        in[i] = (struct ouro_datagram){
                                .buf = bufs[i], .len = sizeof bufs[i], .address = &from};
                while (n < 2)
                        n += ouro_recv_datagrams(server, in + n, (size_t)(2 - n));
                ouro_address_format(&from, whose, sizeof whose);
                printf("%.*s and %.*s came from %s\n", (int)in[0].len, bufs[0], (int)in[1].len, bufs[1],
                       strcmp(whose, where(client, text)) == 0 ? "the client" : whose);
        }
        ouro_close(server);
        ouro_close(client);
}

/* The reading end of a pipe, sent through a socket: what is written at the other end comes out here. */
static void pass_a_descriptor(void)
{
        int pipe[2], sockets[2], received = -1;
        char buf[16];
        size_t n = 0;

        if (ouro_pipe(pipe) < 0 || ouro_socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) < 0)
                return;
        ouro_send_fds(sockets[0], "a pipe", 6, pipe, 1);
        if (ouro_recv_fds(sockets[1], buf, sizeof buf, &received, 1, &n) == 6 && n == 1) {
                printf("%.6s came, ", buf);
                ouro_write(pipe[1], "water", 5);
                printf("and %zd bytes out of it\n", ouro_read(received, buf, sizeof buf));
                ouro_close(received);
        }
        for (int i = 0; i < 2; i++) {
                ouro_close(pipe[i]);
                ouro_close(sockets[i]);
        }
}

static intptr_t main_task(void *arg)
{
        static const char *const texts[] = {"tcp:127.0.0.1:080", "udp:[0:0::1]:53", "unixpacket:@name",
                                            "tcp:127.1:80"};

        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                struct ouro_address address;
                char text[OURO_ADDRESS_TEXT] = "no address";

                if (ouro_address_parse(texts[i], &address) == 0)
                        ouro_address_format(&address, text, sizeof text);
                printf("%s: %s\n", texts[i], text);
        }
        dial_a_name();
        send_datagrams();
        pass_a_descriptor();
        return (intptr_t)arg;
}

int main(void)
{
        return ouro_run(main_task, NULL) < 0;
}
