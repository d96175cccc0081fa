/* What is packed in the host is what is read in the zygote; what is out of range is refused in the host. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "executors/confine.h"
#include "support/in_loop.h"
#include "support/temp_dir.h"

enum { ARENA_AT = 0x10000 };

static struct ouro_process_options options;

static void begin(void)
{
        temp_begin();
        options = (struct ouro_process_options)OURO_PROCESS_OPTIONS_INIT;
}

TestSuite(config, .init = begin, .fini = temp_end);

static const struct config *pack(int *ret_fd)
{
        const struct config *config;

        EQ(config_pack(&options, ARENA_AT, ret_fd), 0);
        config = config_map(*ret_fd);
        cr_assert(config);
        return config;
}

static void drop(const struct config *config, int fd)
{
        EQ(munmap((void *)(uintptr_t)config, config->bytes), 0);
        EQ(close(fd), 0);
}

/* Refused, and nothing was given or left behind. */
static void check_refused(int error)
{
        int fd = -7;

        EQ(config_pack(&options, ARENA_AT, &fd), error);
        EQ(fd, -7);
}

static intptr_t hook(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)out;
        return (intptr_t)in.len;
}

static bool has_string(const struct config *config, struct config_span span, const char *wanted)
{
        for (const char *string = NULL; (string = config_next(config, span, string));)
                if (strcmp(string, wanted) == 0)
                        return true;
        return false;
}

static size_t count(const struct config *config, struct config_span span)
{
        size_t n = 0;

        for (const char *string = NULL; (string = config_next(config, span, string));)
                n++;
        return n;
}

Test(config, zero_means_the_default)
{
        char here[4096];
        cpu_set_t set;
        const struct config *config;
        int fd;

        EQ(setenv("OURO_TEST_CONFIG", "host", 1), 0);
        config = pack(&fd);
        cr_assert_str_eq(config->name, "ouro");
        EQ(config->spin_ns, CONFIG_SPIN_NS);
        EQ(config->arena_at, ARENA_AT);
        EQ(config->arena_bytes, CONFIG_ARENA_BYTES);
        EQ(config->confine, 0);
        EQ(config->output, OURO_OUTPUT_PASS);
        EQ(config->nice, getpriority(PRIO_PROCESS, 0));
        cr_assert_eq(config->initializer, UINT64_MAX);
        cr_assert_eq(config->finalizer, UINT64_MAX);
        EQ(config->in.bytes + config->limits.bytes + config->fds.bytes + config->read_paths.bytes, 0);
        cr_assert(getcwd(here, sizeof here));
        cr_assert_str_eq(config_at(config, config->directory), here);
        EQ(sched_getaffinity(0, sizeof set, &set), 0);
        cr_assert_eq(memcmp(config_at(config, config->cpus), &set, 8), 0);
        EQ(config->own_environment, 0);
        cr_assert(has_string(config, config->environment, "OURO_TEST_CONFIG=host"));
        drop(config, fd);
}

Test(config, what_is_asked_for_arrives)
{
        static const struct ouro_limit limits[] = {{RLIMIT_CORE, 0, 0}, {RLIMIT_CPU, 5, 6}};
        static const char *const environment[] = {"A=1", "EMPTY=", NULL};
        char path[4096];
        const struct config *config;
        const struct ouro_limit *packed;
        const int *numbers;
        int fd, a = dup(0), b = dup(0), fds[] = {b, a};
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(0, &set);
        EQ(mkdir("below", 0700), 0);
        options.name = "fifteen letters";
        options.spin_ns = -1;
        options.initializer = options.finalizer = hook;
        options.in = ouro_in("bytes", 5);
        options.confine = OURO_CONFINE_COMPUTE_ONLY;
        options.output = OURO_OUTPUT_CAPTURE;
        options.limits = limits;
        options.limits_len = 2;
        options.nice = 3;
        options.cpus = &set;
        options.cpus_bytes = sizeof set;
        options.directory = "below";
        options.environment = environment;
        options.fds = fds;
        options.fds_len = 2;
        options.recycle_bytes = 1;
        options.arena_per_worker = true;
        config = pack(&fd);
        cr_assert_str_eq(config->name, "fifteen letters");
        EQ(config->spin_ns, -1);
        cr_assert_eq(config->initializer, config->finalizer);
        cr_assert_eq(memcmp(&config->initializer_module, &config->finalizer_module,
                            sizeof config->initializer_module),
                     0);
        EQ(config->in.bytes, 5);
        cr_assert_eq(memcmp(config_at(config, config->in), "bytes", 5), 0);
        EQ(config->confine, OURO_CONFINE_COMPUTE_ONLY | OURO_CONFINE_NO_NEW_PRIVILEGES);
        EQ(config->output, OURO_OUTPUT_CAPTURE);
        EQ(config->limits.bytes, 2 * sizeof *packed);
        packed = config_at(config, config->limits);
        EQ(packed[1].resource, RLIMIT_CPU);
        EQ(packed[1].soft, 5);
        EQ(packed[1].hard, 6);
        EQ(config->nice, getpriority(PRIO_PROCESS, 0) + 3);
        EQ(config->cpus.bytes, sizeof set);
        snprintf(path, sizeof path, "%s/below", temp_dir);
        cr_assert_str_eq(config_at(config, config->directory), path);
        EQ(config->own_environment, 1);
        EQ(count(config, config->environment), 2);
        cr_assert(has_string(config, config->environment, "EMPTY="));
        numbers = config_at(config, config->fds);
        EQ(config->fds.bytes, 2 * sizeof *numbers);
        EQ(numbers[0], a < b ? a : b); /* rising */
        EQ(numbers[1], a < b ? b : a);
        EQ(config->measure_resident, 1);
        EQ(config->arena_per_worker, 1);
        drop(config, fd);
        close(a);
        close(b);
}

