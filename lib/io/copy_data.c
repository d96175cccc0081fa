/* copy_data.c - bytes on their way from file to file: by the kernel, or by two buffers in turn.
 *
 * What is done is without gaps: copy_data.done bytes have arrived, whatever went wrong then. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/sys.h"
#include "io/copy.h"
#include "io/fs.h"

enum { BUFFER = 1 << 20, ALIGNED = 4096, PIECES = 256 /* between two holes, in one step */ };

int copy_read_options(const struct ouro_copy_options *from, struct ouro_copy_options *ret)
{
        int error = from ? options_read(ret, sizeof *ret, from) : 0;

        if (error < 0)
                return error;
        if (ret->flags & ~(unsigned)COPY_KNOWN)
                return -EINVAL;
        if (ret->chunk == 0)
                ret->chunk = COPY_CHUNK;
        return 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

/* ---- holes ---- */

/* The next data behind at, and where it ends; at itself where holes are not told. Blocking. */
static int find_data(const struct copy_data *data, off_t at, off_t *ret_start, off_t *ret_end)
{
        off_t start = sys_result(lseek(data->from_fd, at, SEEK_DATA)), end;

        if (start == -ENXIO) { /* no more data: a hole up to the end of the file */
                start = end = sys_result(lseek(data->from_fd, 0, SEEK_END));
        } else if (start >= 0) {
                end = sys_result(lseek(data->from_fd, start, SEEK_HOLE));
        }
        if (start < 0 || end < 0)
                return (int)(start < 0 ? start : end);
        *ret_start = start;
        *ret_end = end;
        return 0;
}

/* Passes over a hole, if there is one. Blocking. */
static void skip_hole(struct copy_data *data)
{
        off_t at = data->from_at + (off_t)data->done, start, end;
        off_t position;

        if (!data->holes || data->done < data->data_end)
                return;
        position = sys_result(lseek(data->from_fd, 0, SEEK_CUR));
        if (find_data(data, at, &start, &end) < 0) {
                data->holes = false;
        } else if (start < at) { /* it has become shorter */
                data->ended = true;
        } else {
                data->done = less(data->len, (uint64_t)(start - data->from_at));
                data->data_end = less(data->len, (uint64_t)(end - data->from_at));
                data->ended = start == end && data->done < data->len;
        }
        (void)sys_result(lseek(data->from_fd, position, SEEK_SET));
}

static intptr_t skip_hole_call(void *data)
{
        skip_hole(data);
        return 0;
}

static uint64_t data_left(const struct copy_data *data)
{
        return (data->holes ? data->data_end : data->len) - data->done;
}

/* ---- by the kernel ---- */

static bool is_refusal(ssize_t error)
{
        switch (error) {
        case -EXDEV:
        case -EINVAL:
        case -EOPNOTSUPP:
        case -ENOSYS:
        case -EPERM:
        case -ETXTBSY:
        case -EOVERFLOW:
                return true;
        default:
                return false;
        }
}

/* Within what is known to have no holes. 0: it has moved on, or the kernel is of no use. */
static int move_by_kernel(struct copy_data *data, uint64_t len)
{
        off_t from = data->from_at + (off_t)data->done, to = data->to_at + (off_t)data->done;
        ssize_t n = sys_result(copy_file_range(data->from_fd, &from, data->to_fd, &to, len, 0));

        if (n > 0)
                data->done += (uint64_t)n;
        if (n > 0 || n == -EINTR)
                return 0;
        if (n < 0 && !is_refusal(n))
                return (int)n;
        data->kernel = false; /* 0 is the end, or a file that only read() can tell the bytes of */
        return 0;
}

int copy_kernel_step(struct copy_data *data)
{
        uint64_t until = data->done + less(data->chunk, data->len - data->done);
        int error = 0;

        for (int pieces = 0; pieces < PIECES && error == 0; pieces++) {
                skip_hole(data);
                if (!data->kernel || data->ended || data->done >= until)
                        break;
                error = move_by_kernel(data, less(until - data->done, data_left(data)));
        }
        return error;
}

static intptr_t kernel_call(void *data)
{
        return copy_kernel_step(data);
}

int copy_grow(const struct copy_data *data)
{
        off_t end = data->to_at + (off_t)data->done;
        struct stat st;
        int error = sys_result(fstat(data->to_fd, &st));

        if (error < 0 || !S_ISREG(st.st_mode) || st.st_size >= end)
                return error;
        return sys_result(ftruncate(data->to_fd, end));
}

/* ---- by two buffers ---- */

struct half {
        const struct copy_data *data;
        char *buf;
        uint64_t at;
        size_t len, written;
};

static intptr_t write_half(void *arg)
{
        struct half *half = arg;

        return ouro_pwrite_all(half->data->to_fd, half->buf, half->len, half->data->to_at + (off_t)half->at,
                               &half->written);
}

static ssize_t read_half(const struct copy_data *data, struct half *half, uint64_t at, uint64_t left)
{
        size_t len = (size_t)less(left, BUFFER);

        half->data = data;
        half->at = at;
        half->len = half->written = 0;
        if (len == 0)
                return 0;
        if (data->stream)
                return ouro_read(data->from_fd, half->buf, len);
        return ouro_pread(data->from_fd, half->buf, len, data->from_at + (off_t)at);
}

static int tell(const struct copy_data *data)
{
        const struct ouro_copy_options *options = data->options;
        uint64_t size = data->len == INT64_MAX ? 0 : data->len;
        int result = options->progress ? options->progress(data->done, size, options->progress_arg) : 0;

        return result < 0 ? result : 0;
}

/* Awaits the half that is being written. */
static int end_writing(struct copy_data *data, ouro_task writer, struct half *half)
{
        int error = (int)ouro_await(writer);

        if (error < 0)
                return error;
        data->done += half->written;
        half->written = 0;
        return tell(data);
}

/* Up to data_end, reading while what was read before is written. */
static int pump(struct copy_data *data, struct half halves[2], struct ouro_group *group)
{
        uint64_t at = data->done, end = data->done + data_left(data);
        struct half *writing = NULL;
        ouro_task writer = {0};
        int error;

        for (unsigned turn = 0;; turn ^= 1) {
                ssize_t n = read_half(data, &halves[turn], at, end - at);

                error = writing ? end_writing(data, writer, writing) : 0;
                if (n <= 0 || error < 0) {
                        data->ended = n == 0 && at < end;
                        return error < 0 ? error : (int)n;
                }
                writing = &halves[turn];
                writing->len = (size_t)n;
                at += (uint64_t)n;
                writer = ouro_create_task_in(group, write_half, writing);
        }
}

static int pump_in_group(struct copy_data *data, struct half halves[2])
{
        int error = 0;

        OURO_GROUP_KEEP_GOING(group) {
                error = pump(data, halves, group);
        }
        /* What was being written when it was cut short has arrived all the same, as far as it came. */
        for (int i = 0; i < 2; i++)
                if (halves[i].at == data->done)
                        data->done += halves[i].written, halves[i].written = 0;
        return error;
}

static int by_buffers(struct copy_data *data)
{
        const size_t bytes = 2 * BUFFER + ALIGNED;
        char *memory = mem_alloc(bytes), *start;
        struct half halves[2] = {{.at = UINT64_MAX}, {.at = UINT64_MAX}};
        int error = 0;

        if (!memory)
                return -ENOMEM;
        start = (char *)(((uintptr_t)memory + ALIGNED - 1) & ~(uintptr_t)(ALIGNED - 1)); /* O_DIRECT */
        halves[0].buf = start;
        halves[1].buf = start + BUFFER;
        while (error == 0 && !data->ended && data->done < data->len) {
                if (data->holes && data->done >= data->data_end)
                        error = (int)op_call(skip_hole_call, data);
                if (error == 0 && data_left(data) > 0 && !data->ended)
                        error = pump_in_group(data, halves);
        }
        mem_free(memory, bytes);
        return error;
}

/* ---- all of it ---- */

int copy_run(struct copy_data *data)
{
        int error = 0;

        while (error == 0 && data->kernel && !data->ended && data->done < data->len) {
                error = (int)op_call(kernel_call, data);
                if (error == 0)
                        error = tell(data);
        }
        if (error == 0 && !data->ended && data->done < data->len)
                error = by_buffers(data);
        return error;
}

/* ---- a range ---- */

static int refuse_range(off_t from_at, off_t to_at, uint64_t len, uint64_t done)
{
        off_t end;

        if (!sched_current)
                return -EPERM;
        if (from_at < 0 || to_at < 0 || done > len || len > INT64_MAX)
                return -EINVAL;
        if (__builtin_add_overflow(from_at, (off_t)len, &end) ||
            __builtin_add_overflow(to_at, (off_t)len, &end))
                return -EINVAL;
        return sched_current->current->interrupt;
}

static intptr_t prepare_range(void *arg)
{
        struct copy_data *data = arg;
        struct stat from, to;
        int error = sys_result(fstat(data->from_fd, &from));
        off_t apart = data->from_at - data->to_at;

        if (error == 0)
                error = sys_result(fstat(data->to_fd, &to));
        if (error < 0)
                return error;
        if (from.st_ino == to.st_ino && from.st_dev == to.st_dev &&
            (uint64_t)(apart < 0 ? -apart : apart) < data->len)
                return -EINVAL;
        if (sys_result(lseek(data->from_fd, 0, SEEK_CUR)) < 0 ||
            sys_result(lseek(data->to_fd, 0, SEEK_CUR)) < 0)
                return -ESPIPE;
        data->holes = data->holes && S_ISREG(from.st_mode) && (off_t)from.st_blocks * 512 < from.st_size;
        return 0;
}

static intptr_t grow_call(void *data)
{
        return copy_grow(data);
}

int ouro_copy_range(int from_fd, off_t from_offset, int to_fd, off_t to_offset, uint64_t len,
                    const struct ouro_copy_options *options, uint64_t *inout_done)
{
        struct ouro_copy_options chosen = {.size = sizeof chosen};
        struct copy_data data = {
                .from_fd = from_fd, .to_fd = to_fd, .from_at = from_offset, .to_at = to_offset};
        int error = copy_read_options(options, &chosen);

        if (error == 0)
                error = refuse_range(from_offset, to_offset, len, inout_done ? *inout_done : 0);
        if (error < 0)
                return error;
        data.len = len;
        data.done = inout_done ? *inout_done : 0;
        data.chunk = chosen.chunk;
        data.holes = !(chosen.flags & OURO_COPY_NO_HOLES);
        data.kernel = !(chosen.flags & OURO_COPY_NO_KERNEL);
        data.options = &chosen;
        error = (int)op_call(prepare_range, &data);
        if (error == 0)
                error = copy_run(&data);
        if (inout_done)
                *inout_done = data.done;
        if (error == 0 && data.holes)
                error = (int)op_call(grow_call, &data);
        if (error == 0 && (chosen.flags & OURO_COPY_SYNC))
                error = ouro_fsync(to_fd);
        return error == 0 && data.done < data.len ? -ENODATA : error;
}
