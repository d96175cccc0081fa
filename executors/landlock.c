/* landlock.c - the files that a worker can open: what read_paths and write_paths name, and nothing else.
 *
 * The zygote opens the paths and makes the rules once; each worker makes a domain of its own from them, so
 * that none can trace another: a process is traced only from its own domain or one around it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "executors/confine.h"
#include "executors/landlock.h"

enum {
        READ = LANDLOCK_EXECUTE | LANDLOCK_READ_FILE | LANDLOCK_READ_DIR,
        /* No devices are made, and nothing that was written is executed. */
        WRITE = LANDLOCK_READ_FILE | LANDLOCK_READ_DIR | LANDLOCK_WRITE_FILE | LANDLOCK_TRUNCATE |
                LANDLOCK_REMOVE_DIR | LANDLOCK_REMOVE_FILE | LANDLOCK_MAKE_DIR | LANDLOCK_MAKE_REG |
                LANDLOCK_MAKE_SOCK | LANDLOCK_MAKE_FIFO | LANDLOCK_MAKE_SYM | LANDLOCK_REFER,
        OF_FILES = LANDLOCK_EXECUTE | LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE | LANDLOCK_TRUNCATE |
                   LANDLOCK_IOCTL_DEV, /* a rule for what is no directory may hold these */
};

int landlock_version(void)
{
        int version = (int)sys_result(syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION));

        return version > 0 ? version : -ENOTSUP; /* not built in, or switched off at boot */
}

/* All that this kernel can refuse: what it cannot is in the guide. To older ones the last fields are zeros,
 * which they accept. */
static struct landlock_ruleset all_of(int version)
{
        struct landlock_ruleset all = {.access_fs = LANDLOCK_REFER - 1};

        if (version >= 2)
                all.access_fs |= LANDLOCK_REFER;
        if (version >= 3)
                all.access_fs |= LANDLOCK_TRUNCATE;
        if (version >= 5)
                all.access_fs |= LANDLOCK_IOCTL_DEV;
        if (version >= 6)
                all.scoped = LANDLOCK_ABSTRACT_SOCKET | LANDLOCK_SIGNAL;
        return all;
}

static int add_path(int rules, const char *path, uint64_t access)
{
        struct landlock_beneath beneath = {.access = access};
        int error, fd = sys_result(open(path, O_PATH | O_CLOEXEC));
        struct stat stat;

        if (fd < 0)
                return fd;
        error = sys_result(fstat(fd, &stat));
        if (error == 0) {
                if (!S_ISDIR(stat.st_mode))
                        beneath.access &= OF_FILES;
                beneath.parent_fd = fd;
                error = (int)sys_result(
                        syscall(SYS_landlock_add_rule, rules, LANDLOCK_PATH_BENEATH, &beneath, 0));
        }
        close(fd);
        return error;
}

static int add_paths(int rules, const struct config *config, struct config_span paths, uint64_t access)
{
        int error = 0;

        for (const char *path = NULL; error == 0 && (path = config_next(config, paths, path));)
                error = add_path(rules, path, access);
        return error;
}

int landlock_rules(const struct config *config)
{
        int error, rules, version = landlock_version();
        struct landlock_ruleset all;

        if (version < 0)
                return version;
        all = all_of(version);
        rules = (int)sys_result(syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0));
        if (rules < 0)
                return rules;
        error = add_paths(rules, config, config->read_paths, READ & all.access_fs);
        if (error == 0)
                error = add_paths(rules, config, config->write_paths, WRITE & all.access_fs);
        if (error == 0)
                return rules;
        close(rules);
        return error;
}

int landlock_apply(int rules)
{
        return (int)sys_result(syscall(SYS_landlock_restrict_self, rules, 0));
}
