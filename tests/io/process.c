/* Of lib/io/process.c: a process is awaited, signalled, stopped and closed, and nothing of it stays. */
#include "support/spawned.h"

TestSuite(process, .init = leaks_begin, .fini = leaks_end);

/* ---- its end ---- */

IN_LOOP(process, success_is_0_and_nothing_else_is)
{
        EQ(finish(begin(OURO_ARGV("true"), NULL)), 0);
        EQ(finish(begin(OURO_ARGV("false"), NULL)), 1);
        EQ(finish(begin(SH("exit 255"), NULL)), 255);
        EQ(finish(begin(SH("kill -TERM $$"), NULL)), OURO_EXIT_SIGNAL + SIGTERM);
        return 0;
}

IN_LOOP(process, an_exit_code_and_a_signal_are_told_apart)
{
        ouro_process *exits = begin(SH("exit 9"), NULL), *killed = begin(SH("kill -9 $$"), NULL);
        struct ouro_exit exit = OURO_EXIT_INIT;

        EQ(ouro_process_wait(exits, &exit), 9);
        EQ(exit.code, 9);
        EQ(exit.signal, 0);
        EQ(ouro_process_wait(killed, &exit), OURO_EXIT_SIGNAL + 9);
        EQ(exit.code, -1);
        EQ(exit.signal, SIGKILL);
        EQ(exit.core_dumped, false);
        EQ(ouro_process_close(exits), 0);
        EQ(ouro_process_close(killed), 0);
        return 0;
}

