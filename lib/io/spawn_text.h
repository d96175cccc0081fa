/* spawn_text.h - the environment of a new process, and the files that its program may be. */
#ifndef OURO_IO_SPAWN_TEXT_H
#define OURO_IO_SPAWN_TEXT_H

#include <stddef.h>

#include "ouro.h"

struct spawn_text {
        const char *const *environment; /* ended by NULL */
        const char **files;             /* ended by NULL */
        const char **own;               /* the memory of environment, or NULL: it is somebody else's */
        size_t own_bytes, files_bytes;
};

/* What it names stays the options' and argv's. 0, -EINVAL, -ENOMEM; in each case to be freed. */
int spawn_text_make(struct spawn_text *text, const char *const *argv,
                    const struct ouro_spawn_options *options);
void spawn_text_free(struct spawn_text *text);

#endif
