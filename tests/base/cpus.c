/* cpus.c - how many CPUs may be used: by affinity, and by the quotas of made-up control groups. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpus.h"

Test(cpus, one_at_the_least_and_no_more_than_there_are)
{
        unsigned n = cpus_usable();

        cr_assert(n >= 1 && n <= (unsigned)sysconf(_SC_NPROCESSORS_CONF));
}

static void allow(size_t n)
{
        cpu_set_t now, fewer;

        CPU_ZERO(&fewer);
        cr_assert(sched_getaffinity(0, sizeof now, &now) == 0);
        for (size_t i = 0; i < CPU_SETSIZE && (size_t)CPU_COUNT(&fewer) < n; i++)
                if (CPU_ISSET(i, &now))
                        CPU_SET(i, &fewer);
        cr_assert(sched_setaffinity(0, sizeof fewer, &fewer) == 0);
}

Test(cpus, affinity_counts)
{
        allow(1);
        cr_assert(cpus_usable() == 1);
}

Test(cpus, errno_is_left_alone)
{
        errno = 55;
        cpus_usable();
        cr_assert(errno == 55);
}

/* ---- control groups: a file system of our own lies over the machine's, for this process alone ---- */

static void write_file(const char *path, const char *format, ...)
{
        FILE *file = fopen(path, "we");
        va_list args;

        cr_assert(file, "%s", path);
        va_start(args, format);
        vfprintf(file, format, args);
        va_end(args);
        fclose(file);
}

static void cover(const char *cgroup)
{
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) < 0)
                cr_skip_test("needs the right to mount");
        write_file("/sys/fs/cgroup/mine", "%s", cgroup);
        if (mount("/sys/fs/cgroup/mine", "/proc/self/cgroup", NULL, MS_BIND, NULL) < 0)
                cr_skip_test("/proc cannot be covered here");
}

static void make_v2(const char *dir, const char *max)
{
        char path[256];

        snprintf(path, sizeof path, "/sys/fs/cgroup%s", dir);
        mkdir(path, 0755);
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", dir);
        write_file(path, "%s\n", max);
}

static unsigned affinity(void)
{
        cpu_set_t set;

        cr_assert(sched_getaffinity(0, sizeof set, &set) == 0);
        return (unsigned)CPU_COUNT(&set);
}

Test(cpus, quota_is_rounded_up)
{
        cover("0::/a\n");
        make_v2("/a", "20000 100000");
        cr_assert(cpus_usable() == 1, "a fifth of one");
        if (affinity() < 2)
                cr_skip_test("needs two CPUs");
        make_v2("/a", "110000 100000");
        cr_assert(cpus_usable() == 2);
}

Test(cpus, no_quota_is_no_limit)
{
        cover("0::/a\n");
        make_v2("/a", "max 100000");
        cr_assert(cpus_usable() == affinity());
}

Test(cpus, the_tightest_quota_above_counts)
{
        cover("0::/a/b/c\n");
        make_v2("/a", "50000 100000");
        make_v2("/a/b", "max 100000");
        make_v2("/a/b/c", "800000 100000");
        cr_assert(cpus_usable() == 1);
}

Test(cpus, a_group_without_the_file_is_no_limit)
{
        cover("0::/nowhere/at/all\n");
        cr_assert(cpus_usable() == affinity());
}

static void make_v1(const char *quota)
{
        mkdir("/sys/fs/cgroup/cpu", 0755);
        mkdir("/sys/fs/cgroup/cpu/job", 0755);
        write_file("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "%s\n", quota);
        write_file("/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
}

Test(cpus, quota_of_version_1_counts)
{
        cover("5:cpuset:/job\n4:cpu,cpuacct:/job\n3:memory:/job\n");
        make_v1("100000");
        cr_assert(cpus_usable() == 1);
        make_v1("-1");
        cr_assert(cpus_usable() == affinity());
}

Test(cpus, files_that_make_no_sense_are_no_limit)
{
        cover("nonsense\n:\n0::/a\n");
        make_v2("/a", "what?");
        cr_assert(cpus_usable() == affinity());
        make_v2("/a", "-5 100000");
        cr_assert(cpus_usable() == affinity());
        make_v2("/a", "100000 0");
        cr_assert(cpus_usable() == affinity());
}
