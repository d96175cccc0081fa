/* choose.c - which backend a loop gets: options first, then the environment, then what works here.
 *
 * A backend that does not work here gives way to the next; a shortage (no memory, no descriptors) is told as
 * it is, because the next one would suffer from it too, and silently. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "task/choose.h"

enum { ENTRIES_DEFAULT = 256 };

static const struct {
        enum ouro_backend number;
        const struct backend *backend;
} backends[] = {
        {OURO_BACKEND_URING, &backend_uring}, /* best first */
        {OURO_BACKEND_EPOLL, &backend_epoll},
};

struct choice {
        enum ouro_backend forced;
        unsigned forbidden;
};

static int number_of(const char *name, enum ouro_backend *ret_number)
{
        for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
                if (strcmp(backends[i].backend->name, name) == 0) {
                        *ret_number = backends[i].number;
                        return 0;
                }
        return -EINVAL;
}

/* $OURO_BACKEND: "uring", "epoll", "no-uring", "no-epoll", "auto". */
static int read_backend(const char *text, struct choice *choice)
{
        enum ouro_backend number;

        if (strcmp(text, "auto") == 0 || !*text)
                return 0;
        if (strncmp(text, "no-", 3) == 0) {
                if (number_of(text + 3, &number) < 0)
                        return -EINVAL;
                choice->forbidden |= 1u << number;
                return 0;
        }
        return number_of(text, &choice->forced);
}

/* $OURO_KERNEL: "5.15". */
static int read_kernel(const char *text, unsigned *ret_kernel)
{
        unsigned major, minor;
        char rest;

        if (!*text)
                return 0;
        if (text[strspn(text, "0123456789.")]) /* sscanf() takes signs and spaces too */
                return -EINVAL;
        if (sscanf(text, "%4u.%4u%c", &major, &minor, &rest) != 2 || major == 0)
                return -EINVAL;
        *ret_kernel = OURO_KERNEL(major, minor);
        return 0;
}

static int read_environment(const struct ouro_options *options, struct choice *choice, unsigned *inout_kernel)
{
        const char *backend = getenv("OURO_BACKEND"), *kernel = getenv("OURO_KERNEL");

        if (backend && options->backend == OURO_BACKEND_AUTO && options->forbidden == 0 &&
            read_backend(backend, choice) < 0) {
                log_line(OURO_LOG_ERROR, "OURO_BACKEND=%s: not auto, uring, epoll, no-uring or no-epoll",
                         backend);
                return -EINVAL;
        }
        if (kernel && *inout_kernel == 0 && read_kernel(kernel, inout_kernel) < 0) {
                log_line(OURO_LOG_ERROR, "OURO_KERNEL=%s: not a version like 5.15", kernel);
                return -EINVAL;
        }
        return 0;
}

static bool allowed(const struct choice *choice, enum ouro_backend number)
{
        if (choice->forced != OURO_BACKEND_AUTO && choice->forced != number)
                return false;
        return !(choice->forbidden & 1u << number);
}

int choose_backend(struct ouro_loop *loop, const struct ouro_options *options)
{
        struct ring_config config = {
                .entries = options->entries ? options->entries : ENTRIES_DEFAULT,
                .kernel = options->kernel,
                .kernel_workers = options->kernel_workers,
                .polled = loop->polled,
                .without = options->without,
                .recv_buffers = options->recv_buffers,
                .recv_buffer_bytes = options->recv_buffer_bytes,
        };
        struct choice choice = {options->backend, options->forbidden};
        const char *denied = NULL;
        int error = read_environment(options, &choice, &config.kernel);

        if (error < 0)
                return error;
        for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
                if (!allowed(&choice, backends[i].number))
                        continue;
                error = ring_open(&loop->ring, &loop->sched, backends[i].backend, &config);
                if (error == 0 && denied)
                        log_line(OURO_LOG_WARNING, "%s does not work here: using %s", denied,
                                 backends[i].backend->name);
                if (error != -ENOSYS)
                        return error;
                denied = backends[i].backend->name;
        }
        return -ENOSYS;
}
