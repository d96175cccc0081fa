/* ouro/stream.h - buffered reading and writing over anything that bytes go through. Included by ouro.h, whose
 * conventions hold. */
#ifndef OURO_STREAM_H
#define OURO_STREAM_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- streams ---------------------------------------------------------------------------------- */

/* A stream has two sides, a reader and a writer, with a buffer each. One task may use the one while another
 * uses the other; who uses a side that another task waits on gets -EBUSY at once. It belongs to the loop that
 * made it: elsewhere every call gives -EPERM.
 *
 * Reading: what is buffered comes first, then what the descriptor gives. At its end ouro_stream_read() and
 * ouro_stream_peek() give 0, the others -ENODATA, and what was left can still be read. A read that fails
 * takes nothing away: cancelled or too long (-EMSGSIZE), the bytes are still there for the next call. An
 * error of the descriptor (-ECONNRESET) comes after what is buffered, and stays.
 *
 * Writing: what is written is kept back until the buffer is full (then the write waits until it has been
 * sent), ouro_stream_flush() is called, or a read of the same stream has to wait: what asks for an answer has
 * been sent by then. An error of the descriptor (-EPIPE) stays: every later write and flush gives it, and so
 * does ouro_stream_close().
 *
 * A stream that waits to read, with nothing in its buffers, holds none where its transport can wait without.
 */
typedef struct ouro_stream ouro_stream;

/* What a stream is made with. Begin with OURO_STREAM_OPTIONS_INIT; zero always means the default. */
struct ouro_stream_options {
        size_t size;        /* sizeof(struct ouro_stream_options) */
        size_t read_bytes;  /* the reader's buffer grows up to this, and no line or peek is longer; 16 at
                               least; default 64 KiB */
        size_t write_bytes; /* the writer keeps at most this back; 16 at least; default 64 KiB */
        int64_t linger_ns; /* how long ouro_stream_close() may wait for what is still to be sent; default 1 s;
                              less than zero: not at all */
        bool manual_flush; /* a read that has to wait does not flush */
        bool borrowed;     /* closing the stream leaves the descriptor open (standard input, say) */
};

#define OURO_STREAM_OPTIONS_INIT OURO_SIZED_(struct ouro_stream_options)

/* What carries a stream's bytes, for those who make their own (TLS, compression, tests). Begin with the size.
 * At most one read and one writev are under way at a time, each in its own task; they may wait, return bytes
 * or a negated errno, and give -ECANCELED and -ETIME as every wait does, having moved nothing. */
struct ouro_transport {
        size_t size;                                                   /* sizeof(struct ouro_transport) */
        ssize_t (*read)(void *self, void *buf, size_t len);            /* 0: the end */
        ssize_t (*writev)(void *self, const struct iovec *iov, int n); /* more than 0, maybe fewer than all */
        int (*shutdown)(void *self); /* ends the sending side; NULL: -EOPNOTSUPP */
        int (*close)(void *self);    /* never cut short; a read or writev that waits ends with -EBADF */
        int (*fd)(void *self);       /* the descriptor below; NULL: there is none */
        int (*wait)(void *self);     /* waits until a read would not have to, and returns 0; NULL: a buffer is
                                        held while a read waits */
        void (*free)(void *self);    /* called last, when no other call is under way any more; NULL: close has
                                        done that, though a read or writev may be about to return */
        int (*flush)(void *self);    /* sends what writev took and has not sent yet; NULL: it keeps nothing */
        int (*abort)(void *self); /* as close, but the peer must not take this for the end of what was to be
                                     sent: some is lost; NULL: close */
};

/**
 * ouro_stream_open - a stream over a descriptor
 * @fd: a stream socket, pipe, file or terminal; the stream's from success on, unless it is borrowed
 * @options: see struct ouro_stream_options; NULL for the defaults
 * @ret_stream: to be closed by ouro_stream_close() or ouro_stream_abort()
 *
 * Returns: 0, -EBADF, -EPROTOTYPE: a socket that keeps the boundaries of messages, -EINVAL: NULL, or an
 * option is out of range, -ENOMEM.
 */
