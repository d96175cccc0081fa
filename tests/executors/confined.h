/* confined.h - a function run as a worker would run it: in a child of a child, confined as the options say.
 *
 * The function returns 0, or the line of what did not hold: MUST() does that. */
#ifndef OURO_TESTS_EXECUTORS_CONFINED_H
#define OURO_TESTS_EXECUTORS_CONFINED_H

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "executors/confine.h"
#include "support/in_loop.h"

enum { CONFINED_NOBODY = 65534 };

#define MUST(condition)                                                                                      \
        do {                                                                                                 \
                if (!(condition))                                                                            \
                        return __LINE__;                                                                     \
        } while (0)

/* A call that must fail so. */
#define REFUSED(error, call) MUST((call) == -1 && errno == (error))

typedef int confined_fn(void);

/* What became of it. */
struct confined {
        int zygote; /* what confine_zygote() said */
        int worker; /* confine_worker(), if that was 0 */
        int line;   /* what the function returned, if that was 0; -1: it did not return */
        int status; /* of the worker, as waitpid() tells it */
};

struct confined_how {
        int output_fd;           /* or 0: none */
        int doorbell;            /* likewise */
        bool as_nobody;          /* rights are given up in the zygote, before anything else */
        void (*meanwhile)(void); /* in the host, when all is packed */
};

static inline void confined_be_worker(const struct config *config, const struct confined_how *how,
                                      struct confined *result, confined_fn *fn)
{
        result->worker = confine_worker(config, how->doorbell ? how->doorbell : -1,
                                        how->output_fd ? how->output_fd : -1);
        if (result->worker == 0)
                result->line = fn();
        fflush(stdout);
        _exit(0);
}

static inline void confined_be_zygote(int fd, const struct confined_how *how, struct confined *result,
                                      confined_fn *fn)
{
        const struct config *config = config_map(fd);

        if (how->as_nobody && (setresgid(CONFINED_NOBODY, CONFINED_NOBODY, CONFINED_NOBODY) < 0 ||
                               setresuid(CONFINED_NOBODY, CONFINED_NOBODY, CONFINED_NOBODY) < 0))
                _exit(1);
        prctl(PR_SET_DUMPABLE, 1);
        result->zygote = config ? confine_zygote(config) : -EPROTO;
        if (result->zygote == 0) {
                pid_t worker = fork();

                if (worker == 0)
                        confined_be_worker(config, how, result, fn);
                if (waitpid(worker, &result->status, 0) != worker)
                        _exit(2);
        }
        _exit(0);
}

static inline struct confined confined_run(const struct ouro_process_options *options,
                                           const struct confined_how *how, confined_fn *fn)
{
        static const struct confined_how plain;
        struct confined *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                       MAP_SHARED | MAP_ANONYMOUS, -1, 0),
                        result;
        int fd, status;
        pid_t zygote;

        cr_assert(shared != MAP_FAILED);
        shared->line = -1;
        how = how ? how : &plain;
        EQ(config_pack(options, 0x10000, &fd), 0);
        if (how->meanwhile)
                how->meanwhile();
        zygote = fork();
        if (zygote == 0)
                confined_be_zygote(fd, how, shared, fn);
        EQ(waitpid(zygote, &status, 0), zygote);
        EQ(status, 0);
        result = *shared;
        EQ(munmap(shared, sizeof *shared), 0);
        EQ(close(fd), 0);
        return result;
}

/* It was confined, ran, and everything held. */
static inline void confined_holds(const struct ouro_process_options *options, const struct confined_how *how,
                                  confined_fn *fn)
{
        struct confined result = confined_run(options, how, fn);

        EQ(result.zygote, 0);
        EQ(result.worker, 0);
        EQ(result.status, 0);
        cr_assert_eq(result.line, 0, "line %d does not hold in the worker", result.line);
}

#endif
