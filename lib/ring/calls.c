/* calls.c - which call an entry is, how it is tried, and how a helper does it.
 *
 * Nobody's O_NONBLOCK is ever changed, since the description may be shared with others. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring/calls_impl.h"
#include "ring/opcodes.h"

int poll_now(int fd, unsigned events)
{
        struct pollfd pollfd = {.fd = fd, .events = (short)events};
        int result;

        if (fd < 0)
                return -EBADF;
        result = sys_retry(poll(&pollfd, 1, 0));
        if (result < 0)
                return result;
        return pollfd.revents & POLLNVAL ? -EBADF : (unsigned short)pollfd.revents;
}

/* As far as it is known here: a question to a server would block. */
static int stat_here(int fd, struct statx *ret_st)
{
        return sys_result(statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, ret_st));
}

bool is_file(int fd)
{
        struct statx st;

        return stat_here(fd, &st) == 0 && (S_ISREG(st.stx_mode) || S_ISBLK(st.stx_mode));
}

/* Closing a file of a network file system or of FUSE waits for its dirty data to reach the server; those have
 * no block device. The rest of a close ends soon, or waits with io_uring too. */
static bool close_may_flush(int fd)
{
        struct statx st;

        return stat_here(fd, &st) == 0 && S_ISREG(st.stx_mode) && st.stx_dev_major == 0 &&
               (sys_result(fcntl(fd, F_GETFL)) & O_ACCMODE) != O_RDONLY;
}

/* In a helper: closing a duplicate flushes, and leaves the number ours. */
static int64_t block_in_flush(const struct io_uring_sqe *sqe)
{
        int duplicate = sys_result(fcntl(sqe->fd, F_DUPFD_CLOEXEC, 0));

        return duplicate < 0 ? 0 : sys_result(close(duplicate));
}

void call_close(struct op *op)
{
        int result = sys_result(close(op->sqe.fd));

        if (op->res == 0) /* else an error of the flush, which is told once */
                finish(op, result);
}

static enum call_outcome try_close(struct op *op)
{
        op->res = 0;
        return close_may_flush(op->sqe.fd) ? CALL_HELP : CALL_CLOSE;
}

static enum call_outcome try_poll(struct op *op)
{
        int events = poll_now(op->sqe.fd, call_progress(op)->events);

        return events == 0 ? CALL_WAIT : finish(op, events);
}

/* What lib/io never asks for: links, registered files, multishot. */
static bool is_supported(const struct io_uring_sqe *sqe)
{
        if (sqe->flags & ~(1U << IOSQE_ASYNC_BIT | 1U << IOSQE_BUFFER_SELECT_BIT))
                return false;
        switch (sqe->opcode) {
        case IORING_OP_ACCEPT:
                return sqe->ioprio == 0 && sqe->file_index == 0;
        case IORING_OP_OPENAT:
        case IORING_OP_OPENAT2:
        case IORING_OP_CLOSE:
                return sqe->file_index == 0;
        case IORING_OP_POLL_ADD:
                return sqe->len == 0;
        default:
                return true;
        }
}

enum call_outcome call_try(struct op *op, bool quiet)
{
        if (!is_supported(&op->sqe))
                return finish(op, -EINVAL);
        switch (op->sqe.opcode) {
        case IORING_OP_NOP:
                return finish(op, 0);
        case IORING_OP_RECV:
        case IORING_OP_SEND:
        case IORING_OP_RECVMSG:
        case IORING_OP_SENDMSG:
                return try_transfer(op);
        case IORING_OP_READ:
        case IORING_OP_READV:
        case IORING_OP_WRITE:
        case IORING_OP_WRITEV:
                return try_rw(op, quiet);
        case IORING_OP_ACCEPT:
                return try_accept(op);
        case IORING_OP_CONNECT:
                return try_connect(op);
        case IORING_OP_POLL_ADD:
                return try_poll(op);
        case IORING_OP_SHUTDOWN:
                return finish(op, sys_result(shutdown(op->sqe.fd, (int)op->sqe.len)));
        case IORING_OP_CLOSE:
                return try_close(op);
        case IORING_OP_SPLICE:
        case OP_CALL:
                return CALL_HELP;
        default:
                return is_file_call(op->sqe.opcode) ? CALL_HELP : finish(op, -EINVAL);
        }
}

