/* What the jobs of worker processes start and leave behind. */
#include "support/worker_cases.h"

TestSuite(worker_leaves, .init = leaks_begin, .fini = leaks_end, .timeout = 30);

/* ---- what is left behind ---- */

/* Forks so many, each by the one before, the last two in sessions of their own; tells of the last. */
static intptr_t leave_processes(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int depth = *(const int *)in.base, tell[2];
        pid_t last = -1;

        (void)job;
        if (pipe(tell) < 0)
                return -errno;
        for (int i = 0; i < depth; i++) {
                if (fork() != 0) {
                        if (i > 0 &&
                            i % 2) /* every second one stays, the others end: their children are orphans */
                                for (;;)
                                        pause();
                        if (i > 0)
                                _exit(0);
                        break;
                }
                setsid();
                if (i == depth - 1) {
                        last = getpid();
                        if (write(tell[1], &last, sizeof last) != sizeof last)
                                _exit(1);
                        for (;;)
                                pause();
                }
        }
        close(tell[1]);
        if (read(tell[0], out.base, sizeof last) != sizeof last)
                return -EIO;
        close(tell[0]);
        return 0;
}

/* The worker leaves some, and ends as end() says: all are gone when that is told. */
static void check_ended_with_worker(void (*end)(void))
{
        int depth = 5, pidfd;
        pid_t last;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_spawn(&host, 1);
        cr_assert(host_call(&host, 0, leave_processes, &depth, sizeof depth, &last, sizeof last) == 0);
        pidfd = open_pidfd(last);
        cr_assert(!has_ended(pidfd));
        end();
        host_await_death(&host, 0);
        cr_assert(has_ended(pidfd));
        close(pidfd);
        cr_assert(host_call(&host, 1, nothing, NULL, 0, NULL, 0) == 0, "the others live");
        host_end(&host);
}

static void by_stop(void)
{
        host_stop(&host, 0);
}

TEST_BOTH(worker_leaves, f96_what_a_killed_worker_has_started_ends_with_it)
{
        check_ended_with_worker(by_kill);
}

TEST_BOTH(worker_leaves, f96_what_a_worker_has_started_ends_with_it)
{
        check_ended_with_worker(by_stop);
}

TEST_BOTH(worker_leaves, f96_what_workers_have_started_ends_with_the_pool)
{
        int depth = 4, pidfd;
        pid_t last;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, leave_processes, &depth, sizeof depth, &last, sizeof last) == 0);
        pidfd = open_pidfd(last);
        host_end(&host);
        await_end_of(pidfd);
        close(pidfd);
}

static intptr_t fork_and_return(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pid_t pid = fork();
        int status;

        (void)job, (void)in, (void)out;
        if (pid <= 0)
                return pid; /* in the child: as if it were the worker */
        if (waitpid(pid, &status, 0) != pid)
                return -errno;
        return WIFEXITED(status) ? 100 + WEXITSTATUS(status) : -WTERMSIG(status);
}

Test(worker_leaves, f96_a_forked_child_that_returns_from_the_job_is_no_worker)
{
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        for (int i = 0; i < 3; i++)
                cr_assert(host_call(&host, 0, fork_and_return, NULL, 0, NULL, 0) == 100);
        cr_assert(host.workers[0].next == 3);
        cr_assert(host_is(&host, 0, 3, LANE_FREE));
        host_end(&host);
}

static intptr_t fork_and_crash(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pid_t pid = fork();
        int status;

        (void)job, (void)in, (void)out;
        if (pid == 0)
                abort();
        waitpid(pid, &status, 0);
        return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

Test(worker_leaves, f96_a_forked_child_that_crashes_is_not_taken_for_the_worker)
{
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, fork_and_crash, NULL, 0, NULL, 0) == SIGABRT);
        cr_assert(atomic_load(&host.workers[0].lane.head->crashed) == 0);
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0);
        host_end(&host);
}

/* Its memory is the worker's until it executes something. */
static intptr_t vfork_and_crash(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int status = 0;
        pid_t pid = vfork();

        (void)job, (void)in, (void)out;
        if (pid == 0) {
                kill(getpid(), SIGFPE);
                _exit(0);
        }
        waitpid(pid, &status, 0);
        return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

Test(worker_leaves, f96_a_child_that_shares_the_memory_and_crashes_is_not_taken_for_the_worker)
{
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, vfork_and_crash, NULL, 0, NULL, 0) == SIGFPE);
        cr_assert(atomic_load(&host.workers[0].lane.head->crashed) == 0);
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0);
        host_end(&host);
}

/* Children write where the job's output goes, and into what they believe to be the lane. */
static intptr_t child_scribbles(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pid_t pid = fork();
        int status;

        (void)job, (void)in;
        if (pid == 0) {
                signal(SIGSEGV, SIG_DFL);
                memset(out.base, 0x55, out.len);
                _exit(0);
        }
        memset(out.base, 0x11, out.len);
        waitpid(pid, &status, 0);
        return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

Test(worker_leaves, f96_a_forked_child_cannot_write_into_the_lane)
{
        unsigned char out[16];

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, child_scribbles, NULL, 0, out, sizeof out) == SIGSEGV);
        cr_assert(out[0] == 0x11 && out[15] == 0x11);
        host_end(&host);
}

static void *spin_for_ever(void *unused)
{
        for (;;)
                sched_yield();
        return unused;
}

static intptr_t leave_a_thread(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pthread_t thread;

        (void)job, (void)in, (void)out;
        return -pthread_create(&thread, NULL, spin_for_ever, NULL);
}

Test(worker_leaves, f96_a_thread_that_is_left_behind_ends_with_its_worker)
{
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, leave_a_thread, NULL, 0, NULL, 0) == 0);
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0);
        host_stop(&host, 0);
        cr_assert(host_await_death(&host, 0).status == 0);
        cr_assert(has_ended(host.workers[0].pidfd));
        host_end(&host);
}
