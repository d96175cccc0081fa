/* Jobs that try to get out of their worker: at the host's memory, descriptors and processes, at other
 * workers, at what the options forbid; and jobs that write garbage where the host looks. The host is none the
 * worse. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "executors/confine.h"
#include "executors/lane.h"
#include "support/in_loop.h"
#include "support/temp_dir.h"

TestSuite(escape, .init = temp_begin, .fini = temp_end, .timeout = 60);

/* A job that tries returns 0, or the line where it got through. */
#define REFUSED(error, call)                                                                                 \
        do {                                                                                                 \
                errno = 0;                                                                                   \
                if ((call) != -1 || errno != (error))                                                        \
                        return __LINE__;                                                                     \
        } while (0)
#define MUST(condition)                                                                                      \
        do {                                                                                                 \
                if (!(condition))                                                                            \
                        return __LINE__;                                                                     \
        } while (0)

/* What a job is told of what it is to reach. */
struct target {
        pid_t pid;
        char *secret;
        int fd;
};

static char secret[16] = "of the host";

static struct target the_host(void)
{
        return (struct target){.pid = getpid(), .secret = secret, .fd = -1};
}

static ouro_executor *open_pool(struct ouro_process_options *options)
{
        ouro_executor *pool = NULL;

        options->message_bytes = 1 << 20;
        EQ(ouro_process_pool_open(options, &pool), 0);
        return pool;
}

static struct ouro_process_options two_workers(void)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.workers = 2;
        options.grace_ns = -1;
        return options;
}

static intptr_t call_on(ouro_executor *pool, ouro_job_fn *fn, unsigned worker, struct target target)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        options.worker = worker;
        return ouro_call(pool, fn, OURO_IN(target), OURO_NO_OUT, &options);
}

static void check_holds(ouro_executor *pool, ouro_job_fn *fn)
{
        intptr_t line = call_on(pool, fn, 0, the_host());

        cr_assert_eq(line, 0, "line %zd", (ssize_t)line);
        cr_assert_str_eq(secret, "of the host");
}

static intptr_t nothing(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return 42;
}

/* ---- compute only ---- */

static intptr_t reach_outside(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        char params[120] = {0};

        (void)job, (void)in, (void)out;
        REFUSED(EPERM, socket(AF_INET, SOCK_STREAM, 0));
        REFUSED(EPERM, socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)(void *)params));
        REFUSED(EPERM, open("/etc/passwd", O_RDONLY | O_CLOEXEC));
        REFUSED(EPERM, open("new", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        REFUSED(EPERM, execl("/bin/true", "true", NULL));
        REFUSED(EPERM, fork());
        REFUSED(EPERM, unlink("/tmp/none"));
        REFUSED(EPERM, (int)syscall(SYS_io_uring_setup, 1, params));
        REFUSED(EPERM, (int)syscall(SYS_memfd_create, "x", 0));
        return 0;
}

static intptr_t reach_host(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct target *host = in.base;
        char copy[16], path[64];
        struct iovec here = {copy, sizeof copy}, there = {host->secret, sizeof copy};

        (void)job, (void)out;
        REFUSED(EPERM, kill(host->pid, SIGKILL));
        REFUSED(EPERM, kill(getppid(), SIGKILL));
        REFUSED(EPERM, ptrace(PTRACE_SEIZE, host->pid, NULL, NULL));
        REFUSED(EPERM, process_vm_readv(host->pid, &here, 1, &there, 1, 0));
        REFUSED(EPERM, process_vm_writev(host->pid, &here, 1, &there, 1, 0));
        REFUSED(EPERM, (int)syscall(SYS_pidfd_open, host->pid, 0));
        snprintf(path, sizeof path, "/proc/%d/mem", host->pid);
        REFUSED(EPERM, open(path, O_RDWR | O_CLOEXEC));
        return 0;
}

static intptr_t take_back(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct rlimit limit = {100, 100};

        (void)job, (void)in, (void)out;
        MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max == 50);
        REFUSED(EPERM, setrlimit(RLIMIT_NOFILE, &limit));
        REFUSED(EPERM, setpriority(PRIO_PROCESS, 0, 0));
        REFUSED(EPERM, chdir("/tmp"));
        return 0;
}

