/* config.c - packing a pool's options for its zygote, and reading them there.
 *
 * One memfd, sealed: nobody can change it once it is packed, and the zygote checks every bound before it
 * believes any. Spans lie behind the struct, each aligned to 16 bytes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "executors/confine.h"
#include "executors/module.h"

enum {
        SPAN_ALIGN = 16,
        CPUS_MOST = 8192, /* bytes: 65,536 CPUs */
        NICE_MOST = 40,
        SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

static const uint64_t MAGIC = 0x31676663206f7275; /* "uro cfg1" */

/* ---- packing ---- */

/* What has been packed so far. The first error stays. */
struct pack {
        char *base; /* struct config, then spans */
        size_t bytes;
        int error;
};

static struct config *config_of(struct pack *pack)
{
        return (struct config *)(void *)pack->base;
}

static void fail(struct pack *pack, int error)
{
        if (pack->error == 0)
                pack->error = error;
}

static void append(struct pack *pack, const void *data, size_t bytes)
{
        char *base;

        if (pack->error < 0 || bytes == 0)
                return;
        base = mem_grow(pack->base, pack->bytes, pack->bytes + bytes);
        if (!base) {
                fail(pack, -ENOMEM);
                return;
        }
        memcpy(base + pack->bytes, data, bytes);
        pack->base = base;
        pack->bytes += bytes;
}

/* Where the next span begins. */
static struct config_span begin_span(struct pack *pack)
{
        static const char zeros[SPAN_ALIGN];

        append(pack, zeros, -pack->bytes % SPAN_ALIGN);
        return (struct config_span){pack->bytes, 0};
}

static void end_span(struct pack *pack, struct config_span *span)
{
        span->bytes = pack->bytes - span->at;
}

static struct config_span add_span(struct pack *pack, const void *data, size_t bytes)
{
        struct config_span span = begin_span(pack);

        if (bytes > 0 && !data)
                fail(pack, -EINVAL);
        else
                append(pack, data, bytes);
        end_span(pack, &span);
        return span;
}

static void append_string(struct pack *pack, const char *string)
{
        append(pack, string, strlen(string) + 1);
}

/* ---- what the options say, and what is inherited on purpose ---- */

static uint64_t add_function(struct pack *pack, const void *function, struct lane_module *ret_module)
{
        uint64_t offset = UINT64_MAX;

        if (function && pack->error == 0) {
                int error = module_find(function, ret_module, &offset);

                if (error < 0)
                        fail(pack, error);
        }
        return offset;
}

static void add_functions(struct pack *pack, const struct ouro_process_options *options)
{
        struct lane_module initializer = {0}, finalizer = {0};
        uint64_t initializer_at, finalizer_at;
        struct config *config;

        initializer_at = add_function(pack, (const void *)options->initializer, &initializer);
        finalizer_at = add_function(pack, (const void *)options->finalizer, &finalizer);
        config = config_of(pack);
        config->initializer_module = initializer;
        config->finalizer_module = finalizer;
        config->initializer = initializer_at;
        config->finalizer = finalizer_at;
}

/* Appends path as it is seen from the root, after having looked whether it is there. */
static void append_path(struct pack *pack, const char *path, int flags)
{
        char full[PATH_MAX];
        int fd = sys_result(open(path, O_PATH | O_CLOEXEC | flags));
        size_t used = 0;

        if (fd < 0) {
                fail(pack, fd);
                return;
        }
        close(fd);
        if (path[0] != '/') {
                if (!getcwd(full, sizeof full) || full[0] != '/') {
                        fail(pack, -ENOENT);
                        return;
                }
                used = strlen(full);
        }
        if (used + 1 + strlen(path) >= sizeof full) {
                fail(pack, -ENAMETOOLONG);
                return;
        }
        snprintf(full + used, sizeof full - used, "%s%s", used ? "/" : "", path);
        append_string(pack, full);
}

static struct config_span add_directory(struct pack *pack, const char *directory)
{
        struct config_span span = begin_span(pack);
        char here[PATH_MAX];

        if (directory)
                append_path(pack, directory, O_DIRECTORY);
        else if (getcwd(here, sizeof here) && here[0] == '/') /* else it was removed: nobody finds it again */
                append_string(pack, here);
        end_span(pack, &span);
        return span;
}

static struct config_span add_paths(struct pack *pack, const struct ouro_process_options *options,
                                    const char *const *paths)
{
        struct config_span span = begin_span(pack);

        if (paths && !(options->confine & OURO_CONFINE_FILES))
                fail(pack, -EINVAL); /* they would confine nothing */
        for (; paths && *paths; paths++)
                append_path(pack, *paths, 0);
        end_span(pack, &span);
        return span;
}

static struct config_span add_environment(struct pack *pack, const char *const *environment)
{
        struct config_span span = begin_span(pack);
        const char *const *strings = environment ? environment : (const char *const *)environ;

