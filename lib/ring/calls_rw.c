/* calls_rw.c - reads and writes of whatever a descriptor may be, without blocking the loop.
 *
 * RWF_NOWAIT is the flag for one call; sockets have MSG_DONTWAIT besides. What knows neither (terminals,
 * inotify, many file systems) is read and written by a helper, files at once, the others when ready. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ring/calls_impl.h"

bool call_probe_quiet(void)
{
        struct iovec byte = {(char[]){0}, 1};
        bool works;
        int fds[2];

        if (sys_result(pipe2(fds, O_CLOEXEC)) < 0)
                return false;
        works = sys_result(pwritev2(fds[1], &byte, 1, -1, RWF_NOSIGNAL)) == 1;
        close(fds[0]);
        close(fds[1]);
        return works;
}

static struct iovec rest_of_buffer(struct op *op)
{
        size_t done_bytes = call_progress(op)->done_bytes;

        return (struct iovec){(char *)pointer(op->sqe.addr) + done_bytes, transfer_len(op) - done_bytes};
}

static off_t rest_offset(struct op *op)
{
        return op->sqe.off == UINT64_MAX ? -1 : (off_t)(op->sqe.off + call_progress(op)->done_bytes);
}

void guard_enter(struct pipe_guard *guard)
{
        sigset_t pipe, pending;

        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe, &guard->old);
        guard->was_pending = sigismember(&guard->old, SIGPIPE) == 1; /* else it would have been delivered */
        if (guard->was_pending) {
                sigpending(&pending);
                guard->was_pending = sigismember(&pending, SIGPIPE) == 1;
        }
}

void guard_leave(const struct pipe_guard *guard, bool raised)
{
        const struct timespec now = {0, 0};
        sigset_t pipe;

        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        if (raised && !guard->was_pending)
                (void)sys_retry(sigtimedwait(&pipe, NULL, &now));
        pthread_sigmask(SIG_SETMASK, &guard->old, NULL);
}

static ssize_t write_guarded(int fd, const struct iovec *iov, off_t offset, int flags)
{
        struct pipe_guard guard;
        ssize_t result;

        guard_enter(&guard);
        result = sys_retry(pwritev2(fd, iov, 1, offset, flags));
        guard_leave(&guard, result == -EPIPE);
        return result;
}

static ssize_t move_nowait(struct op *op, bool quiet)
{
        int fd = op->sqe.fd, flags = (op->sqe.rw_flags & ~RWF_NOSIGNAL) | RWF_NOWAIT;
        struct iovec iov = rest_of_buffer(op);
        off_t offset = rest_offset(op);

        if (op->sqe.opcode == IORING_OP_READ)
                return sys_retry(preadv2(fd, &iov, 1, offset, flags));
        return quiet ? sys_retry(pwritev2(fd, &iov, 1, offset, flags | RWF_NOSIGNAL))
                     : write_guarded(fd, &iov, offset, flags);
}

/* -ENOTSOCK, or as of a read or write that does not wait. */
static ssize_t move_socket(struct op *op)
{
        struct iovec iov = rest_of_buffer(op);

        if (op->sqe.off != UINT64_MAX)
                return -ENOTSOCK;
        if (op->sqe.opcode == IORING_OP_READ)
                return sys_retry(recv(op->sqe.fd, iov.iov_base, iov.iov_len, MSG_DONTWAIT));
        return sys_retry(send(op->sqe.fd, iov.iov_base, iov.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* Less than was asked for: all there is, or all that a file had in memory. */
static enum call_outcome moved(struct op *op, ssize_t n)
{
        struct call_progress *progress = call_progress(op);

        progress->done_bytes += (uint32_t)n;
        if (n > 0 && progress->done_bytes < transfer_len(op) && is_file(op->sqe.fd))
                return CALL_WAIT;
        return finish(op, progress->done_bytes);
}

/* The descriptor knows no RWF_NOWAIT. */
static enum call_outcome only_blocks(const struct op *op)
{
        if (is_file(op->sqe.fd))
                return CALL_HELP;
        return poll_now(op->sqe.fd, call_turn(op)) != 0 ? CALL_HELP_ONCE : CALL_WAIT;
}

enum call_outcome try_rw(struct op *op, bool quiet)
{
        int flags = sys_result(fcntl(op->sqe.fd, F_GETFL));
        enum call_outcome outcome = CALL_WAIT;
        ssize_t n = -ENOTSOCK;

        if (flags < 0)
                return finish(op, flags);
        if ((flags & (O_DIRECT | O_DSYNC)) && is_file(op->sqe.fd))
                return CALL_HELP; /* RWF_NOWAIT waits for the disk there */
        if (op->sqe.opcode == IORING_OP_WRITE)
                n = move_socket(op);
        while (outcome == CALL_WAIT) {
                if (n == -ENOTSOCK)
                        n = move_nowait(op, quiet);
                if (n == -EOPNOTSUPP && op->sqe.opcode == IORING_OP_READ)
                        n = move_socket(op);
                if (n == -EAGAIN)
                        return op->sqe.rw_flags & RWF_NOWAIT ? finish(op, n) : CALL_WAIT;
                if (n == -EOPNOTSUPP || n == -ENOTSOCK)
                        return only_blocks(op);
                if (n < 0)
                        return finish(op, call_progress(op)->done_bytes ? call_progress(op)->done_bytes : n);
                outcome = moved(op, n);
                n = -ENOTSOCK;
        }
        return outcome;
}

/* Whole, as io_uring does with files. once: what is ready is not a file, and one page is sure to fit. */
void block_in_rw(struct op *op, bool once)
{
        struct call_progress *progress = call_progress(op);
        int flags = op->sqe.rw_flags & ~RWF_NOSIGNAL;
        bool reads = op->sqe.opcode == IORING_OP_READ;

        for (;;) {
                struct iovec iov = rest_of_buffer(op);
                off_t offset = rest_offset(op);
                ssize_t n;

                if (once && !reads && iov.iov_len > PIPE_BUF)
                        iov.iov_len = PIPE_BUF;
                n = reads ? sys_retry(preadv2(op->sqe.fd, &iov, 1, offset, flags))
                          : sys_retry(pwritev2(op->sqe.fd, &iov, 1, offset, flags));
                if (n > 0)
                        progress->done_bytes += (uint32_t)n;
                if (n > 0 && !once && progress->done_bytes < transfer_len(op) && is_file(op->sqe.fd))
                        continue;
                finish(op, progress->done_bytes ? progress->done_bytes : n);
                return;
        }
}
