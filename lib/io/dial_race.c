/* dial_race.c - a name's addresses race for the connection (RFC 8305). */
#include <errno.h>

#include "io/dial.h"

int dial_name(const struct dial *dial, const struct address *address)
{
        (void)dial, (void)address;
        return -EINVAL;
}