OURO_API int ouro_stream_open(int fd, const struct ouro_stream_options *options, ouro_stream **ret_stream);

/**
 * ouro_stream_open_two - a stream over two descriptors, as of a program's standard input and output
 * @read_fd: to read from; less than zero: the stream cannot be read, -EBADF
 * @write_fd: to write to; less than zero: the stream cannot be written, -EBADF
 * @options: as ouro_stream_open()
 * @ret_stream: as ouro_stream_open()
 *
 * ouro_stream_shutdown() closes write_fd, unless it is borrowed. The two may not be the same.
 *
 * Returns: as ouro_stream_open(); -EINVAL also if both are the same or neither is there.
 */
OURO_API int ouro_stream_open_two(int read_fd, int write_fd, const struct ouro_stream_options *options,
                                  ouro_stream **ret_stream);

/**
 * ouro_stream_open_on - a stream over a transport
 * @transport: copied
 * @self: passed to its functions; the stream's from success on
 * @options: as ouro_stream_open(); borrowed is -EINVAL
 * @ret_stream: as ouro_stream_open()
 *
 * Returns: 0, -EINVAL: NULL, no read or writev or close, or an option is out of range; -ENOMEM.
 */
OURO_API int ouro_stream_open_on(const struct ouro_transport *transport, void *self,
                                 const struct ouro_stream_options *options, ouro_stream **ret_stream);

/**
 * ouro_stream_self - what a stream over a transport was given for its functions
 * @stream: a stream
 * @transport: which it should be over; compared by its function read
 *
 * Returns: self of ouro_stream_open_on(); NULL: the stream is over something else.
 */
OURO_API void *ouro_stream_self(const ouro_stream *stream, const struct ouro_transport *transport);

/**
 * ouro_stream_pair - two streams in memory, each other's peers
 * @bytes: how much each direction holds before its writer has to wait; 0: 64 KiB
 * @options: of both; NULL for the defaults; borrowed is -EINVAL
 * @ret_streams: to be closed, each by itself
 *
 * Behaves as a pair of connected sockets, without descriptors: for tests, and for tasks that talk by bytes.
 *
 * Returns: 0, -EINVAL, -ENOMEM.
 */
OURO_API int ouro_stream_pair(size_t bytes, const struct ouro_stream_options *options,
                              ouro_stream *ret_streams[2]);

/**
 * ouro_stream_open_buffer - a stream that reads from memory
 * @data: lent until the stream is closed
 * @len: of data, in bytes
 * @options: as ouro_stream_pair()
 * @ret_stream: as ouro_stream_open()
 *
 * Writing to it gives -EBADF.
 *
 * Returns: 0, -EINVAL, -ENOMEM.
 */
OURO_API int ouro_stream_open_buffer(const void *data, size_t len, const struct ouro_stream_options *options,
                                     ouro_stream **ret_stream);

/**
 * ouro_stream_close - send what has been kept back, then close. Not a cancellation point.
 * @stream: may be NULL
 *
 * Waits for the sending for as long as the option linger_ns allows, also in a cancelled task; what cannot be
 * sent by then is lost, and that is told. Who must not lose it calls ouro_stream_flush() first. Other tasks
 * that wait on the stream get -EBADF. The stream is gone in any case.
 *
 * Returns: 0; -ETIME: not all could be sent in time; -EBUSY: another task was writing, and not all has been
 * sent; the error that writing had met; an errno of close(2); -EPERM, -EBADF (another task closes it).
 */
OURO_API int ouro_stream_close(ouro_stream *stream);

/**
 * ouro_stream_abort - close without sending what has been kept back. Not a cancellation point.
 * @stream: may be NULL
 * @reset: a TCP connection is reset, so that the peer does not take this for the end (-ECONNRESET there)
 *
 * Returns: 0, or an errno of close(2); the stream is gone in any case.
 */
