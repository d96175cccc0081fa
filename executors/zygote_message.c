/* zygote_message.c - one message between host and zygote, with its descriptors.
 *
 * Descriptors travel without gaps; the bits in message.fds tell which places they belong to. A message that
 * is not whole, or whose descriptors do not fit its bits, is refused and leaves no descriptor behind. */
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/sys.h"
#include "executors/zygote.h"

union rights {
        struct cmsghdr align;
        char space[CMSG_SPACE(ZYGOTE_FDS_MOST * sizeof(int))];
};

static void add_rights(struct msghdr *header, union rights *rights, const int *fds, size_t n)
{
        struct cmsghdr *cmsg;

        memset(rights, 0, sizeof *rights);
        header->msg_control = rights;
        header->msg_controllen = CMSG_SPACE(n * sizeof(int));
        cmsg = CMSG_FIRSTHDR(header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
}

int zygote_send(int socket, const struct zygote_message *message, const int *fds, unsigned fds_len)
{
        struct zygote_message sent = *message;
        struct iovec iov = {&sent, sizeof sent};
        struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
        int packed[ZYGOTE_FDS_MOST];
        union rights rights;
        size_t n = 0;
        ssize_t result;

        check(fds_len <= ZYGOTE_FDS_MOST);
        sent.fds = 0;
        for (unsigned i = 0; i < fds_len; i++)
                if (fds[i] >= 0) {
                        sent.fds |= 1u << i;
                        packed[n++] = fds[i];
                }
        if (n > 0)
                add_rights(&header, &rights, packed, n);
        do
                result = sys_result(sendmsg(socket, &header, MSG_NOSIGNAL));
        while (result == -EINTR);
        return result < 0 ? (int)result : 0;
}

/* The descriptors of a message that was received; the kernel has put in at most what there is room for. */
static size_t take_rights(struct msghdr *header, int ret_fds[ZYGOTE_FDS_MOST])
{
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
        size_t n;

        if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
                return 0;
        n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        check(n <= ZYGOTE_FDS_MOST);
        memcpy(ret_fds, CMSG_DATA(cmsg), n * sizeof(int));
        return n;
}

/* Puts each descriptor at its place. False: the bits say something else than what came. */
static bool spread(const int *packed, size_t n, uint32_t bits, int fds[ZYGOTE_FDS_MOST])
{
        size_t used = 0;

        if (bits >> ZYGOTE_FDS_MOST || (size_t)__builtin_popcount(bits) != n)
                return false;
        for (unsigned i = 0; i < ZYGOTE_FDS_MOST; i++)
                fds[i] = bits & 1u << i ? packed[used++] : -1;
        return true;
}

int zygote_receive(int socket, struct zygote_message *ret_message, int ret_fds[ZYGOTE_FDS_MOST])
{
        struct zygote_message message;
        struct iovec iov = {&message, sizeof message};
        union rights rights;
        struct msghdr header = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
        int packed[ZYGOTE_FDS_MOST];
        ssize_t got;
        size_t n;

        do
                got = sys_result(recvmsg(socket, &header, MSG_CMSG_CLOEXEC));
        while (got == -EINTR);
        if (got <= 0)
                return (int)got;
        n = take_rights(&header, packed);
        if (got != sizeof message || header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
            !spread(packed, n, message.fds, ret_fds)) {
                for (size_t i = 0; i < n; i++)
                        close(packed[i]);
                return -EPROTO;
        }
        *ret_message = message;
        return 1;
}