        for (; strings && *strings; strings++) {
                const char *equals = strchr(*strings, '=');

                if (environment && (!equals || equals == *strings))
                        fail(pack, -EINVAL);
                append_string(pack, *strings);
        }
        end_span(pack, &span);
        return span;
}

static bool is_empty(const char *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (bytes[i])
                        return false;
        return true;
}

static struct config_span add_cpus(struct pack *pack, const struct ouro_process_options *options)
{
        long bytes;
        char now[CPUS_MOST];

        if (!options->cpus) {
                bytes = sys_result(syscall(SYS_sched_getaffinity, 0, sizeof now, now));
                if (bytes < 0)
                        fail(pack, (int)bytes);
                return add_span(pack, now, bytes > 0 ? (size_t)bytes : 0);
        }
        if (options->cpus_bytes > CPUS_MOST || is_empty(options->cpus, options->cpus_bytes)) {
                fail(pack, -EINVAL);
                return (struct config_span){0, 0};
        }
        return add_span(pack, options->cpus, options->cpus_bytes);
}

static struct config_span add_limits(struct pack *pack, const struct ouro_process_options *options)
{
        const struct ouro_limit *limits = options->limits;

        for (size_t i = 0; limits && i < options->limits_len; i++)
                if (limits[i].resource < 0 || limits[i].resource >= RLIM_NLIMITS ||
                    limits[i].soft > limits[i].hard)
                        fail(pack, -EINVAL);
        return add_span(pack, limits, options->limits_len * sizeof *limits);
}

/* With a ring a worker could have the host do anything. (Kernels before 6.7 would pass it on.) */
static bool is_ring(int fd)
{
        char name[64], target[64];
        ssize_t len;

        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        len = readlink(name, target, sizeof target - 1);
        if (len < 0)
                return false;
        target[len] = '\0';
        return strcmp(target, "anon_inode:[io_uring]") == 0;
}

static int check_fd(const int *fds, size_t i)
{
        if (fds[i] <= STDERR_FILENO || (i > 0 && fds[i] == fds[i - 1]))
                return -EINVAL;
        if (sys_result(fcntl(fds[i], F_GETFD)) < 0)
                return -EBADF;
        return is_ring(fds[i]) ? -EINVAL : 0;
}

static int compare_ints(const void *a, const void *b)
{
        const int *left = a, *right = b;

        return (*left > *right) - (*left < *right);
}

static struct config_span add_fds(struct pack *pack, const struct ouro_process_options *options)
{
        struct config_span span = add_span(pack, options->fds, options->fds_len * sizeof *options->fds);
        int *fds = (int *)(void *)(pack->base + span.at);

        if (pack->error < 0 || options->fds_len == 0)
                return span;
        qsort(fds, options->fds_len, sizeof *fds, compare_ints);
        for (size_t i = 0; i < options->fds_len; i++) {
                int error = check_fd(fds, i);

                if (error < 0)
                        fail(pack, error);
        }
        return span;
}

/* ---- all of it ---- */

static uint32_t with_implied(unsigned confine)
{
        return confine ? confine | OURO_CONFINE_NO_NEW_PRIVILEGES : 0;
}

static int check_numbers(const struct ouro_process_options *options)
{
        const unsigned all = OURO_CONFINE_NO_NEW_PRIVILEGES | OURO_CONFINE_COMPUTE_ONLY | OURO_CONFINE_FILES;

        if ((options->confine & ~all) || (unsigned)options->output > OURO_OUTPUT_DISCARD ||
            options->output_bytes > CONFIG_OUTPUT_MOST || options->nice < -NICE_MOST ||
            options->nice > NICE_MOST || (options->name && strlen(options->name) > 15) ||
            options->limits_len > RLIM_NLIMITS || options->fds_len > INT_MAX / sizeof(int))
                return -EINVAL;
        if ((options->confine & OURO_CONFINE_FILES) && landlock_version() < 0)
                return -ENOTSUP;
        return 0;
}

static int nice_of_workers(int added)
{
        int nice;

        errno = 0;
        nice = getpriority(PRIO_PROCESS, 0) + added; /* it fails for nobody who asks for his own */
        return nice < -20 ? -20 : nice > 19 ? 19 : nice;
}

static void add_numbers(struct pack *pack, const struct ouro_process_options *options, uint64_t arena_at)
{
        struct config config = {
                .magic = MAGIC,
                .spin_ns = options->spin_ns ? options->spin_ns : CONFIG_SPIN_NS,
                .arena_at = arena_at,
                .arena_bytes = options->arena_bytes ? options->arena_bytes : CONFIG_ARENA_BYTES,
                .arena_per_worker = options->arena_per_worker,
                .timings = options->timings,
                .measure_resident = options->recycle_bytes != 0,
                .confine = with_implied(options->confine),
                .output = options->output,
                .nice = nice_of_workers(options->nice),
                .own_environment = options->environment != NULL,
        };

        snprintf(config.name, sizeof config.name, "%s", options->name ? options->name : "ouro");
        append(pack, &config, sizeof config);
}