IN_LOOP(process, what_it_has_used_is_told)
{
        ouro_process *process = begin(SH("i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done"), NULL);
        struct ouro_exit exit = OURO_EXIT_INIT;

        EQ(ouro_process_wait(process, &exit), 0);
        cr_assert(exit.user_ns + exit.system_ns > 0);
        cr_assert(exit.resident_bytes > 100000);
        cr_assert(exit.minor_faults > 0);
        EQ(exit.usage_unknown, false);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(process, it_is_reaped_at_its_end_though_nobody_waits)
{
        ouro_process *process = begin(OURO_ARGV("true"), NULL);

        while (ouro_process_try_wait(process, NULL) == -EAGAIN)
                EQ(ouro_sleep(OURO_MS(1)), 0);
        no_child_is_left();
        EQ(ouro_process_wait(process, NULL), 0);
        EQ(ouro_process_close(process), 0);
        return 0;
}

static intptr_t waits(void *process)
{
        return ouro_process_wait(process, NULL);
}

IN_LOOP(process, any_number_of_tasks_wait_and_all_are_told)
{
        struct ouro_spawn_options options = usual();
        ouro_process *process;
        ouro_task tasks[5];

        options.in.kind = OURO_STDIO_PIPE;
        process = begin(SH("read line; exit 3"), &options);
        for (int i = 0; i < 5; i++)
                tasks[i] = ouro_create_task(waits, process);
        EQ(ouro_yield(), 0);
        EQ(ouro_process_try_wait(process, NULL), -EAGAIN);
        EQ(ouro_process_close_fd(process, 0), 0);
        for (int i = 0; i < 5; i++)
                EQ(ouro_await(tasks[i]), 3);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(process, a_wait_that_is_cut_short_leaves_the_process_alone)
{
        ouro_process *process = begin(OURO_ARGV("sleep", "1000"), NULL);
        ouro_task task;

        OURO_TIMEOUT(OURO_MS(5)) {
                EQ(ouro_process_wait(process, NULL), -ETIME);
        }
        task = ouro_create_task(waits, process);
        EQ(ouro_yield(), 0);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        EQ(ouro_process_signal(process, 0), 0);
        EQ(ouro_process_signal(process, SIGTERM), 0);
        EQ(finish(process), OURO_EXIT_SIGNAL + SIGTERM);
        return 0;
}

IN_LOOP(process, others_run_while_one_waits)
{
        ouro_process *process = begin(OURO_ARGV("sleep", "1000"), NULL);
        ouro_task task = ouro_create_task(waits, process);

        for (int i = 0; i < 10; i++)
                EQ(ouro_sleep(OURO_US(100)), 0);
        EQ(ouro_process_signal(process, SIGINT), 0);
        EQ(ouro_await(task), OURO_EXIT_SIGNAL + SIGINT);
        EQ(ouro_process_close(process), 0);
        return 0;
}

/* ---- signals ---- */

IN_LOOP(process, f87_a_signal_never_goes_to_another_that_got_the_number)
{
        ouro_process *process = begin(OURO_ARGV("true"), NULL);
        pid_t pid = ouro_process_pid(process), other = 0;
        FILE *file;

        EQ(ouro_process_wait(process, NULL), 0);
        no_child_is_left();
        file = fopen("/proc/sys/kernel/ns_last_pid", "we");
        if (file) { /* then somebody else gets the number for certain */
                fprintf(file, "%d", pid - 1);
                fclose(file);
        }
        other = fork();
        if (other == 0) {
                pause();
                _exit(0);
        }
        if (other != pid)
                PASSED_OVER("the number could not be had again");
        EQ(ouro_process_signal(process, SIGKILL), -ESRCH);
        EQ(ouro_process_stop(process, OURO_SEC(1), NULL), 0);
        EQ(ouro_process_close(process), 0);
        EQ(waitpid(other, NULL, WNOHANG), 0);
        EQ(kill(other, SIGKILL), 0);
        EQ(waitpid(other, NULL, 0), other);
        return 0;
}

IN_LOOP(process, a_signal_to_its_group_reaches_what_it_has_started)
{
        struct ouro_spawn_options options = usual();
        ouro_process *process;
        char byte;
        int out;

        options.new_group = true;
        options.out.kind = OURO_STDIO_PIPE;
        process = begin(SH("sleep 1000 & echo; exit 0"), &options);
        EQ(ouro_process_wait(process, NULL), 0);
        out = ouro_process_fd(process, 1);
        await_line(process);
        EQ(ouro_process_signal_group(process, SIGTERM), 0);
        EQ(ouro_read(out, &byte, 1), 0); /* sleep held it open */
        EQ(ouro_process_close(process), 0);
        no_child_is_left();
        return 0;
}

IN_LOOP(process, one_that_leads_no_group_has_none_to_be_signalled)
{
        ouro_process *process = begin(OURO_ARGV("true"), NULL);

        EQ(ouro_process_signal_group(process, SIGTERM), -EINVAL);
        EQ(ouro_process_signal(process, 1000), -EINVAL);
        EQ(finish(process), 0);
        return 0;
}

/* ---- stopping ---- */

IN_LOOP(process, stop_lets_it_end_by_itself_within_its_grace)
{
        struct ouro_spawn_options options = usual();
        struct ouro_exit exit = OURO_EXIT_INIT;
        ouro_process *process;

        options.out.kind = OURO_STDIO_PIPE;
        process = begin(SH("trap 'exit 7' TERM; echo; while :; do sleep 0.01; done"), &options);
        await_line(process);
        EQ(ouro_process_stop(process, OURO_SEC(100), &exit), 7);
        EQ(exit.code, 7);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(process, one_that_ignores_sigterm_is_killed_after_its_grace)
{
        struct ouro_spawn_options options = usual();
        ouro_process *process;

        options.out.kind = OURO_STDIO_PIPE;
        process = begin(SH("trap '' TERM; echo; while :; do sleep 0.01; done"), &options);
        await_line(process);
        EQ(ouro_process_stop(process, OURO_MS(20), NULL), OURO_EXIT_SIGNAL + SIGKILL);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(process, one_that_is_stopped_is_set_going_to_end)
{
        ouro_process *process = begin(OURO_ARGV("sleep", "1000"), NULL);

        EQ(ouro_process_signal(process, SIGSTOP), 0);
        EQ(ouro_process_try_wait(process, NULL), -EAGAIN); /* stopped is not ended */
        EQ(ouro_process_stop(process, OURO_SEC(100), NULL), OURO_EXIT_SIGNAL + SIGTERM);
        EQ(ouro_process_close(process), 0);
        return 0;
}

static intptr_t stops(void *process)
{
        return ouro_process_stop(process, OURO_SEC(1000), NULL);
}

IN_LOOP(process, stop_that_is_cut_short_kills_and_still_tells_the_end)
{
        struct ouro_spawn_options options = usual();
        ouro_process *process;
        ouro_task task;

        options.out.kind = OURO_STDIO_PIPE;
        process = begin(SH("trap '' TERM; echo; while :; do sleep 0.01; done"), &options);
        await_line(process);
        task = ouro_create_task(stops, process);
        EQ(ouro_sleep(OURO_MS(1)), 0);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), OURO_EXIT_SIGNAL + SIGKILL);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(process, stop_of_a_group_leaves_none_of_it)
{
        struct ouro_spawn_options options = usual();
        ouro_process *process;
        char byte;

        options.new_group = true;
        options.out.kind = OURO_STDIO_PIPE;
        process = begin(SH("(trap '' TERM; echo; while :; do sleep 0.01; done) & wait"), &options);
        await_line(process);
        EQ(ouro_process_stop(process, OURO_SEC(100), NULL), OURO_EXIT_SIGNAL + SIGTERM);
        EQ(ouro_read(ouro_process_fd(process, 1), &byte, 1), 0);
        EQ(ouro_process_close(process), 0);
        return 0;
}

/* ---- closing ---- */

IN_LOOP(process, closing_one_that_runs_kills_and_reaps_it)
{
        ouro_process *process = begin(OURO_ARGV("sleep", "1000"), NULL);

        EQ(ouro_process_close(process), 0);
        no_child_is_left();
        return 0;
}

IN_LOOP(process, who_waits_for_one_that_is_closed_is_told_of_its_end)
{
        ouro_process *process = begin(OURO_ARGV("sleep", "1000"), NULL);
        ouro_task task = ouro_create_task(waits, process);

        EQ(ouro_yield(), 0);
        EQ(ouro_process_close(process), 0);
        EQ(ouro_await(task), OURO_EXIT_SIGNAL + SIGKILL);
        return 0;
}

IN_LOOP(process, one_left_running_outlives_its_handle_and_is_reaped_by_the_loop)
{
        struct ouro_spawn_options options = usual();
        ouro_process *process;
        ouro_task task;
        int in;

        options.leave_running = true;
        options.in.kind = OURO_STDIO_PIPE;
        process = begin(SH("read line"), &options);
        in = ouro_process_take_fd(process, 0);
        task = ouro_create_task(waits, process);
        EQ(ouro_yield(), 0);
        EQ(ouro_process_close(process), 0);
        EQ(ouro_await(task), -ECANCELED);
        EQ(waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG), 0); /* it is there, and runs */
        EQ(ouro_close(in), 0);
        while (waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0)
                EQ(ouro_sleep(OURO_MS(1)), 0);
        no_child_is_left();
        return 0;
}

/* ---- the end of the loop ---- */

static ouro_process *forgotten;

static intptr_t forgets(void *options)
{
        forgotten = begin(OURO_ARGV("sleep", "1000"), options);
        return 0;
}

Test(process, one_that_is_not_closed_is_killed_at_the_end_of_the_run)
{
        EQ(ouro_run(forgets, NULL), 0);
        no_child_is_left();
        EQ(ouro_process_wait(forgotten, NULL), -EPERM);
        EQ(ouro_process_close(forgotten), 0);
}

static intptr_t forgets_one_that_has_ended(void *unused)
{
        (void)unused;
        forgotten = begin(OURO_ARGV("true"), NULL);
        EQ(ouro_process_wait(forgotten, NULL), 0);
        return 0;
}

Test(process, one_that_has_ended_and_is_not_closed_keeps_no_run_from_ending)
{
        EQ(ouro_run(forgets_one_that_has_ended, NULL), 0);
        EQ(ouro_process_close(forgotten), 0);
}

Test(process, one_left_running_at_the_end_of_the_run_is_the_programs)
{
        struct ouro_spawn_options options = usual();
        pid_t pid;

        options.leave_running = true;
        EQ(ouro_run(forgets, &options), 0);
        pid = ouro_process_pid(forgotten);
        EQ(ouro_process_close(forgotten), 0);
        EQ(waitpid(pid, NULL, WNOHANG), 0);
        EQ(kill(pid, SIGKILL), 0);
        EQ(waitpid(pid, NULL, 0), pid);
}

static intptr_t closes_at_its_end(void *process)
{
        EQ(ouro_sleep(OURO_FOREVER), -ECANCELED);
        EQ(ouro_process_stop(process, OURO_SEC(1), NULL), OURO_EXIT_SIGNAL + SIGKILL);
        return ouro_process_close(process);
}

IN_LOOP(process, a_task_that_is_cancelled_at_the_end_of_the_run_still_has_its_process)
{
        EQ(ouro_go(closes_at_its_end, begin(OURO_ARGV("sleep", "1000"), NULL)), 0);
        EQ(ouro_yield(), 0);
        return 0;
}

static intptr_t waits_in_virtual_time(void *unused)
{
        ouro_process *process = begin(OURO_ARGV("sleep", "0.05"), NULL);

        (void)unused;
        OURO_TIMEOUT(OURO_SEC(30)) {
                EQ(ouro_process_wait(process, NULL), 0);
        }
        EQ(ouro_process_close(process), 0);
        EQ(ouro_sleep(OURO_SEC(100000)), 0);
        return 0;
}

Test(process, one_that_runs_holds_the_virtual_clock)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        EQ(ouro_run_with(&options, waits_in_virtual_time, NULL), 0);
}

/* ---- misuse ---- */

IN_LOOP(process, misuse_is_told_and_loses_nothing)
{
        ouro_process *process = begin(OURO_ARGV("sleep", "1000"), NULL);
        struct ouro_exit no_size = {.size = 0};

        EQ(ouro_process_wait(NULL, NULL), -EINVAL);
        EQ(ouro_process_wait(process, &no_size), -EINVAL);
        EQ(ouro_process_try_wait(NULL, NULL), -EINVAL);
        EQ(ouro_process_stop(process, 0, &no_size), -EINVAL);
        EQ(ouro_process_stop(NULL, 0, NULL), -EINVAL);
        EQ(ouro_process_signal(NULL, 0), -EINVAL);
        EQ(ouro_process_signal_group(NULL, 0), -EINVAL);
        EQ(ouro_process_pid(NULL), -EINVAL);
        EQ(ouro_process_pidfd(NULL), -EINVAL);
        EQ(ouro_process_fd(process, 0), -EBADF);
        EQ(ouro_process_fd(process, 3), -EINVAL);
        EQ(ouro_process_fd(process, -1), -EINVAL);
        EQ(ouro_process_fd(NULL, 0), -EINVAL);
        EQ(ouro_process_take_fd(process, 1), -EBADF);
        EQ(ouro_process_close_fd(process, 1), -EBADF);
        EQ(ouro_process_pty(process), -EBADF);
        EQ(ouro_process_close(NULL), 0);
        EQ(ouro_process_signal(process, 0), 0);
        EQ(ouro_process_close(process), 0);
        return 0;
}

static void *asks_elsewhere(void *process)
{
        EQ(ouro_process_wait(process, NULL), -EPERM);
        EQ(ouro_process_signal(process, 0), -EPERM);
        EQ(ouro_process_close(process), -EPERM);
        return NULL;
}

IN_LOOP(process, another_threads_process_is_not_to_be_touched)
{
        ouro_process *process = begin(OURO_ARGV("sleep", "1000"), NULL);
        pthread_t thread;

        EQ(pthread_create(&thread, NULL, asks_elsewhere, process), 0);
        EQ(pthread_join(thread, NULL), 0);
        EQ(ouro_process_close(process), 0);
        return 0;
}

Test(process, nothing_is_started_outside_a_loop)
{
        ouro_process *process = NULL;

        EQ(ouro_spawn(OURO_ARGV("true"), NULL, &process), -EPERM);
        cr_assert_null(process);
}

static intptr_t spawns(void *unused)
{
        ouro_process *process = NULL;

        (void)unused;
        return ouro_spawn(OURO_ARGV("true"), NULL, &process);
}

IN_LOOP(process, a_cancelled_task_starts_none)
{
        ouro_task task = ouro_create_task(spawns, NULL);

        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        no_child_is_left();
        return 0;
}
