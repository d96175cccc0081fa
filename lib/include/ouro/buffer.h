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

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
