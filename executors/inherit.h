/* inherit.h - descriptors that workers inherit under the numbers that they have in the host. */
#ifndef OURO_EXECUTORS_INHERIT_H
#define OURO_EXECUTORS_INHERIT_H

#include <stddef.h>

enum { INHERITED_MOST = 1024 };

struct inherited {
        size_t len;
        struct {
                int fd, number;
        } all[INHERITED_MOST];
};

/* Takes fd, to become that number. 0, -EINVAL: a number below 3, or one too many. */
int inherit_add(struct inherited *inherited, int fd, int number);

/* Puts each at its number. own, ended by NULL: this process's other descriptors, -1 or moved out of the way.
 * 0 or a negated errno. */
int inherit_place(struct inherited *inherited, int *const own[]);

#endif