/* Spans are added to memory that moves: first all, then they are told. */
static void add_spans(struct pack *pack, const struct ouro_process_options *options)
{
        struct config_span in = add_span(pack, options->in.base, options->in.len);
        struct config_span limits = add_limits(pack, options);
        struct config_span cpus = add_cpus(pack, options);
        struct config_span directory = add_directory(pack, options->directory);
        struct config_span environment = add_environment(pack, options->environment);
        struct config_span fds = add_fds(pack, options);
        struct config_span read_paths = add_paths(pack, options, options->read_paths);
        struct config_span write_paths = add_paths(pack, options, options->write_paths);
        struct config *config = config_of(pack);

        config->in = in;
        config->limits = limits;
        config->cpus = cpus;
        config->directory = directory;
        config->environment = environment;
        config->fds = fds;
        config->read_paths = read_paths;
        config->write_paths = write_paths;
        config->bytes = pack->bytes;
}

static int write_all(int fd, const char *data, size_t bytes)
{
        while (bytes > 0) {
                ssize_t n = sys_result(write(fd, data, bytes));

                if (n == -EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? (int)n : -EIO;
                data += n;
                bytes -= (size_t)n;
        }
        return 0;
}

static int seal_into_memfd(const struct pack *pack, int *ret_fd)
{
        int fd = sys_result(memfd_create("ouro-config", MFD_CLOEXEC | MFD_ALLOW_SEALING)), error;

        if (fd < 0)
                return fd;
        error = write_all(fd, pack->base, pack->bytes);
        if (error == 0)
                error = sys_result(fcntl(fd, F_ADD_SEALS, SEALS));
        if (error < 0)
                close(fd);
        else
                *ret_fd = fd;
        return error;
}

int config_pack(const struct ouro_process_options *options, uint64_t arena_at, int *ret_fd)
{
        struct pack pack = {0};
        int saved_errno = errno, error = check_numbers(options);

        if (error < 0)
                return error;
        add_numbers(&pack, options, arena_at);
        if (pack.error == 0) {
                add_functions(&pack, options);
                add_spans(&pack, options);
        }
        error = pack.error < 0 ? pack.error : seal_into_memfd(&pack, ret_fd);
        mem_free(pack.base, pack.bytes);
        errno = saved_errno;
        return error;
}

/* ---- reading ---- */

static bool is_within(const struct config *config, struct config_span span, size_t item_bytes)
{
        return span.at % SPAN_ALIGN == 0 && span.at <= config->bytes &&
               span.bytes <= config->bytes - span.at && span.bytes % item_bytes == 0;
}

static bool are_strings(const struct config *config, struct config_span span)
{
        return is_within(config, span, 1) &&
               (span.bytes == 0 || ((const char *)config)[span.at + span.bytes - 1] == '\0');
}

static bool are_fds(const struct config *config, struct config_span span)
{
        const int *fds = config_at(config, span);
        int last = STDERR_FILENO;

        if (!is_within(config, span, sizeof *fds))
                return false;
        for (size_t i = 0; i < span.bytes / sizeof *fds; last = fds[i++])
                if (fds[i] <= last)
                        return false;
        return true;
}

static bool is_sound(const struct config *config, uint64_t bytes)
{
        return config->magic == MAGIC && config->bytes == bytes && memchr(config->name, 0, 16) &&
               is_within(config, config->in, 1) &&
               is_within(config, config->limits, sizeof(struct ouro_limit)) &&
               is_within(config, config->cpus, 1) && are_strings(config, config->directory) &&
               are_strings(config, config->environment) && are_fds(config, config->fds) &&
               are_strings(config, config->read_paths) && are_strings(config, config->write_paths);
}

const struct config *config_map(int fd)
{
        int seals = sys_result(fcntl(fd, F_GET_SEALS));
        struct stat stat;
        const struct config *config;

        if (seals < 0 || (seals & SEALS) != SEALS || sys_result(fstat(fd, &stat)) < 0 ||
            (uint64_t)stat.st_size < sizeof *config)
                return NULL;
        config = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (config == MAP_FAILED)
                return NULL;
        if (is_sound(config, (uint64_t)stat.st_size))
                return config;
        munmap((void *)(uintptr_t)config, (size_t)stat.st_size);
        return NULL;
}

const char *config_next(const struct config *config, struct config_span span, const char *string)
{
        const char *begin = config_at(config, span);

        string = string ? string + strlen(string) + 1 : begin;
        return string < begin + span.bytes ? string : NULL;
}