static int64_t block_in_accept(const struct io_uring_sqe *sqe)
{
        int ready = poll_now(sqe->fd, POLLIN);

        if (ready <= 0)
                return ready == 0 ? -EAGAIN : ready;
        return sys_retry(accept4(sqe->fd, pointer(sqe->addr), pointer(sqe->addr2), (int)sqe->accept_flags));
}

/* Its result has a place of its own: it may be wider than op->res, and look like an interruption. */
static int64_t block_in_call(const struct io_uring_sqe *sqe)
{
        struct call *call = pointer(sqe->addr);

        call->result = call->fn(call->arg);
        return 0;
}

static int64_t block(struct op *op)
{
        const struct io_uring_sqe *sqe = &op->sqe;

        switch (sqe->opcode) {
        case OP_CALL:
                return block_in_call(sqe);
        case IORING_OP_ACCEPT:
                return block_in_accept(sqe);
        case IORING_OP_CONNECT:
                return connect_for_a_tick(op);
        case IORING_OP_CLOSE:
                return block_in_flush(sqe);
        case IORING_OP_SPLICE:
                return block_in_splice(sqe);
        default:
                return block_in_file_call(sqe);
        }
}

void call_block(struct op *op, bool once)
{
        bool rw = call_is_rw(op);

        if (rw && once && poll_now(op->sqe.fd, call_turn(op)) == 0)
                finish(op, -EAGAIN);
        else if (rw)
                block_in_rw(op, once);
        else
                finish(op, block(op));
}

void call_block_here(struct op *op, bool once)
{
        struct pipe_guard guard;

        guard_enter(&guard);
        call_block(op, once);
        guard_leave(&guard, call_is_rw(op) && op->res == -EPIPE);
}

enum call_outcome call_after_help(struct op *op, bool once)
{
        if (op->sqe.opcode == IORING_OP_CONNECT)
                return connect_begun(op, op->res);
        if (op->sqe.opcode == IORING_OP_CLOSE)
                return CALL_CLOSE;
        return once && op->res == -EAGAIN ? CALL_WAIT : CALL_DONE;
}

bool call_may_wait(const struct op *op)
{
        return file_call_may_wait(&op->sqe);
}

int32_t call_cancelled(struct op *op)
{
        uint32_t done_bytes = op->sqe.opcode == IORING_OP_CONNECT ? 0 : call_progress(op)->done_bytes;

        return done_bytes ? (int32_t)done_bytes : -ECANCELED;
}

unsigned call_turn(const struct op *op)
{
        switch (op->sqe.opcode) {
        case IORING_OP_RECV:
        case IORING_OP_RECVMSG:
                return op->sqe.msg_flags & (MSG_OOB | MSG_ERRQUEUE) ? 0 : POLLIN;
        case IORING_OP_READ:
        case IORING_OP_READV:
        case IORING_OP_ACCEPT:
                return POLLIN;
        case IORING_OP_SEND:
        case IORING_OP_SENDMSG:
                return has_address(op) ? 0 : POLLOUT;
        case IORING_OP_WRITE:
        case IORING_OP_WRITEV:
                return POLLOUT;
        default:
                return 0;
        }
}

static unsigned events_of(const struct op *op)
{
        switch (op->sqe.opcode) {
        case IORING_OP_RECV:
        case IORING_OP_RECVMSG:
                if (op->sqe.msg_flags & MSG_ERRQUEUE)
                        return 0; /* POLLERR comes unasked */
                return op->sqe.msg_flags & MSG_OOB ? POLLPRI : POLLIN;
        case IORING_OP_READ:
        case IORING_OP_READV:
        case IORING_OP_ACCEPT:
                return POLLIN;
        case IORING_OP_POLL_ADD:
                return op->sqe.poll32_events | POLLRDHUP; /* io_uring tells of it unasked */
        default:
                return POLLOUT;
        }
}

void call_begin(struct op *op)
{
        *call_progress(op) = (struct call_progress){.events = (uint16_t)events_of(op)};
}
