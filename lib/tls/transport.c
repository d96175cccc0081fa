/* transport.c - reading and writing through TLS.
 *
 * The reader takes records from below and hands out what was in them; on its way it may have to answer (new
 * keys, an alert). The writer encrypts and sends; once in a while it must wait for what only reading brings
 * (a message of the handshake that came in part). Either may end while the other goes on, and both when the
 * stream is closed. */
#include <limits.h>
#include <string.h>
#include <sys/uio.h>

#include "tls/tls.h"

enum {
        RECORD_BYTES = 16384,
        SMALL_PIECE = 4096,             /* of an iovec: shorter ones are put together in one record */
        BATCH_BYTES = 4 * 16384,        /* encrypted before they are sent */
        MOST_ANSWERS = 2 * BATCH_BYTES, /* unsent, before reading waits until they have been */
};

/* ---- reading ---- */

/* What reading had to answer. If a writer is at work, it sends that, too; but a peer that asks and asks (for
 * new keys) and takes nothing is not listened to any longer. 0, or why that could not be waited for. */
static int answer(struct tls *tls)
{
        int error;

        if (!tls_has_out(tls))
                return 0;
        error = ouro_mutex_try_lock(&tls->writing_lock);
        if (error < 0 && tls->out.end < MOST_ANSWERS)
                return 0;
        if (error < 0)
                error = ouro_mutex_lock(&tls->writing_lock);
        if (error < 0)
                return error;
        if (tls->broken)
                tls_drain_briefly(tls);
        else
                tls_drain(tls); /* what is left goes out with what is written next */
        ouro_mutex_unlock(&tls->writing_lock);
        return tls->closing ? -EBADF : 0;
}

/* Nothing can be read without more from below. */
static bool needs_more(const struct tls *tls)
{
        return !tls->broken && !tls->end_below && SSL_pending(tls->ssl) == 0 &&
               !(SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN);
}

static int read_step(struct tls *tls, void *buf, size_t len, size_t *ret_n)
{
        int step = answer(tls); /* and what a write that was cut short has left */

        if (step < 0)
                return step;
        if (needs_more(tls)) {
                step = tls_fill(tls);
                if (step < 0)
                        return step;
        }
        ERR_clear_error();
        step = tls_settle(tls, SSL_read_ex(tls->ssl, buf, len, ret_n));
        ouro_condition_notify_all(&tls->progress);
        (void)answer(tls); /* what has been read is handed out in any case */
        return step;
}

static ssize_t read_locked(struct tls *tls, void *buf, size_t len)
{
        for (;;) {
                size_t n = 0;
                int step;

                if (tls->broken)
                        return tls->broken;
                step = read_step(tls, buf, len, &n);
                if (step < 0)
                        return step;
                if (step == TLS_DONE)
                        return (ssize_t)n;
                if (step == TLS_END)
                        return 0;
                if (tls->closing)
                        return -EBADF;
        }
}

static ssize_t tls_read(void *self, void *buf, size_t len)
{
        struct tls *tls = self;
        int saved_errno = errno;
        ssize_t n = ouro_mutex_lock(&tls->reading_lock);

        if (n == 0) {
                n = tls->closing ? -EBADF : read_locked(tls, buf, len);
                ouro_mutex_unlock(&tls->reading_lock);
                ouro_condition_notify_all(&tls->progress);
        }
        errno = saved_errno;
        return n;
}

/* Something lies below, if maybe no data; meanwhile nobody holds a buffer. */
static int tls_wait(void *self)
{
        struct tls *tls = self;
        const void *data;
        int error = ouro_mutex_lock(&tls->reading_lock);

        if (error == 0) {
                error = answer(tls); /* as before reading */
                if (error == 0 && !tls->closing && needs_more(tls))
                        error = (int)ouro_stream_peek(tls->below, 1, &data);
                ouro_mutex_unlock(&tls->reading_lock);
                ouro_condition_notify_all(&tls->progress);
        }
        if (error >= 0 || error == -ENODATA)
                return 0;
        return tls->closing ? error : tls_failed_below(tls, error);
}

/* ---- writing ---- */

