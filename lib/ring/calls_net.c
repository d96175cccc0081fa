/* calls_net.c - transfers, accept and connect on sockets, without blocking the loop.
 *
 * Transfers say MSG_DONTWAIT for the one call. Accept and connect have no such thing, and depend on whether
 * the socket is O_NONBLOCK; ouro's own are, with this backend. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "ring/calls_impl.h"

enum { PART_IOV = 8 }; /* vectors of a message that is continued, at a time */

static int socket_type(int fd)
{
        socklen_t len = sizeof(int);
        int type = -1;

        (void)sys_result(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len));
        return type;
}

bool call_is_stream(int fd)
{
        return socket_type(fd) == SOCK_STREAM;
}

static bool has_connections(int fd)
{
        int type = socket_type(fd);

        return type == SOCK_STREAM || type == SOCK_SEQPACKET;
}

static uint64_t message_len(const struct op *op)
{
        const struct msghdr *msg = pointer(op->sqe.addr);
        uint64_t sum = 0;

        if (op->sqe.opcode == IORING_OP_RECV || op->sqe.opcode == IORING_OP_SEND)
                return transfer_len(op);
        for (size_t i = 0; i < (size_t)msg->msg_iovlen && sum < TRANSFER_MAX; i++)
                sum += msg->msg_iov[i].iov_len;
        return sum < TRANSFER_MAX ? sum : TRANSFER_MAX;
}

/* The next vectors of a message whose first bytes have been moved. */
static size_t message_part(const struct msghdr *msg, size_t done_bytes, struct iovec part[PART_IOV])
{
        size_t len = 0;

        for (size_t i = 0; i < (size_t)msg->msg_iovlen && len < PART_IOV; i++) {
                size_t skip = msg->msg_iov[i].iov_len < done_bytes ? msg->msg_iov[i].iov_len : done_bytes;

                done_bytes -= skip;
                if (skip == msg->msg_iov[i].iov_len)
                        continue;
                part[len].iov_base = (char *)msg->msg_iov[i].iov_base + skip;
                part[len++].iov_len = msg->msg_iov[i].iov_len - skip;
        }
        return len;
}

static ssize_t move_message(const struct op *op, size_t done_bytes, int flags)
{
        struct msghdr *msg = pointer(op->sqe.addr), rest = {0};
        struct iovec part[PART_IOV];

        if (done_bytes > 0) {
                rest.msg_iov = part;
                rest.msg_iovlen = message_part(msg, done_bytes, part);
                msg = &rest;
        }
        if (op->sqe.opcode == IORING_OP_RECVMSG)
                return sys_retry(recvmsg(op->sqe.fd, msg, flags));
        return sys_retry(sendmsg(op->sqe.fd, msg, flags | MSG_NOSIGNAL));
}

static ssize_t move_bytes(const struct op *op, size_t done_bytes, int flags)
{
        char *buf = (char *)pointer(op->sqe.addr) + done_bytes;
        size_t len = transfer_len(op) - done_bytes;

        if (op->sqe.opcode == IORING_OP_RECV)
                return sys_retry(recv(op->sqe.fd, buf, len, flags));
        return sys_retry(
                sendto(op->sqe.fd, buf, len, flags | MSG_NOSIGNAL, pointer(op->sqe.addr2), op->sqe.addr_len));
}

bool has_address(const struct op *op)
{
        if (op->sqe.opcode == IORING_OP_SENDMSG)
                return ((const struct msghdr *)pointer(op->sqe.addr))->msg_name != NULL;
        return op->sqe.opcode == IORING_OP_SEND && op->sqe.addr2 != 0;
}

/* A datagram to an address waits for room at its receiver, which no readiness of the sender tells of. */
static enum call_outcome wait_for_room(const struct op *op)
{
        return has_address(op) && (poll_now(op->sqe.fd, POLLOUT) & POLLOUT) ? CALL_LATER : CALL_WAIT;
}

enum call_outcome try_transfer(struct op *op)
{
        bool whole = op->sqe.opcode == IORING_OP_RECVMSG || op->sqe.opcode == IORING_OP_SENDMSG;
        struct call_progress *progress = call_progress(op);
        int flags = (int)op->sqe.msg_flags;