Test(config, an_empty_environment_is_empty)
{
        static const char *const none[] = {NULL};
        const struct config *config;
        int fd;

        options.environment = none;
        config = pack(&fd);
        EQ(config->own_environment, 1);
        EQ(count(config, config->environment), 0);
        drop(config, fd);
}

Test(config, paths_are_seen_from_the_root_as_the_opener_saw_them)
{
        static const char *const read_paths[] = {"file", "/", NULL}, *const write_paths[] = {"below", NULL};
        char path[4096];
        const struct config *config;
        int fd;

        if (landlock_version() < 0) {
                PASSED_OVER("this kernel has no Landlock");
                return;
        }
        EQ(mkdir("below", 0700), 0);
        EQ(close(open("file", O_CREAT | O_CLOEXEC, 0600)), 0);
        options.confine = OURO_CONFINE_FILES;
        options.read_paths = read_paths;
        options.write_paths = write_paths;
        config = pack(&fd);
        EQ(config->confine, OURO_CONFINE_FILES | OURO_CONFINE_NO_NEW_PRIVILEGES);
        snprintf(path, sizeof path, "%s/file", temp_dir);
        cr_assert(has_string(config, config->read_paths, path));
        cr_assert(has_string(config, config->read_paths, "/"));
        snprintf(path, sizeof path, "%s/below", temp_dir);
        cr_assert(has_string(config, config->write_paths, path));
        drop(config, fd);
}

/* ---- refused ---- */

Test(config, numbers_out_of_range_are_refused)
{
        options.confine = 8;
        check_refused(-EINVAL);
        options.confine = 0;
        options.output = (enum ouro_output)3;
        check_refused(-EINVAL);
        options.output = OURO_OUTPUT_PASS;
        options.output_bytes = CONFIG_OUTPUT_MOST + 1;
        check_refused(-EINVAL);
        options.output_bytes = 0;
        options.nice = 41;
        check_refused(-EINVAL);
        options.nice = 0;
        options.name = "sixteen letters.";
        check_refused(-EINVAL);
        options.name = NULL;
        options.in.len = 1;
        check_refused(-EINVAL);
}

Test(config, a_function_that_others_cannot_find_is_refused)
{
        static char data[16];

        options.initializer = (ouro_job_fn *)(void *)data;
        check_refused(-EINVAL);
}

Test(config, limits_that_cannot_be_are_refused)
{
        struct ouro_limit limit = {RLIM_NLIMITS, 0, 0};

        options.limits = &limit;
        options.limits_len = 1;
        check_refused(-EINVAL);
        limit.resource = -1;
        check_refused(-EINVAL);
        limit = (struct ouro_limit){RLIMIT_CPU, 2, 1};
        check_refused(-EINVAL);
        options.limits = NULL;
        check_refused(-EINVAL);
}

Test(config, descriptors_that_cannot_pass_are_refused)
{
        int fd = dup(0), fds[] = {fd, fd};

        options.fds = fds;
        options.fds_len = 2;
        check_refused(-EINVAL); /* twice */
        options.fds_len = 1;
        fds[0] = 2;
        check_refused(-EINVAL);
        fds[0] = -1;
        check_refused(-EINVAL);
        fds[0] = fd;
        close(fd);
        check_refused(-EBADF);
        options.fds = NULL;
        check_refused(-EINVAL);
}

Test(config, f95_a_ring_cannot_pass)
{
        char params[120] = {0};
        int ring = (int)syscall(SYS_io_uring_setup, 1, params);

        if (ring < 0) {
                PASSED_OVER("this kernel has no rings");
                return;
        }
        options.fds = &ring;
        options.fds_len = 1;
        check_refused(-EINVAL);
        close(ring);
        usleep(20000); /* the kernel takes its memory back a little later */
}

Test(config, cpus_that_are_none_are_refused)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        options.cpus = &set;
        check_refused(-EINVAL);
        options.cpus_bytes = sizeof set;
        check_refused(-EINVAL);
        CPU_SET(0, &set);
        options.cpus_bytes = 1 << 20;
        check_refused(-EINVAL);
}

