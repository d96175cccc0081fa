/* datagram.c - datagrams with their addresses, one or many at a time.
 *
 * The first of many is an operation like any other; those that need not wait go along in a system call of
 * their own that does not block, on either backend. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "ouro.h"
#include "ring/ring.h"

enum {
        BATCH = 32,         /* messages in one system call */
        AT_ONCE_MOST = 256, /* messages that one call keeps the loop from other tasks for */
        OTHER_BYTES = 160,  /* of control data: times, addresses and such, which come before segments */
        SEGMENTS_MOST = 64, /* of one buffer: what every kernel with UDP_SEGMENT takes */
        SEGMENT_MOST = UINT16_MAX,
};

/* One message as the kernel wants it. The union aligns the control data. */
struct message {
        struct iovec buf;
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int)) + OTHER_BYTES];
        } control;
};

/* ---- one ---- */

ssize_t ouro_sendto(int fd, const void *buf, size_t len, int flags, const struct ouro_address *to)
{
        struct iovec iov = {(void *)(uintptr_t)buf, len};
        const struct msghdr msg = {
                .msg_name = to ? (void *)(uintptr_t)&to->storage : NULL,
                .msg_namelen = to ? to->len : 0,
                .msg_iov = &iov,
                .msg_iovlen = 1,
        };

        if (!buf && len > 0)
                return -EINVAL;
        return ouro_sendmsg(fd, &msg, flags);
}

ssize_t ouro_recvfrom(int fd, void *buf, size_t len, int flags, struct ouro_address *ret_from)
{
        struct ouro_address from;
        struct iovec iov = {buf, len};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n;

        if (!buf && len > 0)
                return -EINVAL;
        memset(&from, 0, sizeof from);
        if (ret_from) {
                msg.msg_name = &from.storage;
                msg.msg_namelen = sizeof from.storage;
        }
        n = ouro_recvmsg(fd, &msg, flags);
        if (n >= 0 && ret_from) {
                from.len = msg.msg_namelen;
                from.type = SOCK_DGRAM;
                *ret_from = from;
        }
        return n;
}

/* ---- sending many ---- */

static void add_segment_size(struct msghdr *msg, struct message *message, unsigned bytes)
{
        const uint16_t segment = (uint16_t)bytes;
        struct cmsghdr *header = &message->control.header;

        memset(header, 0, CMSG_SPACE(sizeof segment));
        header->cmsg_level = IPPROTO_UDP;
        header->cmsg_type = UDP_SEGMENT;
        header->cmsg_len = CMSG_LEN(sizeof segment);
        memcpy(CMSG_DATA(header), &segment, sizeof segment);
        msg->msg_control = header;
        msg->msg_controllen = CMSG_SPACE(sizeof segment);
}

static bool has_segments(const struct ouro_datagram *datagram)
{
        return datagram->segment_bytes > 0 && datagram->len > datagram->segment_bytes;
}

static void describe_sent(const struct ouro_datagram *datagram, struct message *message, struct msghdr *msg)
{
        memset(msg, 0, sizeof *msg);
        message->buf = (struct iovec){datagram->buf, datagram->len};
        msg->msg_iov = &message->buf;
        msg->msg_iovlen = 1;
        if (datagram->address) {
                msg->msg_name = &datagram->address->storage;
                msg->msg_namelen = datagram->address->len;
        }
        if (has_segments(datagram))
                add_segment_size(msg, message, datagram->segment_bytes);
}

static int refuse_sent(const struct ouro_datagram *datagrams, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const struct ouro_datagram *datagram = &datagrams[i];

                if (!datagram->buf && datagram->len > 0)
                        return -EINVAL;
                if (has_segments(datagram) &&
                    (datagram->segment_bytes > SEGMENT_MOST ||
                     (datagram->len - 1) / datagram->segment_bytes >= SEGMENTS_MOST))
                        return -EINVAL;
        }
        return 0;
}

/* Only a udp socket knows segments: others pass over them, and would send one long datagram. */
static int refuse_segments(int fd, const struct ouro_datagram *datagrams, size_t n)
{
        int protocol = 0;

        for (size_t i = 0; i < n; i++) {
                if (!has_segments(&datagrams[i]))
                        continue;
                if (sys_result(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol,
                                          &(socklen_t){sizeof protocol})) == 0 &&
                    protocol != IPPROTO_UDP)
                        return -EOPNOTSUPP;
                return 0;
        }
        return 0;
}

/* The kernel does not cut (an old one, a device without checksums, segments above its MTU): done here. What
 * else was wrong is told again. */
static ssize_t send_cut(int fd, const struct ouro_datagram *datagram)
{
        ssize_t n = 0;

        for (size_t done = 0; done < datagram->len && n >= 0; done += datagram->segment_bytes) {
                size_t left = datagram->len - done;

                n = ouro_sendto(fd, (const char *)datagram->buf + done,
                                left < datagram->segment_bytes ? left : datagram->segment_bytes, 0,
                                datagram->address);
        }
        return n < 0 ? n : (ssize_t)datagram->len;
}

/* Waits until there is room. */
static ssize_t send_first(int fd, const struct ouro_datagram *datagram)
{
        struct message message;
        struct msghdr msg;
        ssize_t n;

        describe_sent(datagram, &message, &msg);
        n = ouro_sendmsg(fd, &msg, 0);
        if ((n == -EIO || n == -EINVAL) && has_segments(datagram))
                return send_cut(fd, datagram);
        return n;
}

/* As many as go without a wait, and without keeping others waiting for long. 0 also if the first of them
 * brings an error: sent again, it tells. */
