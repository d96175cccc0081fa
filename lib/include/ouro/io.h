/* ouro/io.h - files, pipes and sockets. Included by ouro.h, whose conventions hold. */
#ifndef OURO_IO_H
#define OURO_IO_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- files and pipes -------------------------------------------------------------------------- */

/* All take plain descriptors, blocking or not: O_NONBLOCK neither shows nor is ever set. Descriptors made
 * here are close-on-exec. No write raises SIGPIPE. */

/**
 * ouro_openat - open a file, see openat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @flags: O_... flags; O_CLOEXEC is added
 * @mode: of a new file
 *
 * A file that was opened just as the call was cancelled is returned, not lost. The epoll backend cannot cut
 * short the opening of a FIFO that waits for its peer: O_RDWR, or O_NONBLOCK to read, does not wait.
 *
 * Returns: a descriptor, -EINVAL (path is NULL), -ECANCELED, -ETIME or an errno of openat(2).
 */
OURO_API int ouro_openat(int dirfd, const char *path, int flags, mode_t mode);

/**
 * ouro_read - read at the file's position, see read(2)
 * @fd: file, pipe, socket, terminal, eventfd
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are read at a time
 *
 * Returns: bytes read, 0 at the end; -EBADF, -EINVAL (buf is NULL and len is not 0), -ECANCELED, -ETIME or
 * an errno of read(2), never -EAGAIN or -EINTR.
 */
OURO_API ssize_t ouro_read(int fd, void *buf, size_t len);

/**
 * ouro_write - write at the file's position, see write(2)
 * @fd: file, pipe, socket, terminal, eventfd
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are written at a time
 *
 * Returns: bytes written, maybe fewer than len; -EPIPE, and errors as ouro_read().
 */
OURO_API ssize_t ouro_write(int fd, const void *buf, size_t len);

/**
 * ouro_pread - read at an offset, see pread(2)
 * @fd: a file
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are read at a time
 * @offset: in bytes, zero or more
 *
 * Returns: as ouro_read(); -EINVAL for a negative offset, -ESPIPE where there is no position.
 */
OURO_API ssize_t ouro_pread(int fd, void *buf, size_t len, off_t offset);

/**
 * ouro_pwrite - write at an offset, see pwrite(2)
 * @fd: a file
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are written at a time
 * @offset: in bytes, zero or more
 *
 * Returns: as ouro_write(); -EINVAL for a negative offset, -ESPIPE where there is no position.
 */
OURO_API ssize_t ouro_pwrite(int fd, const void *buf, size_t len, off_t offset);

/**
 * ouro_write_all - write until everything is written
 * @fd: as ouro_write()
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @inout_done: bytes of buf already written, in and out; NULL counts from 0
 *
 * Returns: 0 when *inout_done has reached len; else an error of ouro_write(), and *inout_done tells how
 * far it came. -EINVAL if *inout_done exceeds len.
 */
OURO_API int ouro_write_all(int fd, const void *buf, size_t len, size_t *inout_done);

/**
 * ouro_read_all - read until the buffer is full
 * @fd: as ouro_read()
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @inout_done: bytes of buf already filled, in and out; NULL counts from 0
 *
 * Returns: 0 when *inout_done has reached len; -ENODATA if the end came first; else as ouro_write_all().
 */
OURO_API int ouro_read_all(int fd, void *buf, size_t len, size_t *inout_done);

/**
 * ouro_pwrite_all - write everything at an offset
 * @fd: a file
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @offset: of buf's first byte in the file
 * @inout_done: bytes of buf already written, in and out; NULL counts from 0
 *
 * Returns: as ouro_write_all().
 */
OURO_API int ouro_pwrite_all(int fd, const void *buf, size_t len, off_t offset, size_t *inout_done);

/**
 * ouro_pread_all - fill a buffer from an offset
 * @fd: a file
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @offset: of buf's first byte in the file
 * @inout_done: bytes of buf already filled, in and out; NULL counts from 0
 *
 * Returns: as ouro_read_all().
 */
OURO_API int ouro_pread_all(int fd, void *buf, size_t len, off_t offset, size_t *inout_done);

/**
 * ouro_fsync - make a file durable, see fsync(2)
 * @fd: a file or directory
 *
 * Returns: 0, -EBADF, -ECANCELED, -ETIME or an errno of fsync(2). Once started it cannot be stopped.
 */
OURO_API int ouro_fsync(int fd);

/**
 * ouro_fdatasync - make a file's data durable, see fdatasync(2)
 * @fd: a file
 *
 * Returns: as ouro_fsync().
 */
OURO_API int ouro_fdatasync(int fd);

struct statx;

