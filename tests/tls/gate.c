/* gate.c - see gate.h. */
#include <errno.h>
#include <sys/uio.h>

#include "gate.h"
#include "support/in_loop.h"

/* How many bytes may go now, 0 for the end; waits while none may. */
static ssize_t allowed(struct gate *gate, const size_t *may, size_t len, bool reading)
{
        int error = ouro_mutex_lock(&gate->lock);

        while (error == 0 && *may == 0 && !gate->closed && !gate->then)
                error = ouro_condition_wait(&gate->opened, &gate->lock);
        ouro_mutex_unlock(&gate->lock);
        if (error < 0 || gate->closed)
                return error < 0 ? error : -EBADF;
        if (*may == 0)
                return gate->then < 0 ? gate->then : reading ? 0 : -EPIPE;
        if (len > *may)
                len = *may;
        return gate->at_a_time && len > gate->at_a_time ? (ssize_t)gate->at_a_time : (ssize_t)len;
}

static ssize_t gate_read(void *self, void *buf, size_t len)
{
        struct gate *gate = self;
        ssize_t n = allowed(gate, &gate->may_read, len, true);

        if (n > 0)
                n = ouro_stream_read(gate->inner, buf, (size_t)n);
        if (n > 0) {
                gate->may_read -= (size_t)n;
                gate->was_read += (size_t)n;
        }
        return n;
}

static ssize_t gate_writev(void *self, const struct iovec *iov, int count)
{
        struct gate *gate = self;
        int error = 0;
        ssize_t n;

        while (count > 0 && iov->iov_len == 0)
                iov++, count--;
        n = allowed(gate, &gate->may_write, iov->iov_len, false);
        if (n <= 0)
                return n;
        OURO_SHIELD
        { /* whole or not at all */
                error = ouro_stream_write(gate->inner, iov->iov_base, (size_t)n);
                if (error == 0)
                        error = ouro_stream_flush(gate->inner);
        }
        if (error < 0)
                return error;
        gate->may_write -= (size_t)n;
        gate->was_written += (size_t)n;
        return n;
}

static int gate_shutdown(void *self)
{
        return ouro_stream_shutdown(((struct gate *)self)->inner);
}

static int gate_close(void *self)
{
        struct gate *gate = self;

        gate->closed = true;
        ouro_condition_notify_all(&gate->opened);
        return ouro_stream_close(gate->inner);
}

void gate_put_on(struct gate *gate, ouro_stream **inout_stream)
{
        static const struct ouro_transport transport = {.size = sizeof transport,
                                                        .read = gate_read,
                                                        .writev = gate_writev,
                                                        .shutdown = gate_shutdown,
                                                        .close = gate_close};

        gate->inner = *inout_stream;
        if (gate->may_read == 0 && gate->may_write == 0 && !gate->then)
                gate->may_read = gate->may_write = SIZE_MAX;
        EQ(ouro_stream_open_on(&transport, gate, NULL, inout_stream), 0);
}

void gate_open(struct gate *gate, size_t may_read, size_t may_write)
{
        gate->may_read = may_read;
        gate->may_write = may_write;
        ouro_condition_notify_all(&gate->opened);
}