IN_LOOP(escape, f95_compute_only_jobs_reach_nothing)
{
        const struct ouro_limit limit = {RLIMIT_NOFILE, 50, 50};
        struct ouro_process_options options = two_workers();
        ouro_executor *pool;

        options.confine = OURO_CONFINE_COMPUTE_ONLY;
        options.limits = &limit;
        options.limits_len = 1;
        options.nice = 1;
        pool = open_pool(&options);
        check_holds(pool, reach_outside);
        check_holds(pool, reach_host);
        check_holds(pool, take_back);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* Reads from all that is open: nothing is there but what the options pass. */
static intptr_t read_everything(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct target *host = in.base;
        char buf[64];

        (void)job, (void)out;
        MUST(read(0, buf, sizeof buf) == 0); /* /dev/null */
        MUST(pread(host->fd, buf, sizeof buf, 0) == 6 && memcmp(buf, "passed", 6) == 0);
        for (int fd = 3; fd < 256; fd++)
                if (fd != host->fd && (read(fd, buf, sizeof buf) != -1 || (errno != EPERM && errno != EBADF)))
                        return __LINE__;
        return 0;
}

/* Rings as if for others, again and again. */
static intptr_t ring_without_end(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct target *host = in.base;
        const uint64_t most = UINT64_MAX - 1;

        (void)job, (void)out;
        for (int fd = 3; fd < 256; fd++)
                for (int i = 0; fd != host->fd && i < 1000; i++)
                        if (write(fd, &most, sizeof most) < 0)
                                break;
        return 0;
}

IN_LOOP(escape, f95_the_doorbell_wakes_the_host_and_does_nothing_else)
{
        struct ouro_process_options options = two_workers();
        struct target target = the_host();
        ouro_executor *pool;

        target.fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        EQ(write(target.fd, "passed", 6), 6);
        options.confine = OURO_CONFINE_COMPUTE_ONLY;
        options.fds = &target.fd;
        options.fds_len = 1;
        pool = open_pool(&options);
        EQ(call_on(pool, read_everything, 1, target), 0);
        EQ(call_on(pool, ring_without_end, 1, target), 0);
        for (unsigned i = 0; i < 20; i++)
                EQ(call_on(pool, nothing, 1 + i % 2, target), 42);
        EQ(ouro_executor_close(pool), 0);
        EQ(close(target.fd), 0);
        return 0;
}

/* ---- what a worker has: without confinement, so that it can be looked at ---- */

/* How many memfds of that name are mapped; each may be in several pieces. */
static intptr_t count_mappings(const char *name)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        unsigned long last = 0, inode;
        char line[4400];
        intptr_t n = 0;

        MUST(maps);
        while (fgets(line, sizeof line, maps)) {
                if (!strstr(line, name) || sscanf(line, "%*s %*s %*s %*s %lu", &inode) != 1 || inode == last)
                        continue;
                last = inode;
                n++;
        }
        fclose(maps);
        return n;
}

static intptr_t count_lanes(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return count_mappings("memfd:ouro-lane");
}

static intptr_t count_arenas(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return count_mappings("memfd:ouro-arena");
}

IN_LOOP(escape, f95_a_worker_maps_its_own_lane_and_no_other)
{
        struct ouro_process_options options = two_workers();
        ouro_executor *pool = open_pool(&options);

        for (unsigned worker = 1; worker <= 2; worker++) {
                EQ(call_on(pool, count_lanes, worker, the_host()), 1);
                EQ(call_on(pool, count_arenas, worker, the_host()), 1);
        }
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* What is open, as text: "4 socket:[17]\n". */
static intptr_t list_descriptors(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        DIR *dir = opendir("/proc/self/fd");
        char target[200], *at = out.base, *end = at + out.len;
        struct dirent *entry;

        (void)job, (void)in;
        MUST(dir);
        while ((entry = readdir(dir))) {
                ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);

                if (len < 0 || atoi(entry->d_name) == dirfd(dir))
                        continue;
                target[len] = '\0';
                at += snprintf(at, (size_t)(end - at), "%s %s\n", entry->d_name, target);
        }
        closedir(dir);
        return at - (char *)out.base;
}

IN_LOOP(escape, f82_a_worker_has_the_descriptors_that_were_meant_for_it)
{
        struct ouro_process_options options = two_workers();
        static char text[4096];
        int pair[2], fds[2];
        unsigned others = 0;
        ouro_executor *pool;

        unix_pair(pair);                /* of the host's, not to be inherited */
        fds[0] = fcntl(0, F_DUPFD, 40); /* not to be inherited either, though exec would keep it */
        fds[1] = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        options.fds = &fds[1];
        options.fds_len = 1;
        pool = open_pool(&options);
        EQ(ouro_call(pool, list_descriptors, OURO_NO_IN, OURO_OUT(text), NULL), strlen(text));
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                int number = atoi(line);
                const char *what = strchr(line, ' ') + 1;

                if (number == 0)
                        cr_assert_str_eq(what, "/dev/null");
                else if (number == fds[1])
                        cr_assert(strstr(what, "/file"), "%s", line);
                else if (number > 2)
                        cr_assert(++others == 1 && strcmp(what, "anon_inode:[eventfd]") == 0, "%s", line);
        }
        EQ(others, 1); /* the doorbell */
        EQ(ouro_executor_close(pool), 0);
        close_both(pair);
        close_both(fds);
        return 0;
}

