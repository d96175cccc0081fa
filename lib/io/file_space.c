/* file_space.c - how long a file is, what space it has, what of it is on the disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "io/file.h"
#include "ouro.h"

enum { DIRECT_ALIGNMENT = 4096 };

struct truncate_call {
        const char *path;
        off_t length;
};

static intptr_t do_truncate(void *arg)
{
        const struct truncate_call *call = arg;

        return sys_retry(truncate(call->path, call->length));
}

int ouro_truncate(const char *path, off_t length)
{
        struct truncate_call call = {path, length};

        if (!path)
                return -EINVAL;
        return (int)op_call_on(-1, "truncate", do_truncate, &call);
}

/* liburing's own functions for these take offsets of a type that changes with its version. */
static int carry_out(unsigned opcode, int fd, off_t offset, __u64 addr, unsigned len, unsigned flags)
{
        struct op op;
        struct io_uring_sqe *sqe = op_begin(&op);

        sqe->opcode = (__u8)opcode;
        sqe->fd = fd;
        sqe->off = (__u64)offset;
        sqe->addr = addr;
        sqe->len = len;
        sqe->rw_flags = (int)flags; /* one field, whatever its name */
        return (int)op_wait(&op);
}

int ouro_ftruncate(int fd, off_t length)
{
        if (fd < 0)
                return -EBADF;
        if (length < 0)
                return -EINVAL;
        return carry_out(IORING_OP_FTRUNCATE, fd, length, 0, 0, 0);
}

int ouro_fallocate(int fd, int mode, off_t offset, off_t length)
{
        if (fd < 0)
                return -EBADF;
        return carry_out(IORING_OP_FALLOCATE, fd, offset, (__u64)length, (unsigned)mode, 0);
}

/* A range that an entry has no room for: its length has 32 bits there. */
struct range_call {
        int fd;
        off_t offset, length;
        int advice;
        unsigned flags;
};

static intptr_t do_fadvise(void *arg)
{
        const struct range_call *call = arg;

        return -posix_fadvise(call->fd, call->offset, call->length, call->advice);
}

int ouro_fadvise(int fd, off_t offset, off_t length, int advice)
{
        struct range_call call = {.fd = fd, .offset = offset, .length = length, .advice = advice};

        if (fd < 0)
                return -EBADF;
        if (offset < 0 || length < 0)
                return -EINVAL;
        if (length > UINT32_MAX)
                return (int)op_call_on(fd, "fadvise", do_fadvise, &call);
        return carry_out(IORING_OP_FADVISE, fd, offset, 0, (unsigned)length, (unsigned)advice);
}

static intptr_t do_sync_file_range(void *arg)
{
        const struct range_call *call = arg;

        return sys_retry(sync_file_range(call->fd, call->offset, call->length, call->flags));
}

int ouro_sync_file_range(int fd, off_t offset, off_t length, unsigned flags)
{
        struct range_call call = {.fd = fd, .offset = offset, .length = length, .flags = flags};

        if (fd < 0)
                return -EBADF;
        if (offset < 0 || length < 0)
                return -EINVAL;
        if (length > UINT32_MAX)
                return (int)op_call_on(fd, "sync_file_range", do_sync_file_range, &call);
        return carry_out(IORING_OP_SYNC_FILE_RANGE, fd, offset, 0, (unsigned)length, flags);
}

/* ---- direct I/O ---- */

/* struct statx of Linux 6.1, whose fields older headers call spare. */
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000U
#endif

static uint32_t word_at(const struct statx *st, size_t at)
{
        uint32_t word;

        __builtin_memcpy(&word, (const char *)st + at, sizeof word);
        return word;
}

int ouro_direct_alignment(int fd, size_t *ret_memory, size_t *ret_offset)
{
        enum { MEMORY_AT = 0x98, OFFSET_AT = 0x9c };
        size_t memory = DIRECT_ALIGNMENT, offset = DIRECT_ALIGNMENT;
        struct statx st = {0};
        int error;

        if (fd < 0)
                return -EBADF;
        if (!ret_memory || !ret_offset)
                return -EINVAL;
        error = ouro_statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st);
        if (error < 0)
                return error;
        if (st.stx_mask & STATX_DIOALIGN) {
                memory = word_at(&st, MEMORY_AT);
                offset = word_at(&st, OFFSET_AT);
        }
        if (memory == 0 || offset == 0)
                return -EOPNOTSUPP;
        *ret_memory = memory;
        *ret_offset = offset;
        return 0;
}

/* gcc takes posix_memalign(), and clang aligned_alloc(), to leave errno as it is, and drops what puts it
 * back. */
void *ouro_aligned_alloc(size_t alignment, size_t bytes)
{
        int saved_errno = errno;
        void *buf;

        if (alignment == 0 || (alignment & (alignment - 1)) || bytes > SIZE_MAX - alignment)
                return NULL;
        if (alignment < sizeof(void *))
                alignment = sizeof(void *);
        bytes = (bytes + alignment - 1) & ~(alignment - 1);
        buf = aligned_alloc(alignment, bytes ? bytes : alignment);
        __asm__ volatile("" ::: "memory"); /* errno may have changed */
        errno = saved_errno;
        return buf;
}

void ouro_aligned_free(void *buf)
{
        free(buf);
}