        for (;;) {
                ssize_t n =
                        (whole ? move_message : move_bytes)(op, progress->done_bytes, flags | MSG_DONTWAIT);

                if (n == -EAGAIN && !(flags & MSG_DONTWAIT))
                        return wait_for_room(op);
                if (n <= 0)
                        return finish(op, progress->done_bytes ? progress->done_bytes : n);
                progress->done_bytes += (uint32_t)n;
                if (!(flags & MSG_WAITALL) || (flags & MSG_PEEK) || progress->done_bytes >= message_len(op) ||
                    !has_connections(op->sqe.fd))
                        return finish(op, progress->done_bytes);
        }
}

/* Nothing makes one accept on a listener that blocks return at once, so a helper does it. Another process
 * may snatch the connection in between; then the helper has the next one, and until it comes this op cannot
 * be cut short. Listeners with O_NONBLOCK, as ouro makes them here, know nothing of this. */
enum call_outcome try_accept(struct op *op)
{
        int fd = op->sqe.fd, flags = sys_result(fcntl(fd, F_GETFL)), listens = 0, result;
        socklen_t len = sizeof listens;

        if (flags < 0)
                return finish(op, flags);
        if (!(flags & O_NONBLOCK) &&
            sys_result(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len)) == 0 && listens)
                return poll_now(fd, POLLIN) > 0 ? CALL_HELP_ONCE : CALL_WAIT;
        result = sys_retry(
                accept4(fd, pointer(op->sqe.addr), pointer(op->sqe.addr2), (int)op->sqe.accept_flags));
        return result == -EAGAIN ? CALL_WAIT : finish(op, result);
}

/* A connect that a signal interrupts goes on, or was never begun: the next one tells. */
static int connect_now(const struct op *op)
{
        bool interrupted = false;
        int result;

        for (;; interrupted = true) {
                result = sys_result(connect(op->sqe.fd, pointer(op->sqe.addr), (socklen_t)op->sqe.off));
                if (result != -EINTR)
                        break;
        }
        if (interrupted && result == -EALREADY)
                return -EINPROGRESS;
        return interrupted && result == -EISCONN ? 0 : result;
}

/* -EAGAIN comes from AF_UNIX, whose listener has no room, and says so by no event. */
enum call_outcome connect_begun(struct op *op, int result)
{
        if (result == -EAGAIN)
                return CALL_LATER;
        if (result != -EINPROGRESS)
                return finish(op, result);
        call_progress(op)->done_bytes = 1;
        return CALL_WAIT;
}

/* Asking again, as io_uring does, takes the result out of the socket: it would tell the next who connects. */
static enum call_outcome connect_ends(struct op *op)
{
        int result = poll_now(op->sqe.fd, POLLOUT);

        if (result == 0)
                return CALL_WAIT;
        if (result > 0)
                result = connect_now(op);
        if (result == -EALREADY || result == -EINPROGRESS)
                return CALL_WAIT;
        return finish(op, result == -EISCONN ? 0 : result);
}

enum call_outcome try_connect(struct op *op)
{
        int flags = sys_result(fcntl(op->sqe.fd, F_GETFL));

        if (call_progress(op)->done_bytes)
                return connect_ends(op);
        if (flags < 0)
                return finish(op, flags);
        if (!(flags & O_NONBLOCK) && has_connections(op->sqe.fd))
                return CALL_HELP;
        return connect_begun(op, connect_now(op));
}

/* A socket that blocks has no connect that does not. What bounds it is the socket's own SO_SNDTIMEO: for the
 * one call it is made the shortest there is (a tick, at most 10 ms), and the connecting goes on by itself.
 * The alternatives are worse: O_NONBLOCK would be seen by all who share the description, and a thread that
 * blocks for minutes can only be stopped by a signal handler, which is not ours to install. Nobody uses a
 * socket that is not connected yet; so nobody sees the option changed. */
int connect_for_a_tick(const struct op *op)
{
        const struct timeval tick = {.tv_usec = 1};
        struct timeval before;
        socklen_t len = sizeof before;
        int fd = op->sqe.fd, result = sys_result(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &before, &len));

        if (result < 0)
                return result;
        result = sys_result(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof tick));
        if (result < 0)
                return result;
        result = connect_now(op);
        (void)sys_result(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &before, sizeof before));
        return result;
}
