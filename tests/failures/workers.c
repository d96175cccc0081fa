/* Worker processes that die, and whose host or zygote does. */
#include "support/worker_cases.h"

TestSuite(workers, .init = leaks_begin, .fini = leaks_end, .timeout = 30);

/* ---- the host ends ---- */

/* Nothing is rung for that. */
static void await_claimed(void)
{
        while (!host_is(&host, 0, 0, LANE_CLAIMED))
                sched_yield();
}

/* A host of its own, with a worker that is busy and one that sleeps; tells of them and hangs. */
static _Noreturn void be_host(int tell)
{
        pid_t pids[3] = {0};

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_spawn(&host, 1);
        host_put(&host, 0, hang, NULL, 0, 0);
        await_claimed();
        host_call(&host, 1, pid_of_zygote, NULL, 0, &pids[0], sizeof pids[0]);
        pids[1] = host.workers[0].pid;
        pids[2] = host.workers[1].pid;
        if (write(tell, pids, sizeof pids) != sizeof pids)
                _exit(1);
        for (;;)
                pause();
}

static void check_gone_with_host(int signal)
{
        int tell[2], pidfds[3];
        pid_t pids[3], pid;

        cr_assert(pipe2(tell, O_CLOEXEC) == 0);
        pid = fork();
        if (pid == 0)
                be_host(tell[1]);
        cr_assert(read(tell[0], pids, sizeof pids) == sizeof pids);
        for (int i = 0; i < 3; i++)
                pidfds[i] = open_pidfd(pids[i]);
        kill(pid, signal);
        cr_assert(waitpid(pid, NULL, 0) == pid);
        for (int i = 0; i < 3; i++) {
                await_end_of(pidfds[i]);
                close(pidfds[i]);
        }
        close(tell[0]);
        close(tell[1]);
}

TEST_BOTH(workers, f79_the_host_is_killed_and_its_workers_go)
{
        check_gone_with_host(SIGKILL);
}

Test(workers, f79_the_host_is_terminated_and_its_workers_go)
{
        check_gone_with_host(SIGTERM);
}

TEST_BOTH(workers, f79_the_zygote_is_killed_and_its_workers_go)
{
        pid_t zygote = -1;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_spawn(&host, 1);
        host_put(&host, 0, hang, NULL, 0, 0);
        await_claimed();
        cr_assert(host_call(&host, 1, pid_of_zygote, NULL, 0, &zygote, sizeof zygote) == 0);
        kill(zygote, SIGKILL);
        await_end_of(host.workers[0].pidfd);
        await_end_of(host.workers[1].pidfd);
        if (host.zygote > 0)
                cr_assert(waitpid(host.zygote, NULL, 0) == zygote);
        host.zygote = -1;
        host_end(&host);
}

static void *begin_in_thread(void *unused)
{
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        return unused;
}

TEST_BOTH(workers, f80_the_thread_that_made_them_ends_and_they_live_on)
{
        pthread_t thread;

        cr_assert(pthread_create(&thread, NULL, begin_in_thread, NULL) == 0);
        pthread_join(thread, NULL);
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0);
        host_spawn(&host, 1);
        cr_assert(host_call(&host, 1, nothing, NULL, 0, NULL, 0) == 0);
        cr_assert(!has_ended(host.workers[0].pidfd));
        host_end(&host);
}

/* ---- deaths ---- */

static intptr_t burn_and_die(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        volatile unsigned long n = 0;

        (void)job, (void)in, (void)out;
        while (n < 200000000)
                n++;
        raise(SIGKILL);
        return 0;
}

Test(workers, f71_a_death_is_told_once_with_what_the_worker_has_used)
{
        struct zygote_message death;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_put(&host, 0, burn_and_die, NULL, 0, 0);
        death = host_await_death(&host, 0);
        cr_assert(WIFSIGNALED(death.status) && WTERMSIG(death.status) == SIGKILL);
        cr_assert(death.cpu_ns > 0 && death.resident_bytes > 0);
        cr_assert(host_is(&host, 0, 0, LANE_CLAIMED), "it was at it");
        host_spawn(&host, 0);
        cr_assert(host_call(&host, 0, nothing, NULL, 0, NULL, 0) == 0, "there is a new one");
        host_stop(&host, 0);
        cr_assert(host_await_death(&host, 0).status == 0, "nothing else was told in between");
        host_end(&host);
}

static intptr_t exit_quickly(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        _exit(42);
}

Test(workers, f71_a_job_that_exits_ends_its_worker)
{
        struct zygote_message death;

        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_put(&host, 0, exit_quickly, NULL, 0, 0);
        death = host_await_death(&host, 0);
        cr_assert(WIFEXITED(death.status) && WEXITSTATUS(death.status) == 42);
        cr_assert(atomic_load(&host.workers[0].lane.head->crashed) == 0);
        host_end(&host);
}

Test(workers, f71_one_that_is_killed_as_it_sleeps_is_told_of)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.spin_ns = -1;
        host_begin(&host, &options);
        host_spawn(&host, 0);
        while (!atomic_load(&host.workers[0].lane.head->asleep))
                sched_yield();
        by_kill();
        cr_assert(WTERMSIG(host_await_death(&host, 0).status) == SIGKILL);
        host_end(&host);
}
