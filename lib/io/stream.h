/* stream.h - what the parts of a stream share: the buffers, and who is inside.
 *
 * Invariants: in.begin <= in.end <= in.cap, and so for out. A side's buffer is moved or freed only by whoever
 * is inside that side (reading, writing), because a transport may be at work in it. A stream that is closed
 * is freed by the last who leaves it. */
#ifndef OURO_IO_STREAM_H
#define OURO_IO_STREAM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "coro/coro.h"
#include "ouro.h"

enum {
        STREAM_FIRST_BYTES = 4096,   /* of a buffer that has proved nothing yet */
        STREAM_DIRECT_READ = 4096,   /* a read of so many bytes goes past an empty buffer */
        STREAM_DIRECT_WRITE = 16384, /* a write of so many bytes goes past the buffer */
        STREAM_IOV = 16,             /* pieces for the transport at a time */
};

struct stream_buffer {
        char *mem; /* NULL: none */
        size_t cap;
        size_t begin; /* of what is in it */
        size_t end;
};

struct ouro_stream {
        struct ouro_transport transport;
        void *self; /* of the transport; for descriptors, the stream */
        struct sched *sched;
        struct ouro_stream_options options; /* defaults filled in */
        struct stream_buffer in;
        struct stream_buffer out;
        size_t in_want; /* bytes for the reader's next buffer: doubled while reads fill it */
        uint64_t received_bytes;
        uint64_t sent_bytes;
        struct ouro_buf lent; /* received into the loop's memory, and not yet copied for want of own */
        struct coro *queued;  /* a writer that waits until a reader has flushed */
        int fds[2];           /* to read from, to write to; -1: none */
        int read_error;       /* of the transport; 0: none yet */
        int write_error;
        bool reading; /* a task is inside */
        bool writing;
        bool flushing; /* the one who writes is a reader who flushes first */
        bool shut;     /* the sending side has been ended */
        bool closing;  /* only once */
        bool closed;
        bool leaving; /* the one who closes is not done yet */
};

static inline size_t buffered(const struct stream_buffer *buffer)
{
        return buffer->end - buffer->begin;
}

/* ---- stream.c ---- */

/* Makes one, its descriptors -1. 0, or why the options or memory are not right. */
int stream_make(const struct ouro_transport *transport, void *self, const struct ouro_stream_options *options,
                ouro_stream **ret_stream);

/* The last who leaves a closed one frees it. */
void stream_free_if_left(ouro_stream *stream);

void buffer_release(struct stream_buffer *buffer);

/* Room for so many more bytes at the end, in a buffer of at most bound bytes in all. 0, or -ENOMEM. */
int buffer_reserve(struct stream_buffer *buffer, size_t bytes, size_t first, size_t bound);

/* This says nothing of the transport: the same call may succeed later. */
static inline bool stream_is_passing(ssize_t error)
{
        return error == -ECANCELED || error == -ETIME || error == -ENOMEM || error == -EDEADLK;
}

/* Waits in a place for one, which holds NULL while nobody does. */
int stream_park(struct coro **place);
void stream_unpark(struct sched *sched, struct coro **place, int result);

/* ---- stream_fd.c ---- */

/* The descriptor that a stream over descriptors reads from (0) or writes to (1); -1: it is over another
 * transport, or there is none any more. */
int stream_raw_fd(const ouro_stream *stream, int side);

/* A wait of this stream for what comes can do without a buffer of its own. */
bool stream_fills_lent(const ouro_stream *stream);

/* As the transport's read, into the reader's buffer, which is empty. */
ssize_t stream_fill_lent(ouro_stream *stream);

/* ---- stream_read.c ---- */

/* From enter, if it gives 0, to leave, the reader is the caller's. Enter lets others run first when the
 * budget is spent, for what follows may never wait. Leave returns result. */
int stream_enter_reader(ouro_stream *stream);
ssize_t stream_leave_reader(ouro_stream *stream, ssize_t result);

/* The first half of entering, which lets nobody run: from 0 on the stream stays in memory, until leave. The
 * second half: what is found there, 0 or an error. */
int stream_claim_reader(ouro_stream *stream);
int stream_look_as_reader(const ouro_stream *stream);

/* Appends at least a byte to what is buffered, which is less than the bound. Bytes, 0: the end; or an error.
 */
ssize_t stream_fill(ouro_stream *stream);

/* Counts what came from below, n bytes; or keeps the error. Returns n. */
ssize_t stream_note_read(ouro_stream *stream, ssize_t n);

/* ---- stream_write.c ---- */

/* The same for the writer. */
int stream_enter_writer(ouro_stream *stream);
int stream_leave_writer(ouro_stream *stream, int result);
int stream_claim_writer(ouro_stream *stream); /* -EBUSY also while a reader flushes */
int stream_look_as_writer(const ouro_stream *stream);

/* Sends what is kept back and then the pieces, all of them. 0, or the error that stopped it. */
int stream_send(ouro_stream *stream, const struct iovec *iov, int n);
int stream_send_rest(ouro_stream *stream);

/* Keeps an error of sending, unless it is a passing one. Returns it. */
int stream_note_write(ouro_stream *stream, ssize_t error);

/* Half-closes; nothing is kept back. 0, also where that has been done already, or an error. */
int stream_end_sending(ouro_stream *stream);

/* Before a read that may wait: what was kept back goes out, if nobody else writes. 0, or an error that is the
 * reader's too: -ECANCELED, -ETIME, -EBADF. */
int stream_flush_before_wait(ouro_stream *stream);

#endif
