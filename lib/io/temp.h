/* temp.h - names that nothing else has; blocking, for helper threads. */
#ifndef OURO_IO_TEMP_H
#define OURO_IO_TEMP_H

#include <stddef.h>
#include <sys/types.h>

enum { TEMP_TRIES = 100 };

/* Fills in letters and digits. */
void temp_letters(char *text, size_t len);

/* Calls make(dirfd, path, arg) with the last len bytes of path filled in, until that name was free. */
int temp_try(int dirfd, char *path, size_t len, int (*make)(int dirfd, const char *path, void *arg),
             void *arg);

#endif
