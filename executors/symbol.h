/* symbol.h - names of functions that a file does not export, for backtraces. */
#ifndef OURO_EXECUTORS_SYMBOL_H
#define OURO_EXECUTORS_SYMBOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The function that address lies in, as the symbol table of the file at path says. base: where the file's
 * beginning is in memory; bias: what is added to its addresses. False: the file cannot be read, is not what
 * is in memory, has no such table, or none of its functions is there.
 *
 * Makes system calls and nothing else: good in a signal handler. */
bool symbol_find(const char *path, uintptr_t base, uintptr_t bias, uintptr_t address, char *ret_name,
                 size_t bytes);

#endif