/* What is to be written next: a piece of the caller's, or several small ones put together. */
struct pieces {
        const struct iovec *iov;
        int n;
        size_t done; /* of iov[0] */
        char *together;
};

static void skip(struct pieces *pieces, size_t bytes)
{
        while (pieces->n > 0 && bytes >= pieces->iov->iov_len - pieces->done) {
                bytes -= pieces->iov->iov_len - pieces->done;
                pieces->iov++;
                pieces->n--;
                pieces->done = 0;
        }
        pieces->done += bytes;
}

static size_t put_together(struct pieces *pieces)
{
        size_t len = 0;

        for (int i = 0; i < pieces->n && len < RECORD_BYTES; i++) {
                size_t from = i == 0 ? pieces->done : 0;
                size_t more = pieces->iov[i].iov_len - from;

                if (more > RECORD_BYTES - len)
                        more = RECORD_BYTES - len;
                memcpy(pieces->together + len, (const char *)pieces->iov[i].iov_base + from, more);
                len += more;
        }
        return len;
}

static const char *next_piece(struct pieces *pieces, size_t *ret_len)
{
        size_t len = pieces->iov->iov_len - pieces->done;

        if (len >= SMALL_PIECE || pieces->n == 1) {
                *ret_len = len < RECORD_BYTES ? len : RECORD_BYTES;
                return (const char *)pieces->iov->iov_base + pieces->done;
        }
        if (!pieces->together)
                pieces->together = OPENSSL_malloc(RECORD_BYTES);
        if (!pieces->together) {
                *ret_len = len;
                return (const char *)pieces->iov->iov_base + pieces->done;
        }
        *ret_len = put_together(pieces);
        return pieces->together;
}

/* A message of the handshake came in part: the rest must be read before anything can be written. */
static int read_for_writer(struct tls *tls)
{
        int error;

        if (ouro_mutex_try_lock(&tls->reading_lock) < 0)
                error = ouro_condition_wait(&tls->progress, &tls->writing_lock);
        else {
                error = tls_fill(tls);
                if (error == 0) {
                        ERR_clear_error();
                        error = tls_settle(tls, SSL_do_handshake(tls->ssl));
                }
                ouro_mutex_unlock(&tls->reading_lock);
        }
        if (tls->closing)
                return -EBADF;
        return error < 0 ? error : tls->broken;
}

static int encrypt(struct tls *tls, const char *bytes, size_t len, size_t *ret_n)
{
        for (;;) {
                int step;

                ERR_clear_error();
                step = tls_settle(tls, SSL_write_ex(tls->ssl, bytes, len, ret_n));
                if (step == TLS_DONE)
                        return 0;
                if (step == TLS_WANTS_INPUT)
                        step = read_for_writer(tls);
                else if (step == TLS_END)
                        return -EPIPE;
                if (step < 0)
                        return step;
        }
}

/* Fills out. What it took over counts as written, also if an error follows: it comes again. */
static int encrypt_batch(struct tls *tls, struct pieces *pieces, size_t *total)
{
        while (pieces->n > 0 && tls->out.end < BATCH_BYTES) {
                size_t len, n;
                const char *bytes = next_piece(pieces, &len);
                int error;

                if (len == 0) {
                        skip(pieces, 0);
                        continue;
                }
                error = encrypt(tls, bytes, len, &n);
                if (error < 0)
                        return error;
                skip(pieces, n);
                *total += n;
        }
        return 0;
}

/* After these the stream above tries again with what was not written. */
static bool is_passing(int error)
{
        return error == -ECANCELED || error == -ETIME || error == -ENOMEM || error == -EDEADLK;
}

/* Cut short, what has been encrypted is as good as sent: it goes out before anything else. */
static ssize_t write_locked(struct tls *tls, struct pieces *pieces)
{
        size_t total = 0;
        int error = tls_has_out(tls) ? tls_drain(tls) : 0;

        while (error == 0 && pieces->n > 0) {
                if (tls->broken || tls->told_end)
                        return tls->broken ? tls->broken : -EPIPE;
                error = encrypt_batch(tls, pieces, &total);
                if (error == 0 || total > 0) {
                        int unsent = tls_drain(tls);

                        error = error < 0 ? error : unsent;
                }
        }
        if (error == 0 || (total > 0 && is_passing(error)))
                return (ssize_t)total;
        return error;
}

