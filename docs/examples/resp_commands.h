/* resp_commands.h - what a RESP server can do for a client. */
#ifndef RESP_COMMANDS_H
#define RESP_COMMANDS_H

#include <ouro.h>
#include <hiredis/hiredis.h>

/* Runs a command, one or more strings, and writes its answer. Waits only where the writer is full. */
void run_command(ouro_stream *to, redisReply *const *words, size_t n);

#endif
