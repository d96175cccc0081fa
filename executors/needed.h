/* needed.h - which loaded files are there because the program needs them, and where files were loaded from.
 */
#ifndef OURO_EXECUTORS_NEEDED_H
#define OURO_EXECUTORS_NEEDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The file that address lies in is the program, or a library that it needs, or that such a library needs:
 * every execution of the program loads it before main. 1: so it is; 0; -ENOMEM: it is not known. */
int needed_by_program(const void *address);

/* The path of the file that is mapped at address, by the kernel's knowledge. ret_deleted: nobody finds it
 * there any more; may be NULL. 0; -EINVAL: no file is, or its path is too long. */
int mapped_path(uintptr_t address, char *ret_path, size_t bytes, bool *ret_deleted);

#endif
