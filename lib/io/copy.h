/* copy.h - the parts of a copy.
 *
 * What has "blocking" above it is for helper threads; the rest for tasks. */
#ifndef OURO_IO_COPY_H
#define OURO_IO_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "ouro.h"

enum {
        COPY_CHUNK = 16 << 20,
        COPY_ATTRIBUTES = OURO_COPY_ALL,
        COPY_KNOWN = COPY_ATTRIBUTES | OURO_COPY_NEW | OURO_COPY_NO_FOLLOW | OURO_COPY_NO_CLONE |
                     OURO_COPY_NO_HOLES | OURO_COPY_NO_KERNEL | OURO_COPY_SYNC,
};

/* Bytes on their way. */
struct copy_data {
        int from_fd, to_fd;
        off_t from_at, to_at; /* of byte 0 */
        uint64_t len;         /* to be copied; what is done of it: */
        uint64_t done;
        uint64_t data_end; /* no hole before it */
        size_t chunk;
        bool holes;  /* the original may have some */
        bool kernel; /* copy_file_range(2) may do */
        bool stream; /* no offsets in the original: it is read from its position, to its end */
        bool to_end; /* its end before len is no error */
        bool ended;  /* it has been seen */
        const struct ouro_copy_options *options;
};

int copy_read_options(const struct ouro_copy_options *from, struct ouro_copy_options *ret);

/* Blocking: a chunk by the kernel. 0, or an error; copy_data.kernel is off where it is of no use. */
int copy_kernel_step(struct copy_data *data);

/* Blocking: the target is as long as what has been copied, trailing holes and all. */
int copy_grow(const struct copy_data *data);

/* All that is left. 0 also at an early end, see copy_data.ended. */
int copy_run(struct copy_data *data);

/* Blocking: from one open file to another; path_only: they are open by O_PATH. */
int copy_attributes(int from_fd, int to_fd, bool path_only, unsigned flags);

#endif