static intptr_t find_secret(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        static char all[1 << 20];
        int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
        ssize_t len = read(fd, all, sizeof all);

        (void)job, (void)in, (void)out;
        close(fd);
        MUST(!getenv("OURO_TEST_TOKEN"));
        MUST(!memmem(all, len > 0 ? (size_t)len : 0, "OURO_TEST_TOKEN", 15));
        MUST(strcmp(getenv("KNOWN"), "yes") == 0);
        return 0;
}

IN_LOOP(escape, f95_the_hosts_environment_is_not_in_a_workers_memory)
{
        static const char *const environment[] = {"KNOWN=yes", NULL};
        struct ouro_process_options options = two_workers();
        ouro_executor *pool;

        EQ(setenv("OURO_TEST_TOKEN", "secret", 1), 0);
        options.environment = environment;
        pool = open_pool(&options);
        check_holds(pool, find_secret);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* ---- an arena for each ---- */

static intptr_t touch(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        char *at = ((const struct target *)in.base)->secret;

        (void)job, (void)out;
        *at = 'x';
        return 0;
}

IN_LOOP(escape, f95_no_worker_sees_the_arena_of_another)
{
        struct ouro_process_options options = two_workers();
        struct target target = the_host();
        void *spans[2];
        ouro_executor *pool;

        options.arena_bytes = 1 << 20;
        options.arena_per_worker = true;
        pool = open_pool(&options);
        for (unsigned i = 0; i < 2; i++) {
                EQ(ouro_arena_alloc_for(pool, i, 64, &spans[i]), 0);
                memset(spans[i], '.', 64);
        }
        for (unsigned i = 0; i < 4; i++) {
                target.secret = spans[i / 2];
                EQ(call_on(pool, touch, 1 + i % 2, target), i / 2 == i % 2 ? 0 : -EOWNERDEAD);
        }
        for (unsigned i = 0; i < 2; i++) {
                EQ(*(char *)spans[i], 'x');
                EQ(call_on(pool, count_arenas, 1 + i, target), 1);
                EQ(ouro_arena_free(pool, spans[i]), 0);
        }
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* ---- files ---- */

static intptr_t worker_pid(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return getpid();
}

static intptr_t reach_files_and_others(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const struct target *other = in.base;
        char copy[16], path[64];
        struct iovec here = {copy, sizeof copy}, there = {other->secret, sizeof copy};
        int fd = open("below/new", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        (void)job, (void)out;
        MUST(fd >= 0 && write(fd, "text", 4) == 4 && close(fd) == 0);
        REFUSED(EACCES, open("above", O_RDONLY | O_CLOEXEC));
        REFUSED(EACCES, open("below/../above", O_RDONLY | O_CLOEXEC));
        REFUSED(EACCES, open("/etc/passwd", O_RDONLY | O_CLOEXEC));
        snprintf(path, sizeof path, "/proc/%d/mem", other->pid);
        REFUSED(EACCES, open(path, O_RDONLY | O_CLOEXEC));
        REFUSED(EPERM, ptrace(PTRACE_SEIZE, other->pid, NULL, NULL));
        REFUSED(EPERM, process_vm_readv(other->pid, &here, 1, &there, 1, 0));
        REFUSED(EPERM, process_vm_writev(other->pid, &here, 1, &there, 1, 0));
        if (landlock_version() >= 6)
                REFUSED(EPERM, kill(other->pid, SIGKILL));
        return 0;
}

IN_LOOP(escape, f95_jobs_confined_to_files_reach_no_others_and_no_other_process)
{
        static const char *const paths[] = {"below", NULL};
        struct ouro_process_options options = two_workers();
        struct target target = the_host();
        ouro_executor *pool;

        if (landlock_version() < 0) {
                PASSED_OVER("this kernel has no Landlock");
                return 0;
        }
        EQ(mkdir("below", 0700), 0);
        EQ(close(open("above", O_CREAT | O_RDWR | O_CLOEXEC, 0600)), 0);
        options.confine = OURO_CONFINE_FILES;
        options.write_paths = paths;
        pool = open_pool(&options);
        EQ(call_on(pool, reach_files_and_others, 1, target), 0);
        target.pid = (pid_t)call_on(pool, worker_pid, 2, target); /* the secret is there, too: one program */
        EQ(call_on(pool, reach_files_and_others, 1, target), 0);
        EQ(call_on(pool, worker_pid, 2, target), target.pid);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}
