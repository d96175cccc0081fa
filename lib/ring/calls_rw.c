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

enum { WINDOW = 32 };

static bool is_vector(const struct op *op)
{
        return op->sqe.opcode == IORING_OP_READV || op->sqe.opcode == IORING_OP_WRITEV;
}

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

/* What is left of an op's buffers, or the first part of it. */
struct rest {
        const struct iovec *iov;
        int n;
        struct iovec window[WINDOW];
};

bool call_is_rw(const struct op *op)
{
        return op->sqe.opcode == IORING_OP_READ || op->sqe.opcode == IORING_OP_WRITE || is_vector(op);
}

static bool reads(const struct op *op)
{
        return op->sqe.opcode == IORING_OP_READ || op->sqe.opcode == IORING_OP_READV;
}

/* A vector that some bytes of have been moved: what the kernel has accepted can be read here, too. */
static void look_through_window(struct rest *rest, const struct op *op, size_t done_bytes)
{
        const struct iovec *iov = pointer(op->sqe.addr);

        rest->iov = rest->window;
        for (uint32_t i = 0; i < op->sqe.len && rest->n < WINDOW; i++) {
                size_t skipped = done_bytes < iov[i].iov_len ? done_bytes : iov[i].iov_len;

                done_bytes -= skipped;
                if (iov[i].iov_len > skipped)
                        rest->window[rest->n++] =
                                (struct iovec){(char *)iov[i].iov_base + skipped, iov[i].iov_len - skipped};
        }
}

static void find_rest(struct rest *rest, struct op *op)
{
        size_t done_bytes = call_progress(op)->done_bytes;

        rest->n = 0;
        if (!is_vector(op)) {
                rest->window[0] = (struct iovec){(char *)pointer(op->sqe.addr) + done_bytes,
                                                 transfer_len(op) - done_bytes};
                rest->iov = rest->window;
                rest->n = 1;
        } else if (done_bytes == 0) {
                rest->iov = pointer(op->sqe.addr);
                rest->n = (int)op->sqe.len;
        } else {
                look_through_window(rest, op, done_bytes);
        }
}

/* After some bytes have been moved. */
static size_t wanted_bytes(const struct op *op)
{
        const struct iovec *iov = pointer(op->sqe.addr);
        size_t sum = 0;

        if (!is_vector(op))
                return transfer_len(op);
        for (uint32_t i = 0; i < op->sqe.len; i++)
                sum += iov[i].iov_len;
        return sum < TRANSFER_MAX ? sum : TRANSFER_MAX;
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

static ssize_t write_guarded(int fd, const struct rest *rest, off_t offset, int flags)
{
        struct pipe_guard guard;
        ssize_t result;

        guard_enter(&guard);
        result = sys_retry(pwritev2(fd, rest->iov, rest->n, offset, flags));
        guard_leave(&guard, result == -EPIPE);
        return result;
}

static ssize_t move_nowait(struct op *op, bool quiet)
{
        int fd = op->sqe.fd, flags = (op->sqe.rw_flags & ~RWF_NOSIGNAL) | RWF_NOWAIT;
        off_t offset = rest_offset(op);
        struct rest rest;

        find_rest(&rest, op);
        if (reads(op))
                return sys_retry(preadv2(fd, rest.iov, rest.n, offset, flags));
        return quiet ? sys_retry(pwritev2(fd, rest.iov, rest.n, offset, flags | RWF_NOSIGNAL))
                     : write_guarded(fd, &rest, offset, flags);
}

/* -ENOTSOCK, or as of a read or write that does not wait. */
static ssize_t move_socket(struct op *op)
{
        struct msghdr msg = {0};
        struct rest rest;

        if (op->sqe.off != UINT64_MAX)
                return -ENOTSOCK;
        find_rest(&rest, op);
        if (!is_vector(op) && reads(op))
                return sys_retry(recv(op->sqe.fd, rest.iov->iov_base, rest.iov->iov_len, MSG_DONTWAIT));
        if (!is_vector(op))
                return sys_retry(
                        send(op->sqe.fd, rest.iov->iov_base, rest.iov->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL));
        msg.msg_iov = (struct iovec *)(uintptr_t)rest.iov;
        msg.msg_iovlen = (size_t)rest.n;
        return reads(op) ? sys_retry(recvmsg(op->sqe.fd, &msg, MSG_DONTWAIT))
                         : sys_retry(sendmsg(op->sqe.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* Less than was asked for: all there is, or all that a file had in memory. */
static enum call_outcome moved(struct op *op, ssize_t n)
{
        struct call_progress *progress = call_progress(op);

        progress->done_bytes += (uint32_t)n;
        if (n > 0 && progress->done_bytes < wanted_bytes(op) && is_file(op->sqe.fd))
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
        if ((flags & (O_DIRECT | O_DSYNC) || op->sqe.rw_flags & (RWF_DSYNC | RWF_SYNC)) &&
            is_file(op->sqe.fd))
                return CALL_HELP; /* RWF_NOWAIT waits for the disk there */
        if (!reads(op))
                n = move_socket(op);
        while (outcome == CALL_WAIT) {
                if (n == -ENOTSOCK)
                        n = move_nowait(op, quiet);
                if (n == -EOPNOTSUPP && reads(op))
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

/* What is ready takes one page for sure, and maybe no more. */
static void shorten(struct rest *rest)
{
        const struct iovec *first = rest->iov;

        while (rest->n > 1 && first->iov_len == 0) {
                first++;
                rest->n--;
        }
        if (rest->n == 0)
                return;
        rest->window[0] = *first;
        if (rest->window[0].iov_len > PIPE_BUF)
                rest->window[0].iov_len = PIPE_BUF;
        rest->iov = rest->window;
        rest->n = 1;
}

static ssize_t move_blocking(struct op *op, bool once)
{
        int flags = op->sqe.rw_flags & ~RWF_NOSIGNAL;
        off_t offset = rest_offset(op);
        struct rest rest;

        find_rest(&rest, op);
        if (reads(op))
                return sys_retry(preadv2(op->sqe.fd, rest.iov, rest.n, offset, flags));
        if (once)
                shorten(&rest);
        return sys_retry(pwritev2(op->sqe.fd, rest.iov, rest.n, offset, flags));
}

/* Whole, as io_uring does with files. once: what is ready is not a file. */
void block_in_rw(struct op *op, bool once)
{
        struct call_progress *progress = call_progress(op);

        for (;;) {
                ssize_t n = move_blocking(op, once);

                if (n > 0)
                        progress->done_bytes += (uint32_t)n;
                if (n > 0 && !once && progress->done_bytes < wanted_bytes(op) && is_file(op->sqe.fd))
                        continue;
                finish(op, progress->done_bytes ? progress->done_bytes : n);
                return;
        }
}
