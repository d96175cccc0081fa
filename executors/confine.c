/* confine.c - making a worker what the options say.
 *
 * What may as well hold for the zygote (directory, environment, CPUs, no new privileges) is done there
 * once; each worker inherits it. What would hinder the zygote (limits, nice value, Landlock, the filter) is
 * done in each worker, and only tried out in the zygote. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/sys.h"
#include "executors/confine.h"

/* Landlock's; workers inherit it and close it. */
static int rules_fd = -1;

/* ---- zygote ---- */

static int discard_output(const struct config *config)
{
        int error, null;

        if (config->output != OURO_OUTPUT_DISCARD)
                return 0;
        null = sys_result(open("/dev/null", O_WRONLY | O_CLOEXEC));
        if (null < 0)
                return null;
        error = sys_result(dup2(null, STDOUT_FILENO));
        if (error >= 0)
                error = sys_result(dup2(null, STDERR_FILENO));
        close(null);
        return error < 0 ? error : 0;
}

/* Field 50 and 51 of /proc/self/stat: where the kernel put the environment. */
static int find_first_environment(char **ret_begin, char **ret_end)
{
        int fd = sys_result(open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
        unsigned long begin = 0, end = 0;
        char text[2048], *at;
        ssize_t len;

        if (fd < 0)
                return fd;
        len = sys_result(read(fd, text, sizeof text - 1));
        close(fd);
        if (len < 0)
                return (int)len;
        text[len] = '\0';
        at = strrchr(text, ')'); /* ends field 2, which may hold anything */
        for (int field = 2; at && field < 50; field++)
                at = strchr(at + 1, ' ');
        if (!at || sscanf(at, "%lu %lu", &begin, &end) != 2)
                return -ENOTSUP;
        *ret_begin = (char *)begin;
        *ret_end = (char *)end;
        return 0;
}

/* What the host's environment held is not for workers that are given another: they could read it in their own
 * memory. */
static int wipe_environment(void)
{
        char *begin = NULL, *end = NULL;
        int error = find_first_environment(&begin, &end);

        if (error == 0 && begin < end)
                memset(begin, 0, (size_t)(end - begin));
        return error;
}

/* Copies, because programs write into their environment. Never freed: it lasts as long as the process. */
static int set_environment(const struct config *config)
{
        size_t n = 0, bytes = config->environment.bytes;
        char *strings = malloc(bytes ? bytes : 1), **list;

        for (const char *string = NULL; (string = config_next(config, config->environment, string));)
                n++;
        list = calloc(n + 1, sizeof *list);
        if (!strings || !list) {
                free(strings);
                free(list);
                return -ENOMEM;
        }
        if (bytes > 0)
                memcpy(strings, config_at(config, config->environment), bytes);
        for (size_t i = 0; i < n; i++) {
                list[i] = strings;
                strings += strlen(strings) + 1;
        }
        environ = list;
        return config->own_environment ? wipe_environment() : 0;
}

/* Where we are already is not gone to: rights given up since may have closed the way to it. */
static int set_directory(const struct config *config)
{
        const char *directory = config_at(config, config->directory);
        char here[PATH_MAX];

        if (config->directory.bytes == 0 || (getcwd(here, sizeof here) && strcmp(here, directory) == 0))
                return 0;
        return sys_result(chdir(directory));
}

static int set_cpus(const struct config *config)
{
        return sys_result(sched_setaffinity(0, config->cpus.bytes, config_at(config, config->cpus)));
}

/* Going back up is always allowed. */
static int try_nice(const struct config *config)
{
        int now = getpriority(PRIO_PROCESS, 0), error;

        if (config->nice >= now)
                return 0;
        error = sys_result(setpriority(PRIO_PROCESS, 0, config->nice));
        return error < 0 ? error : sys_result(setpriority(PRIO_PROCESS, 0, now));
}

/* Only a raise can be refused. The zygote's soft limit stays, so that it is not hindered. */
static int try_limits(const struct config *config)
{
        const struct ouro_limit *limit = config_at(config, config->limits);
        int error = 0;

        for (size_t i = 0; error == 0 && i < config->limits.bytes / sizeof *limit; i++) {
                __rlimit_resource_t resource = (__rlimit_resource_t)limit[i].resource;
                struct rlimit now;

                error = sys_result(getrlimit(resource, &now));
                if (error < 0 || limit[i].hard <= now.rlim_max)
                        continue;
                now.rlim_max = limit[i].hard;
                error = sys_result(setrlimit(resource, &now));
        }
        return error;
}

static int make_rules(const struct config *config)
{
        if (!(config->confine & OURO_CONFINE_FILES))
                return 0;
        rules_fd = landlock_rules(config);
        return rules_fd < 0 ? rules_fd : 0;
}

static int give_up_privileges(const struct config *config)
{
        if (!(config->confine & OURO_CONFINE_NO_NEW_PRIVILEGES))
                return 0;
        return sys_result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

typedef int confine_step(const struct config *config);

static int do_all(confine_step *const *steps, size_t n, const struct config *config)
{
        int saved_errno = errno, error = 0;

        for (size_t i = 0; error == 0 && i < n; i++)
                error = steps[i](config);
        errno = saved_errno;
        return error;
}

int confine_zygote(const struct config *config)
{
        static confine_step *const steps[] = {discard_output,  give_up_privileges, make_rules, set_directory,
                                              set_environment, set_cpus,           try_nice,   try_limits};

        return do_all(steps, sizeof steps / sizeof *steps, config);
}

/* ---- worker ---- */

static int set_nice(const struct config *config)
{
        if (getpriority(PRIO_PROCESS, 0) == config->nice)
                return 0;
        return sys_result(setpriority(PRIO_PROCESS, 0, config->nice));
}

static int set_limits(const struct config *config)
{
        const struct ouro_limit *limit = config_at(config, config->limits);
        int error = 0;

        for (size_t i = 0; error == 0 && i < config->limits.bytes / sizeof *limit; i++) {
                struct rlimit rlimit = {limit[i].soft, limit[i].hard};

                error = sys_result(setrlimit((__rlimit_resource_t)limit[i].resource, &rlimit));
        }
        return error;
}

static int apply_rules(const struct config *config)
{
        int error;

        if (!(config->confine & OURO_CONFINE_FILES))
                return 0;
        error = landlock_apply(rules_fd);
        close(rules_fd);
        rules_fd = -1;
        return error;
}

/* A line at a time, so that the lines before a crash are there. */
static int capture(const struct config *config, int output_fd)
{
        int error;

        if (config->output != OURO_OUTPUT_CAPTURE)
                return 0;
        setvbuf(stdout, NULL, _IOLBF, 0);
        error = sys_result(dup2(output_fd, STDOUT_FILENO));
        if (error >= 0)
                error = sys_result(dup2(output_fd, STDERR_FILENO));
        close(output_fd);
        return error < 0 ? error : 0;
}

int confine_worker(const struct config *config, int doorbell, int output_fd)
{
        static confine_step *const steps[] = {set_nice, set_limits, apply_rules};
        int error = capture(config, output_fd);

        if (error == 0)
                error = do_all(steps, sizeof steps / sizeof *steps, config);
        if (error == 0 && (config->confine & OURO_CONFINE_COMPUTE_ONLY))
                error = filter_install(doorbell);
        return error;
}
