/* written.c - what the kernel has written is defined: Valgrind, which does not see it write, must be told. */
#include <stdint.h>
#include <sys/stat.h>

#include "coro/sanitize.h"
#include "ring/written.h"

void tell_written(const struct op *op, const struct io_uring_cqe *cqe)
{
        if (!op || cqe->res < 0 || (op->sqe.flags & IOSQE_BUFFER_SELECT))
                return;
        if (op->sqe.opcode == IORING_OP_RECV || op->sqe.opcode == IORING_OP_READ)
                sanitize_defined((void *)(uintptr_t)op->sqe.addr, (size_t)cqe->res);
        else if (op->sqe.opcode == IORING_OP_READV)
                sanitize_vector_defined((void *)(uintptr_t)op->sqe.addr, op->sqe.len, (size_t)cqe->res);
        else if ((op->sqe.opcode == IORING_OP_GETXATTR || op->sqe.opcode == IORING_OP_FGETXATTR) &&
                 op->sqe.len > 0)
                sanitize_defined((void *)(uintptr_t)op->sqe.addr2, (size_t)cqe->res);
        else if (op->sqe.opcode == IORING_OP_STATX)
                sanitize_defined((void *)(uintptr_t)op->sqe.off, sizeof(struct statx));
        else if (op->sqe.opcode == IORING_OP_RECVMSG)
                sanitize_message_defined((void *)(uintptr_t)op->sqe.addr, (size_t)cqe->res);
        else if (op->sqe.opcode == IORING_OP_ACCEPT && op->sqe.addr) {
                sanitize_defined((void *)(uintptr_t)op->sqe.addr2, sizeof(socklen_t));
                sanitize_defined((void *)(uintptr_t)op->sqe.addr, *(socklen_t *)(uintptr_t)op->sqe.addr2);
        }
}
