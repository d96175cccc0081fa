/* options.h - options of sockets, for the calls that make one. */
#ifndef OURO_IO_OPTIONS_H
#define OURO_IO_OPTIONS_H

#include <sys/socket.h>

#include "base/sys.h"

static inline int set_option(int fd, int level, int name, int value)
{
        return sys_result(setsockopt(fd, level, name, &value, sizeof value));
}

/* SO_BINDTODEVICE; NULL: nothing. */
int set_device(int fd, const char *device);

#endif
