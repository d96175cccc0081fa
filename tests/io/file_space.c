/* Of lib/io/file_space.c: length, space, advice, and what direct I/O wants. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <sys/stat.h>

#include "support/in_loop.h"
#include "support/paths.h"
#include "support/temp_dir.h"

TestSuite(file_space, .init = temp_begin, .fini = temp_end);

static int new_file(const char *text)
{
        int fd = open("file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        cr_assert_geq(fd, 0);
        EQ(write(fd, text, strlen(text)), strlen(text));
        return fd;
}

static struct stat stat_of(int fd)
{
        struct stat st;

        EQ(fstat(fd, &st), 0);
        return st;
}

IN_LOOP(file_space, length_is_set_both_ways)
{
        int fd = new_file("some text"), read_only = open("file", O_RDONLY | O_CLOEXEC);
        char buf[8];

        EQ(ouro_truncate("file", 4), 0);
        EQ(stat_of(fd).st_size, 4);
        EQ(ouro_ftruncate(fd, 6), 0);
        EQ(ouro_pread(fd, buf, sizeof buf, 0), 6);
        cr_assert_eq(memcmp(buf, "some\0\0", 6), 0);
        EQ(ouro_ftruncate(fd, (off_t)5 << 32), 0);
        EQ(stat_of(fd).st_size, (off_t)5 << 32);
        EQ(ouro_truncate("file", -1), -EINVAL);
        EQ(ouro_ftruncate(fd, -1), -EINVAL);
        EQ(ouro_ftruncate(read_only, 0), -EINVAL);
        EQ(ouro_ftruncate(-1, 0), -EBADF);
        EQ(ouro_ftruncate(no_such_fd(), 0), -EBADF);
        EQ(ouro_truncate(".", 0), -EISDIR);
        REFUSES_BAD_PATHS(ouro_truncate(path, 0));
        close(read_only);
        close(fd);
        return 0;
}

IN_LOOP(file_space, space_is_given_and_taken)
{
        int fd = new_file(""), fds[2];

        EQ(ouro_fallocate(fd, 0, 0, 1 << 20), 0);
        EQ(stat_of(fd).st_size, 1 << 20);
        cr_assert_geq(stat_of(fd).st_blocks, (1 << 20) / 512);
        EQ(ouro_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 19), 0);
        EQ(stat_of(fd).st_size, 1 << 20);
        cr_assert_leq(stat_of(fd).st_blocks, (1 << 19) / 512 + 64);
        EQ(ouro_fallocate(fd, 0, 0, 0), -EINVAL);
        EQ(ouro_fallocate(fd, 0, -1, 10), -EINVAL);
        EQ(ouro_fallocate(fd, 0, INT64_MAX, 10), -EFBIG);
        EQ(ouro_fallocate(-1, 0, 0, 10), -EBADF);
        EQ(ouro_fallocate(no_such_fd(), 0, 0, 10), -EBADF);
        EQ(pipe2(fds, O_CLOEXEC), 0);
        EQ(ouro_fallocate(fds[1], 0, 0, 10), -ESPIPE);
        close_both(fds);
        close(fd);
        return 0;
}

IN_LOOP(file_space, advice_is_taken)
{
        int fd = new_file("text"), fds[2];

        EQ(ouro_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
        EQ(ouro_fadvise(fd, 0, 4096, POSIX_FADV_WILLNEED), 0);
        EQ(ouro_fadvise(fd, 0, 4096, POSIX_FADV_DONTNEED), 0);
        EQ(ouro_fadvise(fd, 0, (off_t)5 << 32, POSIX_FADV_DONTNEED), 0); /* more than 32 bits */
        EQ(ouro_fadvise(fd, 0, 0, 100), -EINVAL);
        EQ(ouro_fadvise(fd, 0, (off_t)5 << 32, 100), -EINVAL);
        EQ(ouro_fadvise(fd, -1, 0, POSIX_FADV_NORMAL), -EINVAL);
        EQ(ouro_fadvise(fd, 0, -1, POSIX_FADV_NORMAL), -EINVAL);
        EQ(ouro_fadvise(-1, 0, 0, POSIX_FADV_NORMAL), -EBADF);
        EQ(pipe2(fds, O_CLOEXEC), 0);
        EQ(ouro_fadvise(fds[0], 0, 0, POSIX_FADV_NORMAL), -ESPIPE);
        close_both(fds);
        close(fd);
        return 0;
}