OURO_API int ouro_stream_abort(ouro_stream *stream, bool reset);

/**
 * ouro_stream_fd - the descriptor below a stream, to ask about it or to set options
 * @stream: a stream
 *
 * Of a stream over two descriptors, the one that is read from.
 *
 * Returns: a descriptor, which stays the stream's; -EBADF: there is none; -EINVAL.
 */
OURO_API int ouro_stream_fd(const ouro_stream *stream);

/* What has gone through a stream, and what stands in its way. */
struct ouro_stream_counts {
        size_t size;             /* sizeof(struct ouro_stream_counts), set by the caller */
        uint64_t received_bytes; /* that came from below */
        uint64_t read_bytes;     /* of those, that were handed out or consumed: the rest is in the buffer */
        uint64_t written_bytes;  /* that writes have taken over; of one that failed or was cut short, this
                                    tells how far it came */
        uint64_t sent_bytes;     /* of those, that have gone out below: the rest is in the buffer */
        int read_error;          /* that reads give when the buffer is empty; 0: none */
        int write_error;         /* that writes give; 0: none */
};

#define OURO_STREAM_COUNTS_INIT OURO_SIZED_(struct ouro_stream_counts)

/**
 * ouro_stream_info - how far a stream has come
 * @stream: a stream
 * @ret_counts: its size is set already
 *
 * Returns: 0, -EINVAL.
 */
OURO_API int ouro_stream_info(const ouro_stream *stream, struct ouro_stream_counts *ret_counts);

/* ---- reading ---------------------------------------------------------------------------------- */

/* Errors of every call that reads: -EINVAL (NULL), -EBUSY (another task reads), -EBADF (closed meanwhile, or
 * not to be read), -ENOMEM, -ECANCELED, -ETIME, -EDEADLK (every task waits, see ouro_run()), and what the
 * descriptor gave (-ECONNRESET, -EIO), which stays. Data in place lies in the stream's buffer until the next
 * call that reads. */

/**
 * ouro_stream_read - read some bytes
 * @stream: a stream
 * @buf: lent until the call returns
 * @len: at most so many
 *
 * What is buffered is enough, however little. Large reads past an empty buffer go straight into buf.
 *
 * Returns: bytes, 0 at the end (or for a len of 0); errors as above.
 */
OURO_API ssize_t ouro_stream_read(ouro_stream *stream, void *buf, size_t len);

/**
 * ouro_stream_read_exactly - fill a buffer
 * @stream: a stream
 * @buf: lent until the call returns
 * @len: wanted
 * @inout_done: bytes of buf already filled, in and out, so that a call that was cut short can be taken up
 * again; NULL counts from 0
 *
 * Returns: 0; -ENODATA: the end came first, and *inout_done tells how much there was; errors as above.
 */
OURO_API int ouro_stream_read_exactly(ouro_stream *stream, void *buf, size_t len, size_t *inout_done);

/**
 * ouro_stream_read_until - read up to a delimiter, in place
 * @stream: a stream
 * @delimiter: any bytes
 * @delimiter_len: how many, 1 at least
 * @limit: how many bytes may come, the delimiter included; 0, and what exceeds the option read_bytes: that
 * @ret_data: up to and with the delimiter
 *
 * Returns: bytes at *ret_data, now taken out; -EMSGSIZE: there is no delimiter in the first limit bytes,
 * which are still to be read; -ENODATA: the end came first; what there was is still to be read; errors as
 * above.
 */
OURO_API ssize_t ouro_stream_read_until(ouro_stream *stream, const void *delimiter, size_t delimiter_len,
                                        size_t limit, const char **ret_data);

/**
 * ouro_stream_read_line - read a line, in place
 * @stream: a stream
 * @limit: how long the line may be, its end ("\n" or "\r\n") included; as in ouro_stream_read_until()
 * @ret_line: the line without its end, and with a NUL after it
 *
 * Returns: length of the line, which may contain NULs and may be 0; errors as ouro_stream_read_until(). A
 * last line that has no end is -ENODATA, and ouro_stream_peek() with 0 shows it.
 */
