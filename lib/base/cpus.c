/* cpus.c - CPU affinity and cgroup quota.
 *
 * cgroup v2: cpu.max of the process's group and of each group above it, the tightest counts. v1: the
 * cpu.cfs_* files of its cpu controller. Quota / period is how many CPUs' time the group gets. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/cpus.h"

enum { NO_LIMIT = INT_MAX };

static unsigned by_affinity(void)
{
        cpu_set_t set;

        if (sched_getaffinity(0, sizeof set, &set) < 0)
                return NO_LIMIT; /* more than 1,024 CPUs: the quota or the caller must say */
        return (unsigned)CPU_COUNT(&set);
}

static unsigned round_up(long long quota, long long period)
{
        return quota <= 0 || period <= 0 ? NO_LIMIT : (unsigned)((quota + period - 1) / period);
}

static unsigned read_v2(const char *dir)
{
        char path[PATH_MAX + 64];
        long long quota, period;
        int fields;
        FILE *file;

        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", dir);
        file = fopen(path, "re");
        if (!file)
                return NO_LIMIT;
        fields = fscanf(file, "%lld %lld", &quota, &period); /* "max 100000": none */
        fclose(file);
        return fields == 2 ? round_up(quota, period) : NO_LIMIT;
}

static long long read_number(const char *dir, const char *name)
{
        char path[PATH_MAX + 64];
        long long number = -1;
        FILE *file;

        snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/%s", dir, name);
        file = fopen(path, "re");
        if (!file)
                return -1;
        if (fscanf(file, "%lld", &number) != 1)
                number = -1;
        fclose(file);
        return number;
}

static unsigned least(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

/* The quota of the group at dir and of all above it. Cuts dir up. */
static unsigned tightest(char *dir, unsigned (*read)(const char *dir))
{
        unsigned limit = NO_LIMIT;
        char *slash;

        for (;;) {
                limit = least(limit, read(dir));
                slash = strrchr(dir, '/');
                if (!slash)
                        return limit;
                *slash = '\0';
        }
}

static unsigned read_v1(const char *dir)
{
        return round_up(read_number(dir, "cpu.cfs_quota_us"), read_number(dir, "cpu.cfs_period_us"));
}

/* A line of /proc/self/cgroup: "0::/path" or "4:cpu,cpuacct:/path". */
static unsigned by_line(char *line)
{
        char *controllers = strchr(line, ':'), *path;

        line[strcspn(line, "\n")] = '\0';
        path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
                return NO_LIMIT;
        *path++ = '\0';
        if (strcmp(path, "/") == 0)
                *path = '\0';
        if (controllers[1] == '\0')
                return tightest(path, read_v2);
        return strncmp(controllers + 1, "cpu", 3) == 0 && strncmp(controllers + 1, "cpuset", 6) != 0
                       ? tightest(path, read_v1)
                       : NO_LIMIT;
}

static unsigned by_quota(void)
{
        unsigned limit = NO_LIMIT;
        char line[PATH_MAX];
        FILE *file = fopen("/proc/self/cgroup", "re");

        if (!file)
                return NO_LIMIT;
        while (fgets(line, sizeof line, file))
                limit = least(limit, by_line(line));
        fclose(file);
        return limit;
}

unsigned cpus_usable(void)
{
        int saved_errno = errno;
        unsigned n = least(by_affinity(), by_quota());

        errno = saved_errno;
        return n == NO_LIMIT || n == 0 ? 1 : n;
}