IN_LOOP(file_space, a_range_is_written_out)
{
        int fd = new_file("text"), fds[2];

        EQ(ouro_sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), 0);
        EQ(ouro_sync_file_range(fd, 0, (off_t)5 << 32, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER),
           0);
        EQ(ouro_sync_file_range(fd, 0, 4, 0x100), -EINVAL);
        EQ(ouro_sync_file_range(fd, -1, 4, 0), -EINVAL);
        EQ(ouro_sync_file_range(fd, 0, -1, 0), -EINVAL);
        EQ(ouro_sync_file_range(-1, 0, 4, 0), -EBADF);
        EQ(pipe2(fds, O_CLOEXEC), 0);
        EQ(ouro_sync_file_range(fds[0], 0, 0, SYNC_FILE_RANGE_WRITE), -ESPIPE);
        close_both(fds);
        close(fd);
        return 0;
}

/* ---- direct I/O ---- */

IN_LOOP(file_space, direct_transfers_of_aligned_buffers_work_and_of_others_do_not)
{
        int fd = ouro_open("direct", O_RDWR | O_CREAT | O_DIRECT, 0600);
        size_t memory = 0, offset = 0;
        char *buf;
        int error;

        if (fd == -EINVAL) {
                PASSED_OVER("no O_DIRECT in /tmp");
                return 0;
        }
        cr_assert_geq(fd, 0);
        error = ouro_direct_alignment(fd, &memory, &offset);
        if (error == -EOPNOTSUPP) {
                PASSED_OVER("the file system says that it has no direct I/O");
                close(fd);
                return 0;
        }
        EQ(error, 0);
        cr_assert(memory > 0 && (memory & (memory - 1)) == 0);
        cr_assert(offset > 0 && (offset & (offset - 1)) == 0);
        buf = ouro_aligned_alloc(memory, 4 * offset);
        cr_assert_not_null(buf);
        EQ((uintptr_t)buf % memory, 0);
        fill(buf, 4 * offset, 0);
        EQ(ouro_pwrite(fd, buf, 4 * offset, 0), 4 * offset);
        memset(buf, 0, 4 * offset);
        EQ(ouro_pread(fd, buf, 2 * offset, (off_t)offset), 2 * offset);
        cr_assert(filled(buf, 2 * offset, offset));
        if (offset >= 512) { /* else every length is aligned */
                EQ(ouro_pread(fd, buf, offset - 1, 0), -EINVAL);
                EQ(ouro_pread(fd, buf, offset, 1), -EINVAL);
                EQ(ouro_pwrite(fd, buf, offset, 1), -EINVAL);
        }
        ouro_aligned_free(buf);
        EQ(ouro_close(fd), 0);
        return 0;
}

IN_LOOP(file_space, alignment_tells_its_errors)
{
        int fd = new_file("");
        size_t memory = 7, offset = 7;

        EQ(ouro_direct_alignment(-1, &memory, &offset), -EBADF);
        EQ(ouro_direct_alignment(no_such_fd(), &memory, &offset), -EBADF);
        EQ(ouro_direct_alignment(fd, NULL, &offset), -EINVAL);
        EQ(ouro_direct_alignment(fd, &memory, NULL), -EINVAL);
        EQ(memory, 7);
        EQ(offset, 7);
        close(fd);
        return 0;
}

Test(file_space, aligned_buffers_are_as_asked)
{
        for (size_t alignment = 1; alignment <= 1 << 16; alignment *= 2) {
                char *buf = ouro_aligned_alloc(alignment, 3 * alignment + 1);

                cr_assert_not_null(buf);
                EQ((uintptr_t)buf % alignment, 0);
                memset(buf, 1, 4 * alignment); /* rounded up */
                ouro_aligned_free(buf);
        }
        cr_assert_null(ouro_aligned_alloc(0, 10));
        cr_assert_null(ouro_aligned_alloc(24, 10));
        cr_assert_null(ouro_aligned_alloc(4096, SIZE_MAX - 10));
#ifndef __SANITIZE_ADDRESS__ /* which ends the process instead */
        errno = 5;
        cr_assert_null(ouro_aligned_alloc(4096, SIZE_MAX / 2));
        EQ(errno, 5);
#endif
        ouro_aligned_free(NULL);
}

Test(file_space, outside_a_loop_is_refused)
{
        size_t memory, offset;

        EQ(ouro_truncate(".", 0), -EPERM);
        EQ(ouro_ftruncate(0, 0), -EPERM);
        EQ(ouro_fallocate(0, 0, 0, 1), -EPERM);
        EQ(ouro_fadvise(0, 0, 0, 0), -EPERM);
        EQ(ouro_sync_file_range(0, 0, 0, 0), -EPERM);
        EQ(ouro_direct_alignment(0, &memory, &offset), -EPERM);
}
