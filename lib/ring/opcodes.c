/* opcodes.c - the table of opcodes. What came with Linux 5.11 or before needs no version: with less the
 * backend does not open. */
#include <stddef.h>

#include "ouro.h"
#include "ring/opcodes.h"

static const struct {
        const char *name;
        unsigned since; /* OURO_KERNEL(); 0: ever */
} opcodes[] = {
        [IORING_OP_ACCEPT] = {"accept", 0},
        [IORING_OP_CLOSE] = {"close", 0},
        [IORING_OP_CONNECT] = {"connect", 0},
        [IORING_OP_FADVISE] = {"fadvise", 0},
        [IORING_OP_FALLOCATE] = {"fallocate", 0},
        [IORING_OP_FGETXATTR] = {"fgetxattr", OURO_KERNEL(5, 19)},
        [IORING_OP_FSETXATTR] = {"fsetxattr", OURO_KERNEL(5, 19)},
        [IORING_OP_FSYNC] = {"fsync", 0},
        [IORING_OP_FTRUNCATE] = {"ftruncate", OURO_KERNEL(6, 9)},
        [IORING_OP_GETXATTR] = {"getxattr", OURO_KERNEL(5, 19)},
        [IORING_OP_LINKAT] = {"linkat", OURO_KERNEL(5, 15)},
        [IORING_OP_MKDIRAT] = {"mkdirat", OURO_KERNEL(5, 15)},
        [IORING_OP_MSG_RING] = {"msg_ring", OURO_KERNEL(5, 18)},
        [IORING_OP_OPENAT] = {"openat", 0},
        [IORING_OP_OPENAT2] = {"openat2", 0},
        [IORING_OP_POLL_ADD] = {"poll", 0},
        [IORING_OP_READ] = {"read", 0},
        [IORING_OP_READV] = {"readv", 0},
        [IORING_OP_RECV] = {"recv", 0},
        [IORING_OP_RECVMSG] = {"recvmsg", 0},
        [IORING_OP_RENAMEAT] = {"renameat", 0},
        [IORING_OP_SEND] = {"send", 0},
        [IORING_OP_SENDMSG] = {"sendmsg", 0},
        [IORING_OP_SENDMSG_ZC] = {"sendmsg_zc", OURO_KERNEL(6, 1)},
        [IORING_OP_SEND_ZC] = {"send_zc", OURO_KERNEL(6, 0)},
        [IORING_OP_SETXATTR] = {"setxattr", OURO_KERNEL(5, 19)},
        [IORING_OP_SHUTDOWN] = {"shutdown", 0},
        [IORING_OP_SOCKET] = {"socket", OURO_KERNEL(5, 19)},
        [IORING_OP_SPLICE] = {"splice", 0},
        [IORING_OP_STATX] = {"statx", 0},
        [IORING_OP_SYMLINKAT] = {"symlinkat", OURO_KERNEL(5, 15)},
        [IORING_OP_SYNC_FILE_RANGE] = {"sync_file_range", 0},
        [IORING_OP_TEE] = {"tee", 0},
        [IORING_OP_UNLINKAT] = {"unlinkat", 0},
        [IORING_OP_URING_CMD] = {"uring_cmd", OURO_KERNEL(5, 19)},
        [IORING_OP_WRITE] = {"write", 0},
        [IORING_OP_WRITEV] = {"writev", 0},
        [OP_CALL] = {"call", ~0U},
};

enum { OPCODES = sizeof opcodes / sizeof *opcodes };

const char *opcode_name(unsigned opcode)
{
        return opcode < OPCODES ? opcodes[opcode].name : NULL;
}

bool opcode_allowed(unsigned opcode, unsigned kernel)
{
        if (opcode >= OP_CALL)
                return false;
        return kernel == 0 || opcode >= OPCODES || kernel >= opcodes[opcode].since;
}
