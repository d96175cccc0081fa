/* output.h - what one worker's jobs write to stdout and stderr, as the host takes it.
 *
 * A memfd of a fixed size, sealed so that it neither grows nor shrinks: a job cannot make the host keep more,
 * and what it wrote is there however it ended. Host and worker share one position, which says how much has
 * been written. What does not fit is refused, with EPERM. */
#ifndef OURO_EXECUTORS_OUTPUT_H
#define OURO_EXECUTORS_OUTPUT_H

#include <stddef.h>

/* For one worker; most: bytes, more than 0. 0, -ENOMEM, -EMFILE, -ENFILE, -EFBIG: the host's limit of files.
 */
int output_create(size_t most, int *ret_fd);

/* Between two jobs, or after a worker's death: takes what has been written since the last time, and begins
 * anew. ret: of mem_alloc(), *ret_bytes + 1 of them, ended by a NUL; NULL if nothing was written. 0 or
 * -ENOMEM: it is still there. */
int output_take(int fd, size_t most, char **ret, size_t *ret_bytes);

/* The same for who does not want it. */
void output_drop(int fd, size_t most);

#endif
