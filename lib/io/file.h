/* file.h - what the files behind ouro/file.h and the calls of ouro/io.h on files share. */
#ifndef OURO_IO_FILE_H
#define OURO_IO_FILE_H

#include <sys/types.h>

#include "ring/op.h"

/* Carries out an entry that opens something, and waits for a FIFO's other end. */
int file_open(const struct io_uring_sqe *entry, uint64_t flags);

/* Around a transfer at fd's position. */
off_t file_position_before(int fd);
ssize_t file_mend_position(int fd, off_t before, ssize_t moved);

/* -ESPIPE where there is no position, -EINVAL, -EBADF, -EPERM; or 0. */
int file_refuse_offset(int fd, off_t offset);

#endif
