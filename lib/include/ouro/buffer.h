/* ouro/buffer.h - receiving without a buffer of one's own, sending without a copy. Included by ouro.h, whose
 * conventions hold. */
#ifndef OURO_BUFFER_H
#define OURO_BUFFER_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- buffers of the loop ------------------------------------------------------------------------ */

/* A loop has buffers of its own (struct ouro_options: recv_buffers, recv_buffer_bytes), made when the first
 * one is asked for. A connection that waits holds none of them: that is what they are for. With io_uring
 * since Linux 5.19 the kernel chooses one when data comes. */
struct ouro_buf {
        void *data;       /* the caller's until ouro_buf_release() */
        size_t len;       /* bytes received */
        uintptr_t owner_; /* the library's own */
        uint64_t id_;     /* likewise */
};

/**
 * ouro_recv_buf - receive into a buffer of the loop's
 * @fd: a socket
 * @ret_buf: the bytes, to be given back by ouro_buf_release(). Untouched when no byte came
 * @flags: 0 or MSG_TRUNC; not MSG_WAITALL, MSG_PEEK or MSG_DONTWAIT
 *
 * Takes at most recv_buffer_bytes at a time; of a longer datagram the rest is lost. While every buffer is
 * held it waits until one comes back; those who wait get them in order. The last quarter of the buffers is
 * for descriptors of which none is held: so a peer that sends faster than it is served does not keep the
 * others waiting. A task that holds buffers and waits for another should know that somebody else will release
 * one.
 *
 * Returns: bytes received, more than 0; 0 at the end (or for an empty datagram), without a buffer; or
 *   -EINVAL: ret_buf is NULL, or other flags
 *   -EBADF, -ECANCELED, -ETIME, -ENOMEM, or another errno of recv(2), never -EAGAIN, -EINTR or -ENOBUFS
 */
OURO_API ssize_t ouro_recv_buf(int fd, struct ouro_buf *ret_buf, int flags);

/**
 * ouro_buf_release - give a buffer back
 * @buf: filled in by ouro_recv_buf() or ouro_receiver_next(); its data is nobody's from here on
 *
 * Never waits, and acts in a cancelled task too. Any task of the loop may do it. What is not given back
 * before the run ends is freed with it, and the log says so.
 *
 * Returns: 0; -EINVAL: buf is NULL, or was given back before; -EPERM: it is another loop's, or outside a
 * loop.
 */
OURO_API int ouro_buf_release(struct ouro_buf *buf);

typedef struct ouro_receiver ouro_receiver;

/**
 * ouro_receiver_open - receive from a stream socket by one request for all that will come
 * @fd: a connected stream socket; stays the caller's, to be closed after the receiver
 * @ret_receiver: to be closed by ouro_receiver_close()
 *
 * The kernel then receives before anybody asks (a multishot receive, Linux 6.17), into buffers of the loop's.
 * It pays where a peer sends many pieces and little is done with each, for one entry serves them all; a
 * connection of questions and answers gains nothing by it. It reads ahead a sixteenth of the loop's buffers,
 * at most 16, then lets the peer wait. Nobody else should receive from the socket meanwhile.
 *
 * Where it does not work (epoll, older kernels), each call of ouro_receiver_next() is an ouro_recv_buf().
 *
 * Returns: 0, -EINVAL (ret_receiver is NULL), -EBADF, -ENOMEM or -EPERM. Does not wait.
 */
OURO_API int ouro_receiver_open(int fd, ouro_receiver **ret_receiver);

/**
 * ouro_receiver_next - the next bytes
 * @receiver: of this loop; one task at a time
 * @ret_buf: as of ouro_recv_buf()
 *
 * Returns: as ouro_recv_buf(), in the order in which the bytes came; the end stays the end; -EBUSY: another
 * task waits, or closes it; -EINVAL: an argument is NULL; -EPERM: another loop's. -EBADF: fd has been closed,
 * and all that had been received is handed over.
 */
OURO_API ssize_t ouro_receiver_next(ouro_receiver *receiver, struct ouro_buf *ret_buf);

/**
 * ouro_receiver_close - stop receiving
 * @receiver: NULL does nothing
 *
 * Bytes that were received and not asked for are gone, as with closing a socket. Never cut short.
 *
 * Returns: 0, -EPERM: another loop's; -EBUSY: a task waits in ouro_receiver_next(), or closes it.
 */
OURO_API int ouro_receiver_close(ouro_receiver *receiver);

/* ---- sending without a copy --------------------------------------------------------------------- */

/**
 * ouro_send_zc - send without copying, if that is possible
 * @fd: a socket
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are sent at a time
 * @flags: as ouro_send()
 *
 * The network card reads the bytes from buf itself, and the call returns when it is done with them: over TCP
 * that is when the peer has acknowledged them. So it takes longer than ouro_send(), costs less of the CPU's
 * time for large payloads (over loopback, where the kernel copies all the same, it only costs more), and once
 * bytes are under way it cannot be cut short: it returns when they have arrived, or the connection has ended.
 * Closing fd meanwhile does not wait for that.
 * ouro_send() and ouro_send_all() never do it by themselves.
 *
 * Where it does not work (epoll, kernels before 6.0, sockets that know no such thing, little locked memory)
 * it is ouro_send().
 *
 * Returns: as ouro_send().
 */
OURO_API ssize_t ouro_send_zc(int fd, const void *buf, size_t len, int flags);

/* ---- registered memory --------------------------------------------------------------------------- */

/**
 * ouro_buffer_register - tell the kernel of memory that will be read into and written from often
 * @memory: of the caller's, best aligned to pages
 * @len: in bytes, at most 1 GiB
 *
 * Its pages are pinned until ouro_buffer_unregister() or the end of the run, and ouro_read(), ouro_write(),
 * ouro_pread() and ouro_pwrite() of this loop whose buffer lies in it need not look them up each time. That
 * pays for direct I/O (O_DIRECT) in small pieces; for what goes through the page cache it changes little. Up
 * to 64 pieces of memory at a time. It must be unregistered before it is freed or unmapped.
 *
 * Where it cannot be done (epoll, kernels before 5.19, little RLIMIT_MEMLOCK, no place left) nothing is
 * registered, and the results are the same.
 *
 * Returns: 1 if it is registered, 0 if it is not; or
 *   -EINVAL: memory is NULL, len is 0 or too large, or part of it is registered already
 *   -EFAULT: it is not all there
 *   -ENOMEM, -EPERM. Does not wait.
 */
OURO_API int ouro_buffer_register(void *memory, size_t len);

/**
 * ouro_buffer_unregister - have the kernel forget memory
 * @memory: as registered
 *
 * Operations under way on it end as they would have. Never waits.
 *
 * Returns: 0; -ENOENT: it is not registered, also where ouro_buffer_register() returned 0; -EPERM: outside a
 * loop.
 */
OURO_API int ouro_buffer_unregister(void *memory);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
