/* bio.c - OpenSSL's way to the stream below: it reads from a window, writes to memory, and never waits.
 *
 * So nothing suspends a task inside a call of OpenSSL, whose objects bear only one call at a time. */
#include <string.h>

#include "tls/tls.h"

enum {
        BIO_TYPE_OURS =
                BIO_TYPE_SOURCE_SINK | 0x7e, /* BIO_get_new_index() has few, and loading us takes none */
        FIRST_ROOM = 4096,
};

static size_t least(size_t a, size_t b)
{
        return a < b ? a : b;
}

static int bio_read(BIO *bio, char *buf, size_t len, size_t *ret_len)
{
        struct tls *tls = BIO_get_data(bio);
        size_t n = least(len, tls->window_len);

        BIO_clear_retry_flags(bio);
        *ret_len = 0;
        if (n == 0) {
                if (!tls->end_below)
                        BIO_set_retry_read(bio);
                return 0;
        }
        memcpy(buf, tls->window, n);
        tls->window += n;
        tls->window_len -= n;
        *ret_len = n;
        return 1;
}

static bool make_room(struct tls_bytes *bytes, size_t more)
{
        size_t room = bytes->room ? bytes->room : FIRST_ROOM;
        char *base;

        if (bytes->room - bytes->end >= more)
                return true;
        while (room < bytes->end + more)
                room *= 2;
        base = OPENSSL_realloc(bytes->base, room);
        if (!base)
                return false;
        bytes->base = base;
        bytes->room = room;
        return true;
}

static int bio_write(BIO *bio, const char *buf, size_t len, size_t *ret_len)
{
        struct tls *tls = BIO_get_data(bio);

        BIO_clear_retry_flags(bio);
        *ret_len = 0;
        if (!make_room(&tls->out, len)) {
                tls->out_of_memory = true;
                return 0;
        }
        memcpy(tls->out.base + tls->out.end, buf, len);
        tls->out.end += len;
        *ret_len = len;
        return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *arg)
{
        const struct tls *tls = BIO_get_data(bio);

        (void)number, (void)arg;
        switch (command) {
        case BIO_CTRL_EOF:
                return tls->end_below && tls->window_len == 0;
        case BIO_CTRL_FLUSH:
                return 1;
        default:
                return 0;
        }
}

/* One for each context's settings: static memory would be left behind when the library is unloaded. */
BIO_METHOD *tls_bio_method(void)
{
        BIO_METHOD *method = BIO_meth_new(BIO_TYPE_OURS, "ouro");

        if (!method)
                return NULL;
        BIO_meth_set_read_ex(method, bio_read);
        BIO_meth_set_write_ex(method, bio_write);
        BIO_meth_set_ctrl(method, bio_ctrl);
        return method;
}
