/* opcodes.h - what is known of each opcode of a submission entry: its name, and which kernel brought it.
 *
 * The numbers above the kernel's are our own: entries that no kernel carries out, but a helper (help.h). */
#ifndef OURO_RING_OPCODES_H
#define OURO_RING_OPCODES_H

#include <stdbool.h>

#include "ring/kernel.h"

enum {
        OP_CALL = 0xf0, /* addr: a struct call (op.c) on the waiter's stack */
};

_Static_assert((int)IORING_OP_LAST < (int)OP_CALL, "the kernel's numbers stay below ours");

/* For reports; NULL: it has none. */
const char *opcode_name(unsigned opcode);

/* May a program that is to run on this kernel use it? 0: on whichever kernel there is. Ours: never. */
bool opcode_allowed(unsigned opcode, unsigned kernel);

#endif