/**
 * ouro_statx - ask about a file, see statx(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd; "" with AT_EMPTY_PATH for dirfd itself
 * @flags: AT_... flags
 * @mask: STATX_... bits wanted
 * @ret_statx: filled in on success (include <sys/stat.h> or <linux/stat.h>)
 *
 * Returns: 0, -EINVAL (NULL path or ret_statx), -ECANCELED, -ETIME or an errno of statx(2).
 */
OURO_API int ouro_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret_statx);

/**
 * ouro_unlinkat - remove a name, see unlinkat(2)
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @flags: 0 or AT_REMOVEDIR
 *
 * Returns: 0, -EINVAL (path is NULL), -ECANCELED, -ETIME or an errno of unlinkat(2).
 */
OURO_API int ouro_unlinkat(int dirfd, const char *path, int flags);

/**
 * ouro_renameat - change a name, see renameat2(2)
 * @old_dirfd: a directory, or AT_FDCWD
 * @old_path: relative to it
 * @new_dirfd: a directory, or AT_FDCWD
 * @new_path: relative to it
 * @flags: 0 or RENAME_... flags
 *
 * Returns: 0, -EINVAL (a path is NULL), -ECANCELED, -ETIME or an errno of renameat2(2).
 */
OURO_API int ouro_renameat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
                           unsigned flags);

/**
 * ouro_open - ouro_openat() from the working directory
 * @path: of the file
 * @flags: O_... flags; O_CLOEXEC is added
 * @mode: of a new file
 *
 * Returns: as ouro_openat().
 */
OURO_API int ouro_open(const char *path, int flags, mode_t mode);

/**
 * ouro_unlink - remove a file's name, from the working directory
 * @path: of the file
 *
 * Returns: as ouro_unlinkat().
 */
OURO_API int ouro_unlink(const char *path);

/**
 * ouro_rename - change a file's name, from the working directory
 * @old_path: its name
 * @new_path: replaced if it exists
 *
 * Returns: as ouro_renameat().
 */
OURO_API int ouro_rename(const char *old_path, const char *new_path);

/**
 * ouro_close - close a descriptor. Never cut short.
 * @fd: any descriptor
 *
 * Waits on it by other tasks of this loop end first, with -EBADF; their buffers are theirs again before
 * the number can be used anew. Acts also in a cancelled task.
 *
 * Returns: 0, -EBADF (also for one that another task is closing), or an errno of close(2), the descriptor
 * being closed all the same.
 */
OURO_API int ouro_close(int fd);

/**
 * ouro_poll - wait until a descriptor is ready, see poll(2)
 * @fd: any descriptor; a regular file is always ready
 * @events: POLLIN, POLLOUT, POLLPRI, POLLRDHUP
 *
 * Returns: the events that have come (POLLERR, POLLHUP and POLLRDHUP may be among them unasked), more than 0;
 * -EINVAL for no or unknown events, -EBADF, -ECANCELED, -ETIME.
 */
OURO_API int ouro_poll(int fd, unsigned events);

/* ---- sockets ---------------------------------------------------------------------------------- */

/**
 * ouro_socket - make a socket, see socket(2). Never waits.
 * @domain: AF_INET, AF_INET6, AF_UNIX, ...
 * @type: SOCK_STREAM, ...; SOCK_CLOEXEC is added
 * @protocol: usually 0
 *
 * Returns: a descriptor, or an errno of socket(2).
 */
OURO_API int ouro_socket(int domain, int type, int protocol);

/**
 * ouro_bind - give a socket its address, see bind(2). Never waits.
 * @fd: a socket
 * @addr: the address
 * @len: of addr, in bytes
 *
 * Returns: 0, -EINVAL (addr is NULL), or an errno of bind(2).
 */
OURO_API int ouro_bind(int fd, const struct sockaddr *addr, socklen_t len);

/**
 * ouro_listen_on - let a bound socket accept connections, see listen(2). Never waits.
 * @fd: a bound socket
 * @backlog: connections that may wait to be accepted; zero or less for SOMAXCONN
 *
 * Returns: 0, or an errno of listen(2).
 */
OURO_API int ouro_listen_on(int fd, int backlog);

/**
 * ouro_listen - a listening socket by address text
 * @address: as ouro_address_parse(): "tcp:127.0.0.1:7000", "tcp:*:0" (all addresses of both families, any
 * port), "unix:/path", "unixpacket:@abstract", "udp:[::1]:53"
 *
 * TCP listeners have SO_REUSEADDR. Names are not resolved here. A unix path must not exist. A datagram socket
 * is bound only. More is asked for by ouro_listen_with().
 *
 * Returns: a descriptor; -EINVAL for a malformed or NULL address, or an errno of socket(2), bind(2) or
 * listen(2). Never waits.
 */
OURO_API int ouro_listen(const char *address);

