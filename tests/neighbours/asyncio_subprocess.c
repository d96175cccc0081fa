/* What CPython's Lib/test/test_asyncio/test_subprocess.py demands of processes. */
#include "support/spawned.h"

TestSuite(asyncio_subprocess, .init = leaks_begin, .fini = leaks_end);

static const char *const blocked[] = {"sleep", "3600", NULL};

static struct ouro_spawn_options piped(void)
{
        struct ouro_spawn_options options = usual();

        options.in.kind = options.out.kind = OURO_STDIO_PIPE;
        return options;
}

static struct ouro_communicate_options given(const char *input)
{
        struct ouro_communicate_options talk = OURO_COMMUNICATE_OPTIONS_INIT;

        talk.input = input;
        talk.input_len = strlen(input);
        return talk;
}

IN_LOOP(asyncio_subprocess, what_is_written_to_stdin_is_read_from_stdout)
{
        struct ouro_spawn_options options = piped();
        ouro_process *process = begin(OURO_ARGV("cat"), &options);
        char text[32];

        EQ(ouro_write_all(ouro_process_fd(process, 0), "some data", 9, NULL), 0);
        EQ(ouro_process_close_fd(process, 0), 0);
        EQ(ouro_read_all(ouro_process_fd(process, 1), text, 9, NULL), 0);
        EQ(memcmp(text, "some data", 9), 0);
        EQ(ouro_read(ouro_process_fd(process, 1), text, 1), 0);
        EQ(finish(process), 0);
        return 0;
}

IN_LOOP(asyncio_subprocess, a_shell_and_a_new_session_give_their_exit_codes)
{
        struct ouro_spawn_options options = usual();

        EQ(finish(begin(SH("exit 7"), NULL)), 7);
        options.new_session = true;
        EQ(finish(begin(SH("exit 8"), &options)), 8);
        return 0;
}

IN_LOOP(asyncio_subprocess, kill_terminate_and_a_signal_end_it_by_that)
{
        static const int numbers[] = {SIGKILL, SIGTERM, SIGHUP};

        signal(SIGHUP, SIG_IGN); /* here, and not there */
        for (size_t i = 0; i < 3; i++) {
                ouro_process *process = begin(blocked, NULL);

                EQ(ouro_process_signal(process, numbers[i]), 0);
                EQ(finish(process), OURO_EXIT_SIGNAL + numbers[i]);
        }
        signal(SIGHUP, SIG_DFL);
        return 0;
}

IN_LOOP(asyncio_subprocess, one_that_has_ended_takes_no_signals)
{
        ouro_process *process = begin(SH("exit 6"), NULL);

        EQ(ouro_process_wait(process, NULL), 6);
        EQ(ouro_process_signal(process, SIGTERM), -ESRCH);
        EQ(ouro_process_signal(process, SIGKILL), -ESRCH);
        EQ(finish(process), 6);
        return 0;
}

enum { LARGE = 4 << 20 };

IN_LOOP(asyncio_subprocess, writing_to_one_that_has_ended_is_a_broken_pipe_but_in_communicate)
{
        struct ouro_spawn_options options = usual();
        struct ouro_communicate_options talk = OURO_COMMUNICATE_OPTIONS_INIT;
        struct ouro_captured captured;
        char *data = calloc(1, LARGE);
        ouro_process *process;

        options.in.kind = OURO_STDIO_PIPE;
        process = begin(OURO_ARGV("true"), &options);
        EQ(ouro_process_wait(process, NULL), 0);
        EQ(ouro_write_all(ouro_process_fd(process, 0), data, LARGE, NULL), -EPIPE);
        EQ(finish(process), 0);
        process = begin(OURO_ARGV("true"), &options);
        talk.input = data;
        talk.input_len = LARGE;
        EQ(ouro_process_communicate(process, &talk, &captured, NULL), 0);
        cr_assert_null(captured.out);
        ouro_captured_free(&captured);
        EQ(finish(process), 0);
        free(data);
        return 0;
}

IN_LOOP(asyncio_subprocess, more_than_a_readers_limit_comes_whole)
{
        struct ouro_stream_options small = OURO_STREAM_OPTIONS_INIT;
        struct ouro_spawn_options options = piped();
        ouro_process *process = begin(SH("printf '%021d' 0"), &options);
        ouro_stream *stream;
        char text[64];
        size_t done = 0;

        small.read_bytes = 16;
        EQ(ouro_process_stream(process, 1, &small, &stream), 0);
        EQ(ouro_stream_read_exactly(stream, text, 21, &done), 0);
        EQ(done, 21);
        EQ(ouro_stream_read(stream, text, 1), 0);
        EQ(ouro_stream_close(stream), 0);
        EQ(finish(process), 0);
        return 0;
}

