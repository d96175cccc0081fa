/* ouro/transfer.h - bytes moved inside the kernel. Included by ouro.h, whose conventions hold. */
#ifndef OURO_TRANSFER_H
#define OURO_TRANSFER_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- moving bytes inside the kernel ------------------------------------------------------------ */

/* Nothing is kept between calls: bytes that have left one descriptor are in the other when a call returns,
 * whatever cuts it short. No call raises SIGPIPE. They are tried on the loop's thread when the descriptors
 * are ready. Should somebody who is no task of this loop read or write the same socket at the same moment,
 * and the socket not be O_NONBLOCK, the loop may wait for its peer. */

/**
 * ouro_splice - move bytes to or from a pipe, see splice(2)
 * @fd_in: read from: a pipe, a stream socket, a file
 * @inout_in: offset in fd_in, in bytes, moved on by what was read; NULL: the file's position. NULL for what
 * has none
 * @fd_out: written to: a pipe, a stream socket, a file; one of the two must be a pipe
 * @inout_out: as inout_in, of fd_out
 * @len: at most so many bytes
 * @flags: SPLICE_F_MORE, SPLICE_F_MOVE or 0
 *
 * Waits until at least one byte has been moved. With a regular file the disk is waited for in a helper
 * thread, or in one of the kernel's.
 *
 * Returns: bytes moved; 0 at the end of fd_in, and for a len of 0; or
 *   -EINVAL: no pipe among them, another flag, a negative offset, the same pipe twice
 *   -EPIPE: nobody reads from fd_out any more
 *   -ESPIPE: an offset for what has none
 *   -EBADF, -ECANCELED, -ETIME, or another errno of splice(2), never -EAGAIN or -EINTR
 */
OURO_API ssize_t ouro_splice(int fd_in, off_t *inout_in, int fd_out, off_t *inout_out, size_t len,
                             unsigned flags);

/**
 * ouro_tee - copy bytes from a pipe to another and leave them there, see tee(2)
 * @fd_in: a pipe, read from
 * @fd_out: another, written to
 * @len: at most so many bytes
 *
 * Waits until at least one byte has been copied. The same bytes are copied again by the next call unless
 * somebody has read them meanwhile.
 *
 * Returns: bytes copied; 0 at the end of fd_in, and for a len of 0; or
 *   -EINVAL: one is not a pipe, or both are the same
 *   -EPIPE: nobody reads from fd_out any more
 *   -EBADF, -ECANCELED, -ETIME, or another errno of tee(2), never -EAGAIN or -EINTR
 */
OURO_API ssize_t ouro_tee(int fd_in, int fd_out, size_t len);

/**
 * ouro_sendfile - send a part of a file, see sendfile(2)
 * @fd_out: a stream socket or a pipe
 * @fd_in: a regular file or a block device
 * @inout_offset: of the first byte, in bytes, moved on by what was sent; NULL: the file's position, moved on
 * likewise
 * @len: at most so many bytes
 *
 * What is in memory is sent from there. What is not is read by an operation like ouro_pread() and sent from a
 * buffer, so that the loop does not wait for the disk.
 *
 * Returns: bytes sent, maybe fewer than len; 0 at the end of the file, and for a len of 0; or
 *   -EINVAL: fd_in is neither, or a negative offset
 *   -EPIPE: the peer is gone
 *   -EBADF, -ECANCELED, -ETIME, or another errno of sendfile(2), pread(2) or send(2), never -EAGAIN or -EINTR
 */
OURO_API ssize_t ouro_sendfile(int fd_out, int fd_in, off_t *inout_offset, size_t len);

/**
 * ouro_sendfile_all - send a part of a file, all of it
 * @fd_out: a stream socket or a pipe
 * @fd_in: a regular file or a block device
 * @offset: in the file, in bytes, of the part's first byte
 * @len: of the part
 * @inout_done: bytes of the part already sent, in and out; NULL counts from 0
 *
 * Returns: 0 when *inout_done has reached len; -ENODATA if the file ended first; else an error of
 * ouro_sendfile(), and *inout_done tells how far it came. -EINVAL if *inout_done exceeds len.
 */
OURO_API int ouro_sendfile_all(int fd_out, int fd_in, off_t offset, size_t len, size_t *inout_done);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