static size_t send_at_once(int fd, const struct ouro_datagram *datagrams, size_t n)
{
        struct message messages[BATCH];
        struct mmsghdr headers[BATCH];
        size_t sent = 0;
        int now;

        if (n > AT_ONCE_MOST)
                n = AT_ONCE_MOST;
        do {
                size_t len = n - sent < BATCH ? n - sent : BATCH;

                for (size_t i = 0; i < len; i++)
                        describe_sent(&datagrams[sent + i], &messages[i], &headers[i].msg_hdr);
                now = sys_result(sendmmsg(fd, headers, (unsigned)len, MSG_DONTWAIT | MSG_NOSIGNAL));
                if (now > 0)
                        sent += (size_t)now;
        } while (now == BATCH && sent < n);
        if (sent > 0)
                ring_note_moved(sched_current->ring, fd);
        return sent;
}

static int refuse(int fd, const void *datagrams, size_t n)
{
        struct sched *sched = sched_current;

        if (!sched)
                return -EPERM;
        if (fd < 0)
                return -EBADF;
        if (!datagrams && n > 0)
                return -EINVAL;
        return sched->current->interrupt;
}

ssize_t ouro_send_datagrams(int fd, const struct ouro_datagram *datagrams, size_t n)
{
        int error = refuse(fd, datagrams, n);
        ssize_t first;
        size_t sent;

        if (error == 0)
                error = refuse_sent(datagrams, n);
        if (error == 0)
                error = refuse_segments(fd, datagrams, n);
        if (error < 0 || n == 0)
                return error;
        sent = send_at_once(fd, datagrams, n);
        if (sent > 0)
                return coro_spend(sched_current, (ssize_t)sent);
        first = send_first(fd, datagrams);
        if (first < 0)
                return first;
        return 1 + (ssize_t)send_at_once(fd, datagrams + 1, n - 1);
}

/* ---- receiving many ---- */

static void describe_room(const struct ouro_datagram *datagram, struct message *message, struct msghdr *msg)
{
        memset(msg, 0, sizeof *msg);
        message->buf = (struct iovec){datagram->buf, datagram->len};
        msg->msg_iov = &message->buf;
        msg->msg_iovlen = 1;
        msg->msg_control = &message->control;
        msg->msg_controllen = sizeof message->control;
        if (datagram->address) {
                msg->msg_name = &datagram->address->storage;
                msg->msg_namelen = sizeof datagram->address->storage;
        }
}

/* Whoever can send to a local socket can send descriptors along, which nobody here has asked for. */
static void close_descriptors(const struct cmsghdr *header)
{
        size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        for (size_t i = 0; i < n; i++) {
                int fd;

                memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
                (void)sys_result(close(fd));
        }
}

/* What came besides the bytes. Returns the length of the segments, 0: it is one datagram. */
static unsigned take_control(struct msghdr *msg, size_t len)
{
        unsigned segment_bytes = 0;

        for (struct cmsghdr *header = CMSG_FIRSTHDR(msg); header; header = CMSG_NXTHDR(msg, header)) {
                int bytes;

                if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
                        close_descriptors(header);
                if (header->cmsg_level != IPPROTO_UDP || header->cmsg_type != UDP_GRO)
                        continue;
                memcpy(&bytes, CMSG_DATA(header), sizeof bytes);
                segment_bytes = bytes > 0 && (size_t)bytes < len ? (unsigned)bytes : 0;
        }
        return segment_bytes;
}

static void take_over(struct ouro_datagram *datagram, struct msghdr *msg, size_t len)
{
        datagram->len = len;
        datagram->cut = (msg->msg_flags & MSG_TRUNC) != 0;
        datagram->segment_bytes = take_control(msg, len);
        if (datagram->address) {
                datagram->address->len = msg->msg_namelen;
                datagram->address->type = SOCK_DGRAM;
        }
}

static size_t recv_at_once(int fd, struct ouro_datagram *datagrams, size_t n)
{
        struct message messages[BATCH];
        struct mmsghdr headers[BATCH];
        size_t came = 0;
        int now;

        if (n > AT_ONCE_MOST)
                n = AT_ONCE_MOST;
        do {
                size_t len = n - came < BATCH ? n - came : BATCH;

                for (size_t i = 0; i < len; i++)
                        describe_room(&datagrams[came + i], &messages[i], &headers[i].msg_hdr);
                now = sys_result(recvmmsg(fd, headers, (unsigned)len, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL));
                for (int i = 0; i < now; i++)
                        take_over(&datagrams[came + (size_t)i], &headers[i].msg_hdr, headers[i].msg_len);
                if (now > 0)
                        came += (size_t)now;
        } while (now == BATCH && came < n);
        if (came > 0)
                ring_note_moved(sched_current->ring, fd);
        return came;
}

ssize_t ouro_recv_datagrams(int fd, struct ouro_datagram *datagrams, size_t n)
{
        int error = refuse(fd, datagrams, n);
        struct message message;
        struct msghdr msg;
        ssize_t first;

        for (size_t i = 0; error == 0 && i < n; i++)
                if (!datagrams[i].buf && datagrams[i].len > 0)
                        error = -EINVAL;
        if (error < 0 || n == 0)
                return error;
        describe_room(datagrams, &message, &msg);
        first = ouro_recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        if (first < 0)
                return first;
        take_over(datagrams, &msg, (size_t)first);
        return 1 + (n > 1 ? (ssize_t)recv_at_once(fd, datagrams + 1, n - 1) : 0);
}
