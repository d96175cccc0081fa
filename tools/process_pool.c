/* process_pool.c - the process pool of a stress run: how it is opened, and what is asked of it at its end.
 *
 * Order of the end: the pool's own counts are read, the pool is closed, then everybody who still holds the
 * worker's end of the census socket is waited for, and only then the ledger is read to its end: nobody is
 * left who could write to it. */
#include "process_pool.h"

#include "allocator.h"
#include "base/cpus.h"
#include "stress.h"
#include "tool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
        QUEUE = 16, /* so few places that submitting has to wait now and then */
        READ_MOST = 4096,
        CHAOS_CRASHES = 1 << 30, /* workers die all the time, and yet the pool is not broken */
        CHAOS_RECYCLE_JOBS = 100,
};

#define READ_PAUSE_NS OURO_MS(50)
#define STRAYS_NS OURO_SEC(10)
#define CHAOS_GRACE_NS OURO_MS(20)
#define CHAOS_BACKOFF_NS OURO_US(250)          /* doubled ten times at the most, it is far below a second */
#define CHAOS_DATA_BYTES ((uint64_t)256 << 20) /* writable memory of a worker */

/* The numbers of random streams that belong to no slot, see stress_work.c. */
static const uint64_t killer_stream = UINT64_MAX - 3;

/* Where files are: what workers leave in their working directory, as cores, is found there. */
static int own_directory(int directory_fd, char path[PATH_MAX])
{
        char link[64];
        ssize_t len;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", directory_fd);
        len = readlink(link, path, PATH_MAX - 1);
        if (len < 0)
                return -errno;
        path[len] = '\0';
        return 0;
}

static void be_chaotic(struct processes *processes, struct ouro_process_options *options)
{
        options->grace_ns = CHAOS_GRACE_NS;
        options->crashes = CHAOS_CRASHES;
        options->backoff_ns = CHAOS_BACKOFF_NS;
        options->recycle_jobs = CHAOS_RECYCLE_JOBS;
        options->standby = processes->stress->options->seed % 2;
        if (!processes->bounded)
                options->limits_len--;
}

static int open_pool(struct processes *processes)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        const int fds[] = {processes->ledger.fd, processes->census.worker_fd};
        const struct ouro_limit limits[] = {
                {.resource = RLIMIT_CORE},
                {.resource = RLIMIT_DATA, .soft = CHAOS_DATA_BYTES, .hard = CHAOS_DATA_BYTES},
        };
        struct process_birth birth = {
                .ledger_fd = fds[0],
                .census_fd = processes->chaos ? fds[1] : -1,
                .host = getpid(),
        };
        char directory[PATH_MAX];
        int r = own_directory(processes->stress->directory_fd, directory);

        if (r < 0)
                return r;
        options.workers = processes->workers;
        options.queue = QUEUE;
        options.name = "ouro-stress";
        options.initializer = process_born;
        options.in = ouro_in(&birth, sizeof(birth));
        options.limits = limits;
        options.limits_len = processes->chaos ? 2 : 1;
        options.directory = directory;
        options.fds = fds;
        options.fds_len = 2;
        if (processes->chaos)
                be_chaotic(processes, &options);
        return ouro_process_pool_open(&options, &processes->pool);
}

static unsigned wanted_workers(const struct stress_options *options)
{
        if (options->processes > 0)
                return options->processes;
        return options->threads > 0 ? options->threads : cpus_usable();
}

int processes_open(struct processes *processes, struct stress *stress)
{
        int r;

        *processes = (struct processes){
                .stress = stress,
                .workers = wanted_workers(stress->options),
                .chaos = stress->options->chaos,
                .bounded = allocator_bounded(),
                .random = random_stream(stress->options->seed, killer_stream),
        };
        stress->totals->process.workers = processes->workers;
        r = ledger_open(&processes->ledger, &stress->totals->process);
        if (r < 0)
                return r;
        r = census_open(&processes->census, processes->workers);
        if (r < 0) {
                ledger_close(&processes->ledger);
                return r;
        }
        r = open_pool(processes);
        if (r < 0) {
                fprintf(stderr, "ouro stress: no process pool (--processes 0 does without): %s\n",
                        strerror(-r));
                census_close(&processes->census);
                ledger_close(&processes->ledger);
        }
        return r;
}

static void count_stats(const struct processes *processes)
{
        struct process_totals *totals = &processes->stress->totals->process;
        struct ouro_stats stats = {.size = sizeof(stats)};

        if (ouro_executor_stats(processes->pool, &stats) < 0)
                return;
        totals->restarts = stats.restarts;
        totals->recycled = stats.recycled;
        totals->retried = stats.retried;
}

static void count_kills(const struct processes *processes)
{
        struct chaos_totals *chaos = &processes->stress->totals->chaos;

        for (unsigned kill = CHAOS_NONE + 1; kill < CHAOS_IN_JOBS; kill++)
                chaos->kills[kill] = processes->ledger.intents[kill];
}

int processes_close(struct processes *processes, bool *ret_strays)
{
        int r, read;

        count_stats(processes);
        r = ouro_executor_close(processes->pool);
        *ret_strays = census_wait_for_end(&processes->census, STRAYS_NS) < 0;
        do
                read = ledger_read(&processes->ledger, READ_MOST);
        while (read > 0);
        ledger_sweep(&processes->ledger);
        count_kills(processes);
        census_close(&processes->census);
        ledger_close(&processes->ledger);
        return r < 0 ? r : read;
}

intptr_t processes_keep_books(void *arg)
{
        struct processes *processes = arg;
        int r = 0;

        while (r >= 0 && ouro_sleep(READ_PAUSE_NS) == 0)
                r = ledger_read(&processes->ledger, READ_MOST);
        return r < 0 ? r : 0;
}
