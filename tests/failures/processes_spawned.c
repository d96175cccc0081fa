/* Trouble with processes that were started by ouro_spawn(): hosts that reap everything, shortages, many at
 * once. */
#include "support/spawned.h"

TestSuite(processes_spawned, .init = leaks_begin, .fini = leaks_end);

/* ---- 81: the program's own SIGCHLD handler, SIG_IGN, wait(-1), own children ---- */

static volatile sig_atomic_t handled;

static void handle(int signal)
{
        (void)signal;
        handled++;
}

IN_LOOP(processes_spawned, f81_the_programs_handler_stays_and_hears_of_the_end)
{
        struct sigaction action = {.sa_handler = handle}, now;

        sigaction(SIGCHLD, &action, NULL);
        for (int i = 0; i < 3; i++)
                EQ(finish(begin(OURO_ARGV("true"), NULL)), 0);
        cr_assert(handled >= 1);
        sigaction(SIGCHLD, NULL, &now);
        cr_assert(now.sa_handler == handle);
        signal(SIGCHLD, SIG_DFL);
        return 0;
}

IN_LOOP(processes_spawned, f81_one_that_could_not_be_executed_sends_nobody_a_signal)
{
        struct sigaction action = {.sa_handler = handle};
        ouro_process *process;

        sigaction(SIGCHLD, &action, NULL);
        for (int i = 0; i < 20; i++)
                EQ(ouro_spawn(OURO_ARGV("/no/such/program"), NULL, &process), -ENOENT);
        EQ(handled, 0);
        no_child_is_left();
        signal(SIGCHLD, SIG_DFL);
        return 0;
}

/* Its status is gone, but for a kernel that still knows it. */
static void status_or_echild(int result, int wanted)
{
        if (result != wanted)
                EQ(result, -ECHILD);
}

IN_LOOP(processes_spawned, f81_with_sigchld_ignored_a_wait_ends_and_says_so)
{
        struct ouro_exit exit = OURO_EXIT_INIT;
        ouro_process *process;

        signal(SIGCHLD, SIG_IGN);
        process = begin(SH("exit 5"), NULL);
        status_or_echild(ouro_process_wait(process, &exit), 5);
        if (ouro_process_wait(process, &exit) == 5)
                EQ(exit.usage_unknown, true);
        EQ(ouro_process_signal(process, SIGTERM), -ESRCH);
        EQ(ouro_process_close(process), 0);
        process = begin(OURO_ARGV("sleep", "1000"), NULL);
        status_or_echild(ouro_process_stop(process, OURO_SEC(100), NULL), OURO_EXIT_SIGNAL + SIGTERM);
        EQ(ouro_process_close(process), 0);
        process = begin(OURO_ARGV("sleep", "1000"), NULL);
        EQ(ouro_process_close(process), 0);
        signal(SIGCHLD, SIG_DFL);
        return 0;
}

static void *reaps_everything(void *unused)
{
        while (wait(NULL) >= 0 || errno == EINTR)
                ;
        return unused;
}