/**
 * ouro_dial - connect by address text
 * @address: as ouro_address_parse(), or with a name for a host: "tcp:localhost:80"; a host and a port that is
 * not 0 must be there
 *
 * TCP connections have TCP_NODELAY. The addresses of a name race for the connection, see ouro_dial_with().
 *
 * Returns: a connected descriptor; -EINVAL for a malformed or NULL address, an error of ouro_resolve(),
 * -ECANCELED, -ETIME, or an errno of socket(2) or connect(2).
 */
OURO_API int ouro_dial(const char *address);

/**
 * ouro_accept - accept a connection, see accept4(2)
 * @fd: a listening socket
 * @addr: the peer's address; may be NULL
 * @len: in: room at addr, out: bytes of the address; NULL if addr is
 *
 * A connection that was accepted just as the call was cancelled is returned, not lost. TCP connections
 * inherit the listener's options; a listener of ouro_listen() passes on TCP_NODELAY.
 *
 * Returns: a descriptor, -EBADF, -EINVAL, -EMFILE, -ENFILE, -ECANCELED, -ETIME or an errno of accept4(2).
 */
OURO_API int ouro_accept(int fd, struct sockaddr *addr, socklen_t *len);

/**
 * ouro_connect - connect a socket, see connect(2)
 * @fd: a socket
 * @addr: lent until the call returns
 * @len: of addr, in bytes
 *
 * Returns: 0, -EBADF, -EINVAL (addr is NULL), -ECANCELED, -ETIME or an errno of connect(2), never
 * -EINPROGRESS. After -ECANCELED or -ETIME the socket's state is unknown: close it.
 */
OURO_API int ouro_connect(int fd, const struct sockaddr *addr, socklen_t len);

/**
 * ouro_recv - receive from a socket, see recv(2)
 * @fd: a socket
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are received at a time
 * @flags: MSG_PEEK, MSG_WAITALL, MSG_TRUNC, MSG_OOB; MSG_DONTWAIT is -EINVAL
 *
 * Returns: bytes received, 0 when the peer has ended its side; -EBADF, -EINVAL (buf is NULL and len is
 * not 0), -ECANCELED, -ETIME or an errno of recv(2), never -EAGAIN or -EINTR.
 */
OURO_API ssize_t ouro_recv(int fd, void *buf, size_t len, int flags);

/**
 * ouro_send - send on a socket, see send(2)
 * @fd: a socket
 * @buf: lent until the call returns
 * @len: at most 0x7ffff000 are sent at a time
 * @flags: MSG_MORE, MSG_OOB, MSG_EOR; MSG_NOSIGNAL is added; MSG_DONTWAIT is -EINVAL
 *
 * Returns: bytes sent, maybe fewer than len; -EPIPE, -EBADF, -EINVAL, -ECANCELED, -ETIME or an errno of
 * send(2), never -EAGAIN or -EINTR.
 */
OURO_API ssize_t ouro_send(int fd, const void *buf, size_t len, int flags);

/**
 * ouro_send_all - send until everything is sent
 * @fd: a stream socket
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @inout_done: bytes of buf already sent, in and out; NULL counts from 0
 *
 * Returns: 0 when *inout_done has reached len; else an error of ouro_send(), and *inout_done tells how
 * far it came. -EINVAL if *inout_done exceeds len.
 */
OURO_API int ouro_send_all(int fd, const void *buf, size_t len, size_t *inout_done);

/**
 * ouro_recv_all - receive until the buffer is full
 * @fd: a stream socket
 * @buf: lent until the call returns
 * @len: may exceed 2 GiB
 * @inout_done: bytes of buf already filled, in and out; NULL counts from 0
 *
 * Returns: 0 when *inout_done has reached len; -ENODATA if the peer ended its side first; else as
 * ouro_send_all().
 */
OURO_API int ouro_recv_all(int fd, void *buf, size_t len, size_t *inout_done);

/**
 * ouro_recvmsg - receive with address, vectors and control data, see recvmsg(2)
 * @fd: a socket
 * @msg: it and all that it points to is lent until the call returns; outputs as recvmsg(2)
 * @flags: as ouro_recv(), and MSG_CMSG_CLOEXEC
 *
 * Returns: as ouro_recv().
 */
OURO_API ssize_t ouro_recvmsg(int fd, struct msghdr *msg, int flags);

/**
 * ouro_sendmsg - send with address, vectors and control data, see sendmsg(2)
 * @fd: a socket
 * @msg: it and all that it points to is lent until the call returns
 * @flags: as ouro_send()
 *
 * Returns: as ouro_send().
 */
OURO_API ssize_t ouro_sendmsg(int fd, const struct msghdr *msg, int flags);

/**
 * ouro_shutdown - end one or both sides of a connection, see shutdown(2)
 * @fd: a connected socket
 * @how: SHUT_RD, SHUT_WR or SHUT_RDWR
 *
 * Never cut short: it acts also in a cancelled task.
 * Returns: 0, -EBADF, -EINVAL or an errno of shutdown(2).
 */
OURO_API int ouro_shutdown(int fd, int how);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