static int lock_to_write(struct tls *tls)
{
        int error = ouro_mutex_lock(&tls->writing_lock);

        if (error == 0 && tls->closing) {
                ouro_mutex_unlock(&tls->writing_lock);
                error = -EBADF;
        }
        return error;
}

static ssize_t tls_writev(void *self, const struct iovec *iov, int n)
{
        struct tls *tls = self;
        struct pieces pieces = {.iov = iov, .n = n};
        int saved_errno = errno;
        ssize_t result = lock_to_write(tls);

        if (result == 0) {
                result = write_locked(tls, &pieces);
                OPENSSL_free(pieces.together);
                ouro_mutex_unlock(&tls->writing_lock);
        }
        errno = saved_errno;
        return result;
}

/* That they are to change was told to OpenSSL, which says so with the next that is written. */
static int send_new_keys(struct tls *tls)
{
        int step;

        if (!SSL_in_init(tls->ssl) || tls->broken || tls->told_end)
                return 0;
        ERR_clear_error();
        step = tls_settle(tls, SSL_do_handshake(tls->ssl));
        return step < 0 ? step : 0;
}

/* With nothing to send it succeeds at once, in a task that may not wait, too: so that one who closes without
 * lingering has not lost anything. */
static int tls_flush(void *self)
{
        struct tls *tls = self;
        int saved_errno = errno;
        bool idle = tls_all_is_sent(tls);
        int error = idle ? 0 : lock_to_write(tls);

        if (error == 0 && !idle) {
                error = send_new_keys(tls);
                if (error == 0)
                        error = tls_drain(tls);
                ouro_mutex_unlock(&tls->writing_lock);
        }
        errno = saved_errno;
        return error;
}

/* ---- the end ---- */

/* close_notify, once. After an error the peer has been told by an alert. */
static int tell_end(struct tls *tls)
{
        if (tls->told_end)
                return 0;
        send_new_keys(tls);
        if (tls->broken)
                return tls->broken;
        ERR_clear_error();
        if (SSL_shutdown(tls->ssl) < 0) {
                ERR_clear_error();
                return -EPROTO; /* in the middle of a message of the handshake */
        }
        ERR_clear_error();
        tls->told_end = true;
        return 0;
}

static int tls_shutdown(void *self)
{
        struct tls *tls = self;
        int saved_errno = errno;
        int error = lock_to_write(tls);

        if (error == 0) {
                error = tell_end(tls);
                if (error == 0)
                        error = tls_drain(tls);
                ouro_mutex_unlock(&tls->writing_lock);
        }
        errno = saved_errno;
        return error;
}

/* Who waits inside is woken by the closing of what is below. */
static int close_below(struct tls *tls, bool whole)
{
        int error;

        tls->closing = true;
        error = whole ? ouro_stream_close(tls->below) : ouro_stream_abort(tls->below, false);
        ouro_condition_notify_all(&tls->progress);
        return error;
}

static int tls_close(void *self)
{
        struct tls *tls = self;
        int saved_errno = errno, error = 0;

        if (ouro_mutex_try_lock(&tls->writing_lock) == 0) {
                tell_end(tls);
                error = tls_has_out(tls) ? tls_drain_briefly(tls) : 0;
                ouro_mutex_unlock(&tls->writing_lock);
        }
        error = close_below(tls, error == 0 && !tls_has_out(tls));
        errno = saved_errno;
        return error;
}

/* Without close_notify: the peer sees that it was cut off. */
static int tls_abort(void *self)
{
        return close_below(self, false);
}

static void free_connection(void *self)
{
        tls_free(self);
}

static int tls_fd(void *self)
{
        const struct tls *tls = self;

        return tls->closing ? -EBADF : ouro_stream_fd(tls->below);
}

const struct ouro_transport tls_transport = {
        .size = sizeof(struct ouro_transport),
        .read = tls_read,
        .writev = tls_writev,
        .shutdown = tls_shutdown,
        .close = tls_close,
        .fd = tls_fd,
        .wait = tls_wait,
        .free = free_connection,
        .flush = tls_flush,
        .abort = tls_abort,
};