OURO_API ssize_t ouro_stream_read_line(ouro_stream *stream, size_t limit, const char **ret_line);

/**
 * ouro_stream_peek - look at what comes, in place, and leave it there
 * @stream: a stream
 * @at_least: waits for so many bytes; 0: does not wait
 * @ret_data: what there is
 *
 * Returns: bytes at *ret_data, at_least or more; 0: nothing more comes (or for an at_least of 0: nothing is
 * buffered); -ENODATA: the end comes after fewer; -EMSGSIZE: more than the option read_bytes; errors as
 * above.
 */
OURO_API ssize_t ouro_stream_peek(ouro_stream *stream, size_t at_least, const void **ret_data);

/**
 * ouro_stream_consume - take out what was looked at. Never waits.
 * @stream: a stream
 * @n: bytes
 *
 * Returns: 0; -EINVAL: so many are not buffered, and none is taken out; -EBUSY, -EPERM.
 */
OURO_API int ouro_stream_consume(ouro_stream *stream, size_t n);

/* ---- writing ---------------------------------------------------------------------------------- */

/* Errors of every call that writes: -EINVAL (NULL), -EBUSY (another task writes), -EPIPE (shut down, or the
 * peer reads no more), -EBADF (closed meanwhile, or not to be written), -ENOMEM, -ECANCELED, -ETIME, -EDEADLK
 * (as for reading), and what the descriptor gave, which stays. A call that is cut short may have taken over a
 * part of what it was given: ouro_stream_info() tells how much, and what was taken over is still to be sent.
 */

/**
 * ouro_stream_write - write bytes
 * @stream: a stream
 * @buf: lent until the call returns
 * @len: all of them are taken over
 *
 * Copied, unless they are many or the buffer is full: then it waits until they have been sent, straight from
 * buf.
 *
 * Returns: 0; errors as above.
 */
OURO_API int ouro_stream_write(ouro_stream *stream, const void *buf, size_t len);

/**
 * ouro_stream_writev - ouro_stream_write() of several pieces
 * @stream: a stream
 * @iov: the pieces; lent until the call returns
 * @n: of them; 0 and more
 *
 * Returns: 0; errors as above.
 */
OURO_API int ouro_stream_writev(ouro_stream *stream, const struct iovec *iov, int n);

/**
 * ouro_stream_printf - write text, see printf(3)
 * @stream: a stream
 * @format: see printf(3)
 *
 * Of any length; longer than what the writer may keep back is put together in memory of its own.
 *
 * Returns: 0; errors as above; -EOVERFLOW: more than INT_MAX bytes, -EILSEQ: see printf(3).
 */
OURO_API int ouro_stream_printf(ouro_stream *stream, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/**
 * ouro_stream_vprintf - ouro_stream_printf() with a list of arguments
 * @stream: a stream
 * @format: see printf(3)
 * @args: see vprintf(3)
 *
 * Returns: as ouro_stream_printf().
 */
OURO_API int ouro_stream_vprintf(ouro_stream *stream, const char *format, va_list args)
        __attribute__((format(printf, 2, 0)));

/**
 * ouro_stream_flush - wait until all that was written has been sent
 * @stream: a stream
 *
 * Sent is what the kernel (or the transport) has taken over.
 *
 * Returns: 0; errors as above.
 */
OURO_API int ouro_stream_flush(ouro_stream *stream);

/**
 * ouro_stream_shutdown - flush, then end the sending side; reading goes on
 * @stream: a stream
 *
 * Returns: 0, also where that has been done already; -EOPNOTSUPP: a single descriptor that is no socket has
 * no sides; errors as above, and the sending side has not been ended.
 */
OURO_API int ouro_stream_shutdown(ouro_stream *stream);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
