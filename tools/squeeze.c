/* squeeze.c - work for a processor: compress, decompress, compare. */
#include "squeeze.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Compresses into packed, and back into plain. */
static int there_and_back(struct ouro_job *job, const unsigned char *data, size_t len, int level,
                          unsigned char *packed, uLong *packed_len, unsigned char *plain)
{
        uLongf plain_len = len;

        if (compress2(packed, packed_len, data, len, level) != Z_OK)
                return -ENOMEM;
        if (ouro_job_cancelled(job))
                return -ECANCELED;
        if (uncompress(plain, &plain_len, packed, *packed_len) != Z_OK)
                return -EBADMSG;
        return plain_len == len && memcmp(plain, data, len) == 0 ? 0 : -EBADMSG;
}

int squeeze(struct ouro_job *job, const unsigned char *data, size_t len, int level,
            uint64_t *ret_packed_bytes)
{
        uLong packed_len = compressBound(len);
        unsigned char *memory = malloc(packed_len + len);
        int r;

        if (!memory)
                return -ENOMEM;
        r = there_and_back(job, data, len, level, memory, &packed_len, memory + packed_len);
        free(memory);
        *ret_packed_bytes = packed_len;
        return r;
}
