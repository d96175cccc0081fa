/* resp_commands.h - what a RESP server can do for a client. */
#ifndef RESP_COMMANDS_H
#define RESP_COMMANDS_H

#include <ouro.h>

/* One of a command's strings: any bytes, and a NUL behind them. */
struct word {
        const char *str;
        size_t len;
};

/* Runs a command, one or more words, and writes its answer. Waits only where the writer is full. */
void run_command(ouro_stream *to, const struct word *words, size_t n);

#endif
