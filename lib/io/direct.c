/* direct.c - bytes moved inside the kernel by a call on the loop's thread, which must not wait.
 *
 * A socket that is not O_NONBLOCK makes splice(2) and sendfile(2) wait until all has gone: there is no flag
 * for the one call. But what fits into its buffer goes at once, and the socket tells how much that is. */
#include "io/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ring/calls_impl.h"
#include "ring/ring.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* 6.5 */
#endif

/* As of the kernel's headers since 6.5. */
struct cache_range {
        uint64_t off, len;
};

struct cache_counts {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static bool never_waits(int fd)
{
        int flags = sys_result(fcntl(fd, F_GETFL));

        return flags < 0 || (flags & O_NONBLOCK);
}

ssize_t direct_input(int fd, size_t len)
{
        int ready;

        if (never_waits(fd))
                return (ssize_t)len;
        ready = poll_now(fd, POLLIN);
        return ready > 0 ? (ssize_t)len : ready;
}

/* It has said that it is ready. What is no socket (a terminal) then takes some bytes. */
static size_t room_in_buffer(int fd, size_t len)
{
        uint32_t info[SK_MEMINFO_VARS] = {0};
        socklen_t bytes = sizeof info;
        uint32_t queued, most;

        if (sys_result(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &bytes)) < 0)
                return len < PIPE_BUF ? len : PIPE_BUF;
        queued = info[SK_MEMINFO_WMEM_QUEUED] > info[SK_MEMINFO_WMEM_ALLOC] ? info[SK_MEMINFO_WMEM_QUEUED]
                                                                            : info[SK_MEMINFO_WMEM_ALLOC];
        most = info[SK_MEMINFO_SNDBUF];
        if (most <= queued)
                return 1; /* ready for one packet more, or with an error to tell */
        return len < most - queued ? len : most - queued;
}

ssize_t direct_room(int fd, size_t len)
{
        int ready;

        if (never_waits(fd))
                return (ssize_t)len;
        ready = poll_now(fd, POLLOUT);
        return ready > 0 ? (ssize_t)room_in_buffer(fd, len) : ready;
}

/* As operations do, for who asks whether a descriptor is idle. */
static ssize_t note_moved(ssize_t n, int fd_in, int fd_out)
{
        if (n > 0) {
                ring_note_moved(sched_current->ring, fd_in);
                ring_note_moved(sched_current->ring, fd_out);
        }
        return n;
}

ssize_t direct_splice(int fd_in, off_t *offset, int fd_out, size_t len, unsigned flags)
{
        struct pipe_guard guard;
        ssize_t n;

        guard_enter(&guard);
        n = sys_retry(splice(fd_in, offset, fd_out, NULL, len < TRANSFER_MAX ? len : TRANSFER_MAX,
                             flags | SPLICE_F_NONBLOCK));
        guard_leave(&guard, n == -EPIPE);
        return note_moved(n, fd_in, fd_out);
}

ssize_t direct_tee(int fd_in, int fd_out, size_t len)
{
        struct pipe_guard guard;
        ssize_t n;

        guard_enter(&guard);
        n = sys_retry(tee(fd_in, fd_out, len < TRANSFER_MAX ? len : TRANSFER_MAX, SPLICE_F_NONBLOCK));
        guard_leave(&guard, n == -EPIPE);
        return n;
}

ssize_t direct_sendfile(int fd_out, int fd_in, off_t *offset, size_t len)
{
        struct pipe_guard guard;
        ssize_t n;

        guard_enter(&guard);
        n = sys_retry(sendfile(fd_out, fd_in, offset, len < TRANSFER_MAX ? len : TRANSFER_MAX));
        guard_leave(&guard, n == -EPIPE);
        return note_moved(n, fd_in, fd_out);
}

static bool byte_cached(int fd, off_t offset)
{
        struct iovec byte = {(char[1]){0}, 1};

        return sys_retry(preadv2(fd, &byte, 1, offset, RWF_NOWAIT)) >= 0;
}

/* Only those who may write to a file are told which pages are in memory; others look at three bytes. */
bool direct_cached(int fd, off_t offset, size_t len)
{
        struct cache_range range = {(uint64_t)offset, len};
        struct cache_counts counts;
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

        if (sys_result(syscall(SYS_cachestat, fd, &range, &counts, 0)) == 0)
                return counts.cached >= ((uint64_t)offset + len - 1) / page - (uint64_t)offset / page + 1;
        return byte_cached(fd, offset) && byte_cached(fd, offset + (off_t)(len / 2)) &&
               byte_cached(fd, offset + (off_t)len - 1);
}