IN_LOOP(asyncio_subprocess, its_stdin_is_not_inherited_by_others_so_that_input_ends)
{
        struct ouro_spawn_options options = piped();
        struct ouro_communicate_options talk = given("abc");
        ouro_process *other = begin(blocked, NULL), *process = begin(OURO_ARGV("wc", "-c"), &options);
        struct ouro_captured captured;

        EQ(ouro_process_communicate(process, &talk, &captured, NULL), 0);
        EQ(atoi(captured.out), 3);
        ouro_captured_free(&captured);
        EQ(finish(process), 0);
        EQ(ouro_process_close(other), 0);
        return 0;
}

IN_LOOP(asyncio_subprocess, empty_input_and_dev_null_are_nothing)
{
        struct ouro_communicate_options talk = given("");
        struct ouro_spawn_options options = usual();
        struct ouro_captured captured;

        EQ(ouro_run_command(OURO_ARGV("wc", "-c"), NULL, &talk, &captured, NULL), 0);
        EQ(atoi(captured.out), 0);
        ouro_captured_free(&captured);
        options.in.kind = OURO_STDIO_NULL;
        PRINTS(OURO_ARGV("wc", "-c"), &options, "0\n");
        options.out.kind = options.err.kind = OURO_STDIO_NULL;
        options.in.kind = OURO_STDIO_PIPE;
        talk = given("abc");
        EQ(ouro_run_command(OURO_ARGV("cat"), &options, &talk, &captured, NULL), 0);
        cr_assert_null(captured.out);
        cr_assert_null(captured.err);
        return 0;
}

static intptr_t waits(void *process)
{
        return ouro_process_wait(process, NULL);
}

IN_LOOP(asyncio_subprocess, a_cancelled_wait_can_be_cancelled_again_and_the_process_waited_for)
{
        ouro_process *process = begin(blocked, NULL);
        ouro_task task = ouro_create_task(waits, process);

        EQ(ouro_yield(), 0);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        EQ(ouro_process_signal(process, SIGKILL), 0);
        EQ(finish(process), OURO_EXIT_SIGNAL + SIGKILL);
        return 0;
}

static intptr_t starts_one(void *unused)
{
        ouro_process *process;
        int error = ouro_spawn(blocked, NULL, &process);

        (void)unused;
        return error < 0 ? error : ouro_process_close(process);
}

IN_LOOP(asyncio_subprocess, starting_that_is_cancelled_leaves_no_process)
{
        ouro_task task = ouro_create_task(starts_one, NULL);
        intptr_t result;

        EQ(ouro_yield(), 0);
        EQ(ouro_cancel(task), 0);
        result = ouro_await(task);
        cr_assert(result == 0 || result == -ECANCELED);
        no_child_is_left();
        return 0;
}

IN_LOOP(asyncio_subprocess, closing_kills_one_that_runs_and_not_one_that_has_ended_unseen)
{
        struct ouro_spawn_options options = usual();
        struct ouro_exit exit = OURO_EXIT_INIT;
        ouro_process *process;

        EQ(ouro_process_close(begin(blocked, NULL)), 0);
        no_child_is_left();
        options.new_group = true;
        process = begin(SH("exit 4"), &options);
        EQ(waitid(P_PID, (id_t)ouro_process_pid(process), &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
        EQ(ouro_process_try_wait(process, &exit), 4); /* the loop has not been told yet */
        EQ(exit.signal, 0);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(asyncio_subprocess, one_that_cannot_be_started_leaves_no_pipe)
{
        struct ouro_spawn_options options = piped();
        ouro_process *process;
        int first = dup(0);

        EQ(close(first), 0);
        EQ(ouro_spawn(OURO_ARGV("/no/such/program"), &options, &process), -ENOENT);
        EQ(dup(0), first);
        EQ(close(first), 0);
        return 0;
}

IN_LOOP(asyncio_subprocess, what_it_wrote_can_be_read_after_its_end)
{
        struct ouro_spawn_options options = piped();
        ouro_process *process = begin(SH("head -c 60000 /dev/zero; exit 1"), &options);
        size_t total = 0;
        char text[8192];
        ssize_t n;

        EQ(ouro_process_wait(process, NULL), 1);
        while ((n = ouro_read(ouro_process_fd(process, 1), text, sizeof text)) > 0)
                total += (size_t)n;
        EQ(total, 60000);
        EQ(ouro_process_close(process), 0);
        return 0;
}

static intptr_t communicates(void *unused)
{
        struct ouro_communicate_options talk = given("some data");
        struct ouro_captured captured;

        (void)unused;
        EQ(ouro_run_command(OURO_ARGV("cat"), NULL, &talk, &captured, NULL), 0);
        cr_assert_str_eq(captured.out, "some data");
        ouro_captured_free(&captured);
        return 0;
}

static void *runs(void *unused)
{
        return (void *)ouro_run(communicates, unused);
}

Test(asyncio_subprocess, a_loop_of_any_thread_may_have_processes)
{
        pthread_t threads[3];
        void *result;

        for (int i = 0; i < 3; i++)
                EQ(pthread_create(&threads[i], NULL, runs, NULL), 0);
        for (int i = 0; i < 3; i++) {
                EQ(pthread_join(threads[i], &result), 0);
                EQ((intptr_t)result, 0);
        }
}
