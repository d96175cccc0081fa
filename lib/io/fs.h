/* fs.h - what calls that are made of several file calls share. */
#ifndef OURO_IO_FS_H
#define OURO_IO_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/op.h"
#include "ring/ring.h"

/* As op_call(), never cut short, and done where it stands if no helper can be had: for what must be undone or
 * brought to its end. */
intptr_t fs_call_uncut(intptr_t (*fn)(void *arg), void *arg);

/* A descriptor that was made by a plain call: what was known of its number was of another file. Returns it.
 */
int fs_adopt(int fd);

/* Closes a descriptor that nobody else has seen: nothing waits on it. fd may be negative. */
void fs_close(int fd);

/* May a call on what belongs to loop begin? 0, -EPERM, or why the task is cut short. */
int fs_enter(const struct sched *owner);

#endif
