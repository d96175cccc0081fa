/* output.c - see output.h. The worker may have set the position to anything, and may write while we read. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "executors/output.h"

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW };

int output_create(size_t most, int *ret_fd)
{
        int fd = sys_result(memfd_create("ouro-output", MFD_CLOEXEC | MFD_ALLOW_SEALING)), error;

        if (fd < 0)
                return fd;
        error = sys_result(ftruncate(fd, (off_t)most));
        if (error == 0)
                error = sys_result(fcntl(fd, F_ADD_SEALS, SEALS));
        if (error < 0)
                close(fd);
        else
                *ret_fd = fd;
        return error;
}

static size_t written(int fd, size_t most)
{
        off_t at = sys_result(lseek(fd, 0, SEEK_CUR));

        return at < 0 ? 0 : (size_t)at > most ? most : (size_t)at;
}

/* Zeros again, so that nothing of one job is ever taken for another's, and no memory but for the last page.
 */
static void begin_anew(int fd, size_t most)
{
        check(sys_result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)most)) == 0);
        check(sys_result(lseek(fd, 0, SEEK_SET)) == 0);
}

static size_t read_all(int fd, char *text, size_t bytes)
{
        size_t done = 0;

        while (done < bytes) {
                ssize_t n = sys_result(pread(fd, text + done, bytes - done, (off_t)done));

                if (n == -EINTR)
                        continue;
                if (n <= 0)
                        break;
                done += (size_t)n;
        }
        return done;
}

int output_take(int fd, size_t most, char **ret, size_t *ret_bytes)
{
        size_t bytes = written(fd, most);
        char *text = NULL;

        if (bytes > 0) {
                text = mem_alloc(bytes + 1);
                if (!text)
                        return -ENOMEM;
                check(read_all(fd, text, bytes) == bytes); /* it cannot shrink */
                text[bytes] = '\0';
                begin_anew(fd, most);
        }
        *ret = text;
        *ret_bytes = bytes;
        return 0;
}

void output_drop(int fd, size_t most)
{
        if (written(fd, most) > 0)
                begin_anew(fd, most);
}
