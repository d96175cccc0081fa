/* direct.h - bytes moved inside the kernel by a call on the loop's thread, which must not wait. */
#ifndef OURO_IO_DIRECT_H
#define OURO_IO_DIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A descriptor that is no pipe: len if reading from it does not wait, else 0; -EBADF. */
ssize_t direct_input(int fd, size_t len);

/* A descriptor that is no pipe: how many bytes, of len, it takes without waiting; 0, -EBADF. */
ssize_t direct_room(int fd, size_t len);

/* As the system calls, without SIGPIPE; -EAGAIN where a pipe would wait. */
ssize_t direct_splice(int fd_in, off_t *offset, int fd_out, size_t len, unsigned flags);
ssize_t direct_tee(int fd_in, int fd_out, size_t len);
ssize_t direct_sendfile(int fd_out, int fd_in, off_t *offset, size_t len);

/* The bytes of a file are in memory, as far as can be told. */
bool direct_cached(int fd, off_t offset, size_t len);

#endif
