/* echo.h - a message of the echo, as both ends see it: a header, then len bytes. */
#ifndef OURO_TOOL_ECHO_H
#define OURO_TOOL_ECHO_H

#include <stdint.h>

struct echo_header {
        uint32_t magic;
        uint32_t len;
        uint64_t sequence;
        uint32_t slot;
        uint32_t crc; /* zlib's crc32 of the bytes */
};

enum {
        ECHO_MAGIC = 0x6f75726f,
        ECHO_CHUNK_BYTES = 8 << 10, /* handled at a time; two ends hold one each on their stacks */
};

_Static_assert(sizeof(struct echo_header) == 24, "no padding goes over the wire");

#endif
