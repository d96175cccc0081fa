/* all_killed.c - host, zygote and workers are killed in any order: nothing of them is left in the process
 * table, in /dev/shm or in /tmp. */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(all_killed, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

enum { WORKERS = 3, PROCESSES = 2 + WORKERS };

/* Host, zygote, workers: by descriptors, because numbers may be another's soon. */
struct everybody {
        pid_t pids[PROCESSES];
        int fds[PROCESSES];
};

static intptr_t tells_pids(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pid_t *pids = out.base;

        (void)job, (void)in;
        pids[0] = getppid();
        pids[1] = getpid();
        return 0;
}

/* The host: everything that a pool may have, and jobs that never end. */
static intptr_t has_a_pool(void *arg)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        struct ouro_job_options at = OURO_JOB_OPTIONS_INIT;
        struct everybody all = {.pids = {getpid()}};
        ouro_executor *pool;
        void *span;
        pid_t told[2];

        options.workers = WORKERS;
        options.standby = 1;
        options.output = OURO_OUTPUT_CAPTURE;
        EQ(ouro_process_pool_open(&options, &pool), 0);
        EQ(ouro_arena_alloc(pool, 1 << 20, &span), 0);
        memset(span, 1, 1 << 20);
        for (unsigned w = 0; w < WORKERS; w++) {
                at.worker = w + 1;
                EQ(ouro_call(pool, tells_pids, OURO_NO_IN, OURO_OUT(told), &at), 0);
                all.pids[1] = told[0];
                all.pids[2 + w] = told[1];
        }
        EQ(write(*(int *)arg, all.pids, sizeof all.pids), sizeof all.pids);
        return ouro_sleep(OURO_SEC(1000));
}

static struct everybody start(void)
{
        struct everybody all;
        int ends[2];
        pid_t host;

        EQ(pipe(ends), 0);
        host = fork();
        if (host == 0)
                _exit((int)ouro_run(has_a_pool, &ends[1]));
        EQ(read(ends[0], all.pids, sizeof all.pids), sizeof all.pids);
        EQ(all.pids[0], host);
        close_both(ends);
        for (int i = 0; i < PROCESSES; i++) {
                all.fds[i] = (int)syscall(SYS_pidfd_open, all.pids[i], 0);
                cr_assert(all.fds[i] >= 0);
        }
        return all;
}

static void kill_and_see(struct everybody all, const int order[PROCESSES])
{
        for (int i = 0; i < PROCESSES; i++) /* some may have ended with those before */
                (void)!syscall(SYS_pidfd_send_signal, all.fds[order[i]], SIGKILL, NULL, 0);
        EQ(waitpid(all.pids[0], NULL, 0), all.pids[0]);
        for (int i = 0; i < PROCESSES; i++) {
                struct pollfd end = {.fd = all.fds[i], .events = POLLIN};

                cr_assert(poll(&end, 1, 10000) == 1, "process %d of %d lives", i, PROCESSES);
                close(all.fds[i]);
        }
}

/* Entries of a directory whose names begin so, but not with the name of a test's or a tool's own, nor with
 * that of what Criterion has for each test, also those that run at the same time. */
static int entries(const char *path, const char *prefix)
{
        DIR *dir = opendir(path);
        struct dirent *entry;
        int n = 0;

        cr_assert_not_null(dir);
        while ((entry = readdir(dir)))
                n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
                     strncmp(entry->d_name, "ouro-", 5) != 0 && strncmp(entry->d_name, "bxfi_", 5) != 0;
        closedir(dir);
        return n;
}

Test(all_killed, f84_nothing_is_left)
{
        static const int orders[][PROCESSES] = {
                {0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {1, 0, 2, 3, 4}, {2, 0, 1, 4, 3}};
        int shm = entries("/dev/shm", ""), tmp = entries("/tmp", "ouro");

        for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
                kill_and_see(start(), orders[i]);
        EQ(entries("/dev/shm", ""), shm);
        EQ(entries("/tmp", "ouro"), tmp);
}
