/* landlock.h - Landlock as Linux 6.18 has it, where the system's headers may be older. Values:
 * include/uapi/linux/landlock.h. */
#ifndef OURO_EXECUTORS_LANDLOCK_H
#define OURO_EXECUTORS_LANDLOCK_H

#include <stdint.h>
#include <sys/syscall.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/* What a rule can allow. The number is the version that knows it first. */
enum landlock_access {
        LANDLOCK_EXECUTE = 1 << 0, /* 1 */
        LANDLOCK_WRITE_FILE = 1 << 1,
        LANDLOCK_READ_FILE = 1 << 2,
        LANDLOCK_READ_DIR = 1 << 3,
        LANDLOCK_REMOVE_DIR = 1 << 4,
        LANDLOCK_REMOVE_FILE = 1 << 5,
        LANDLOCK_MAKE_CHAR = 1 << 6,
        LANDLOCK_MAKE_DIR = 1 << 7,
        LANDLOCK_MAKE_REG = 1 << 8,
        LANDLOCK_MAKE_SOCK = 1 << 9,
        LANDLOCK_MAKE_FIFO = 1 << 10,
        LANDLOCK_MAKE_BLOCK = 1 << 11,
        LANDLOCK_MAKE_SYM = 1 << 12,
        LANDLOCK_REFER = 1 << 13,     /* 2: to another directory; without it always refused */
        LANDLOCK_TRUNCATE = 1 << 14,  /* 3 */
        LANDLOCK_IOCTL_DEV = 1 << 15, /* 5 */
};

enum landlock_scope {
        LANDLOCK_ABSTRACT_SOCKET = 1 << 0, /* 6: connecting to those made outside */
        LANDLOCK_SIGNAL = 1 << 1,          /* 6: to processes outside */
};

struct landlock_ruleset {
        uint64_t access_fs, access_net, scoped;
};

struct landlock_beneath {
        uint64_t access;
        int32_t parent_fd;
} __attribute__((packed));

enum { LANDLOCK_VERSION = 1, LANDLOCK_PATH_BENEATH = 1 };

#endif
