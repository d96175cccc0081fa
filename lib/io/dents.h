/* dents.h - the entries of a directory, read many at a time.
 *
 * Reading blocks: it is for helper threads. Taking an entry that has been read does not. */
#ifndef OURO_IO_DENTS_H
#define OURO_IO_DENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dents {
        char *buf; /* struct dirent64, one after the other */
        size_t room, len;
        size_t at;   /* the next to be taken */
        bool at_end; /* the directory has no more */
};

struct dent {
        const char *name; /* lies in the buffer */
        uint64_t inode;
        int type; /* DT_... */
};

/* Reads on, when all have been taken. follow: symbolic links have the type of what they lead to. The types
 * that the file system keeps to itself are asked for. 0 or a negated errno. */
int dents_fill(struct dents *dents, int fd, bool follow);

/* Reads all that is left, behind what has not been taken yet. */
int dents_fill_all(struct dents *dents, int fd, bool follow);

/* The next one that was read, without "." and "..". False: there is none. */
bool dents_take(struct dents *dents, struct dent *ret);

void dents_clear(struct dents *dents); /* frees it: empty, and not at its end */

#endif