Test(config, an_environment_without_names_is_refused)
{
        const char *environment[] = {"A=1", "=2", NULL};

        options.environment = environment;
        check_refused(-EINVAL);
        environment[1] = "B";
        check_refused(-EINVAL);
}

Test(config, places_that_are_not_there_are_refused)
{
        static const char *const missing[] = {"/", "missing", NULL};

        EQ(close(open("file", O_CREAT | O_CLOEXEC, 0600)), 0);
        options.directory = "missing";
        check_refused(-ENOENT);
        options.directory = "file";
        check_refused(-ENOTDIR);
        options.directory = NULL;
        options.read_paths = missing;
        check_refused(-EINVAL); /* they would confine nothing */
        if (landlock_version() < 0)
                return;
        options.confine = OURO_CONFINE_FILES;
        check_refused(-ENOENT);
        options.read_paths = NULL;
        options.write_paths = missing;
        check_refused(-ENOENT);
}

/* From now on, for this process. */
static void mask_landlock(unsigned error)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 444, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

        EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

Test(config, confined_files_need_landlock_in_the_kernel)
{
        mask_landlock(ENOSYS);
        options.confine = OURO_CONFINE_FILES;
        check_refused(-ENOTSUP);
        mask_landlock(EOPNOTSUPP);
        check_refused(-ENOTSUP);
}

Test(config, without_descriptors_it_says_so)
{
        struct rlimit before, none;

        EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){3, before.rlim_max};
        EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
        check_refused(-EMFILE);
        EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

Test(config, errno_is_left_as_it_was)
{
        int fd;

        errno = 77;
        options.directory = "missing";
        check_refused(-ENOENT);
        EQ(errno, 77);
        options.directory = NULL;
        EQ(config_pack(&options, ARENA_AT, &fd), 0);
        EQ(errno, 77);
        close(fd);
}

/* ---- the zygote believes nothing that could be wrong ---- */

static bool is_taken(const void *data, size_t bytes, int seals)
{
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        const struct config *config;

        EQ(write(fd, data, bytes), (ssize_t)bytes);
        EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
        config = config_map(fd);
        if (config)
                drop(config, fd);
        else
                close(fd);
        return config != NULL;
}

static const int all_seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

static struct config *copy_of_packed(void)
{
        int fd;
        const struct config *config = pack(&fd);
        struct config *copy = malloc(config->bytes);

        cr_assert(copy);
        memcpy(copy, config, config->bytes);
        drop(config, fd);
        return copy;
}

Test(config, what_may_still_change_is_not_taken)
{
        struct config *copy = copy_of_packed();

        cr_assert(is_taken(copy, copy->bytes, all_seals));
        cr_assert_not(is_taken(copy, copy->bytes, F_SEAL_SHRINK | F_SEAL_GROW));
        cr_assert_not(is_taken(copy, copy->bytes, all_seals & ~F_SEAL_SHRINK));
        free(copy);
}

Test(config, what_is_cut_or_foreign_is_not_taken)
{
        struct config *copy = copy_of_packed();

        cr_assert_not(is_taken(copy, copy->bytes - 1, all_seals));
        cr_assert_not(is_taken(copy, sizeof *copy - 1, all_seals));
        cr_assert_not(is_taken(copy, 0, all_seals));
        copy->magic++;
        cr_assert_not(is_taken(copy, copy->bytes, all_seals));
        free(copy);
        cr_assert_null(config_map(0));
        cr_assert_null(config_map(-1));
}

Test(config, f85_every_span_is_checked)
{
        static const size_t spans[] = {
                offsetof(struct config, in),          offsetof(struct config, limits),
                offsetof(struct config, cpus),        offsetof(struct config, directory),
                offsetof(struct config, environment), offsetof(struct config, fds),
                offsetof(struct config, read_paths),  offsetof(struct config, write_paths),
        };
        struct config *copy = copy_of_packed();

        for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
                struct config_span *span = (void *)((char *)copy + spans[i]), before = *span;

                *span = (struct config_span){copy->bytes + 16, 16};
                cr_assert_not(is_taken(copy, copy->bytes, all_seals), "span %zu", i);
                *span = (struct config_span){0, copy->bytes + 48 * 16};
                cr_assert_not(is_taken(copy, copy->bytes, all_seals), "span %zu", i);
                *span = (struct config_span){16, UINT64_MAX - 15};
                cr_assert_not(is_taken(copy, copy->bytes, all_seals), "span %zu", i);
                *span = before;
        }
        cr_assert(is_taken(copy, copy->bytes, all_seals));
        memset(copy->name, 'x', sizeof copy->name);
        cr_assert_not(is_taken(copy, copy->bytes, all_seals));
        free(copy);
}

Test(config, strings_without_an_end_are_not_taken)
{
        static const char *const environment[] = {"A=1", NULL};
        struct config *copy;

        options.environment = environment;
        copy = copy_of_packed();
        copy->environment.bytes--;
        cr_assert_not(is_taken(copy, copy->bytes, all_seals));
        free(copy);
}