IN_LOOP(processes_spawned, f81_a_program_that_waits_for_any_child_cannot_make_a_wait_hang)
{
        struct ouro_spawn_options options = usual();
        pthread_t thread;
        ouro_process *process;

        options.in.kind = OURO_STDIO_PIPE;
        process = begin(SH("read line; exit 6"), &options);
        EQ(pthread_create(&thread, NULL, reaps_everything, NULL), 0);
        EQ(ouro_process_close_fd(process, 0), 0);
        status_or_echild(ouro_process_wait(process, NULL), 6);
        EQ(pthread_join(thread, NULL), 0);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(processes_spawned, f81_children_of_the_program_are_left_to_it)
{
        pid_t own = fork();

        if (own == 0)
                _exit(7);
        for (int i = 0; i < 5; i++)
                EQ(finish(begin(OURO_ARGV("true"), NULL)), 0);
        int status;
        EQ(waitpid(own, &status, 0), own);
        EQ(WEXITSTATUS(status), 7);
        return 0;
}

/* ---- 83: stdio ---- */

IN_LOOP(processes_spawned, f83_what_stdio_has_buffered_is_not_written_twice)
{
        FILE *file = tmpfile();
        struct ouro_spawn_options options = usual();
        ouro_process *process;
        char text[32] = "";

        fprintf(file, "once\n");
        options.out = (struct ouro_stdio){OURO_STDIO_FD, fileno(file)};
        EQ(finish(begin(OURO_ARGV("true"), &options)), 0);
        EQ(ouro_spawn(OURO_ARGV("/no/such/program"), &options, &process), -ENOENT);
        fflush(file);
        EQ(pread(fileno(file), text, sizeof text, 0), 5);
        fclose(file);
        return 0;
}

/* ---- shortages ---- */

IN_LOOP(processes_spawned, emfile_is_told_and_nothing_stays_open)
{
        struct ouro_spawn_options options = usual();
        struct rlimit before, low;
        ouro_process *process = NULL;
        int first = dup(0), error = 0, filled = 0;

        close(first);
        options.in.kind = options.out.kind = options.err.kind = OURO_STDIO_PIPE;
        EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        for (rlim_t room = 0; room < 12 && error != 1; room++) {
                low = (struct rlimit){(rlim_t)first + room, before.rlim_max};
                EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
                error = ouro_spawn(OURO_ARGV("true"), &options, &process);
                EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
                if (error == 0) {
                        EQ(finish(process), 0);
                        error = 1;
                } else {
                        EQ(error, -EMFILE);
                        filled++;
                }
                no_child_is_left();
                EQ(dup(0), first); /* all of them are free again */
                EQ(close(first), 0);
        }
        EQ(error, 1);
        cr_assert(filled >= 6);
        return 0;
}

static intptr_t spawns_under_nproc(void *unused)
{
        ouro_process *process = NULL;

        (void)unused;
        EQ(ouro_spawn(OURO_ARGV("true"), NULL, &process), -EAGAIN);
        cr_assert_null(process);
        return 0;
}

Test(processes_spawned, a_limit_on_processes_is_eagain)
{
        pid_t pid = fork();
        int status;

        if (pid == 0) { /* as a user whom the limit binds */
                struct rlimit none = {0, 0};

                if (getuid() == 0 &&
                    (setresgid(61234, 61234, 61234) < 0 || setresuid(61234, 61234, 61234) < 0))
                        _exit(9);
                setrlimit(RLIMIT_NPROC, &none);
                _exit(ouro_run(spawns_under_nproc, NULL) == 0 ? 0 : 1);
        }
        EQ(waitpid(pid, &status, 0), pid);
        EQ(status, 0);
}

/* ---- many ---- */

enum { MANY = 1000 };

IN_LOOP(processes_spawned, a_thousand_children_at_once_all_end_and_none_stays)
{
        static ouro_process *all[MANY];
        struct ouro_spawn_options options = usual();
        int gate[2];

        EQ(pipe2(gate, O_CLOEXEC), 0);
        options.in = (struct ouro_stdio){OURO_STDIO_FD, gate[0]};
        for (int i = 0; i < MANY; i++)
                all[i] = begin(OURO_ARGV("cat"), &options);
        EQ(close(gate[1]), 0);
        for (int i = 0; i < MANY; i++)
                EQ(finish(all[i]), 0);
        no_child_is_left();
        EQ(close(gate[0]), 0);
        return 0;
}

static intptr_t runs_some(void *number)
{
        char text[32];
        struct ouro_captured captured;

        for (int i = 0; i < 20; i++) {
                snprintf(text, sizeof text, "%d", (int)(intptr_t)number * 100 + i);
                EQ(ouro_run_command(OURO_ARGV("echo", text), NULL, NULL, &captured, NULL), 0);
                EQ(atoi(captured.out), (int)(intptr_t)number * 100 + i);
                ouro_captured_free(&captured);
        }
        return 0;
}

IN_LOOP(processes_spawned, tasks_that_start_many_at_once_get_each_its_own_output)
{
        ouro_task tasks[16];

        for (intptr_t i = 0; i < 16; i++)
                tasks[i] = ouro_create_task(runs_some, (void *)i);
        EQ(ouro_gather(tasks, 16, NULL), 0);
        no_child_is_left();
        return 0;
}

static intptr_t spawns_and_is_cancelled(void *unused)
{
        ouro_process *process = NULL;
        int error = ouro_spawn(OURO_ARGV("sleep", "1000"), NULL, &process);

        (void)unused;
        if (error == 0)
                EQ(ouro_process_close(process), 0);
        else
                EQ(error, -ECANCELED);
        return 0;
}

IN_LOOP(processes_spawned, one_that_is_cancelled_while_it_starts_is_returned_or_never_was)
{
        ouro_task tasks[32];

        for (int i = 0; i < 32; i++)
                tasks[i] = ouro_create_task(spawns_and_is_cancelled, NULL);
        EQ(ouro_yield(), 0);
        for (int i = 0; i < 32; i++)
                ouro_cancel(tasks[i]);
        EQ(ouro_gather(tasks, 32, NULL), 0);
        no_child_is_left();
        return 0;
}
