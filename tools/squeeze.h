/* squeeze.h - work for a processor: compress, decompress, compare. */
#ifndef OURO_TOOL_SQUEEZE_H
#define OURO_TOOL_SQUEEZE_H

#include <ouro.h>
#include <stdint.h>

/* In a job; asks between the two halves whether it shall end. Returns 0, -EBADMSG: what came back differs;
 * -ECANCELED, -ENOMEM. */
int squeeze(struct ouro_job *job, const unsigned char *data, size_t len, int level,
            uint64_t *ret_packed_bytes);

#endif
