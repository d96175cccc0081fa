/* dial.h - between the one attempt (dial.c) and the race of several (dial_race.c). */
#ifndef OURO_IO_DIAL_H
#define OURO_IO_DIAL_H

#include "io/address.h"

#define DIAL_ATTEMPT_DELAY_NS OURO_MS(250) /* RFC 8305, section 5 */

struct dial {
        struct ouro_dial_options options;
        bool has_local;
        struct ouro_address local;
        struct ouro_resolve_options resolve;
};

/* A connected descriptor or a negated errno. */
int dial_one(const struct dial *dial, const struct ouro_address *to);

/* Resolves the name, and has its addresses race. As dial_one(). */
int dial_name(const struct dial *dial, const struct address *address);

#endif
