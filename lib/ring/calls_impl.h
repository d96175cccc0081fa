/* calls_impl.h - what the files behind calls.h share. */
#ifndef OURO_RING_CALLS_IMPL_H
#define OURO_RING_CALLS_IMPL_H

#include <signal.h>

#include "base/sys.h"
#include "ring/calls.h"

enum { TRANSFER_MAX = 0x7ffff000 }; /* the kernel moves no more at a time */

static inline void *pointer(uint64_t address)
{
        return (void *)(uintptr_t)address;
}

static inline enum call_outcome finish(struct op *op, int64_t result)
{
        op->res = (int32_t)result;
        return CALL_DONE;
}

static inline uint32_t transfer_len(const struct op *op)
{
        return op->sqe.len < TRANSFER_MAX ? op->sqe.len : TRANSFER_MAX;
}

/* The events that have come, 0 for none, -EBADF. */
int poll_now(int fd, unsigned events);

/* A regular file or a block device: always ready, and still it may block. */
bool is_file(int fd);

/* calls_net.c: RECV, SEND, RECVMSG, SENDMSG; ACCEPT; CONNECT. */
enum call_outcome try_transfer(struct op *op);
enum call_outcome try_accept(struct op *op);
enum call_outcome try_connect(struct op *op);
enum call_outcome connect_begun(struct op *op, int result);
int connect_for_a_tick(const struct op *op);
bool has_address(const struct op *op);

/* calls_file.c: what names and files are asked for besides. */
bool is_file_call(unsigned opcode);
int64_t block_in_file_call(const struct io_uring_sqe *sqe);
bool file_call_may_wait(const struct io_uring_sqe *sqe);

/* calls_rw.c: READ, WRITE, READV, WRITEV. */
enum call_outcome try_rw(struct op *op, bool quiet);
void block_in_rw(struct op *op, bool once);

/* calls_splice.c: SPLICE of a file. */
int64_t block_in_splice(const struct io_uring_sqe *sqe);

/* The SIGPIPE of a write of ours is ours; one that was pending before stays. */
struct pipe_guard {
        sigset_t old;
        bool was_pending;
};

void guard_enter(struct pipe_guard *guard);
void guard_leave(const struct pipe_guard *guard, bool raised);

#endif
