/* Of lib/io/process_output.c: input and output go on at once, whatever the order, and within limits. */
#include "support/spawned.h"

TestSuite(process_output, .init = leaks_begin, .fini = leaks_end);

static struct ouro_spawn_options piped(void)
{
        struct ouro_spawn_options options = usual();

        options.in.kind = options.out.kind = options.err.kind = OURO_STDIO_PIPE;
        return options;
}

static struct ouro_communicate_options talk(void)
{
        return (struct ouro_communicate_options)OURO_COMMUNICATE_OPTIONS_INIT;
}

IN_LOOP(process_output, out_and_err_are_kept_apart)
{
        struct ouro_captured captured;

        EQ(ouro_run_command(SH("echo one; echo two >&2; echo three; exit 4"), NULL, NULL, &captured, NULL),
           4);
        cr_assert_str_eq(captured.out, "one\nthree\n");
        EQ(captured.out_len, 10);
        cr_assert_str_eq(captured.err, "two\n");
        EQ(captured.out_cut, false);
        ouro_captured_free(&captured);
        cr_assert_null(captured.out);
        return 0;
}

IN_LOOP(process_output, nothing_is_an_empty_text_and_no_pipe_is_none)
{
        struct ouro_spawn_options options = usual();
        struct ouro_captured captured;

        options.err.kind = OURO_STDIO_NULL;
        EQ(ouro_run_command(OURO_ARGV("true"), &options, NULL, &captured, NULL), 0);
        cr_assert_str_eq(captured.out, "");
        cr_assert_null(captured.err);
        ouro_captured_free(&captured);
        return 0;
}

IN_LOOP(process_output, input_of_many_pipes_comes_back_whole)
{
        enum { BYTES = 5 << 20 };
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured;
        char *input = malloc(BYTES);

        fill(input, BYTES, 0);
        options.input = input;
        options.input_len = BYTES;
        EQ(ouro_run_command(OURO_ARGV("cat"), NULL, &options, &captured, NULL), 0);
        EQ(captured.out_len, BYTES);
        cr_assert(filled(captured.out, BYTES, 0));
        ouro_captured_free(&captured);
        free(input);
        return 0;
}

IN_LOOP(process_output, one_that_writes_all_before_it_reads_does_not_wait_for_ever)
{
        enum { BYTES = 1 << 20 };
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured;
        char *input = calloc(1, BYTES);

        options.input = input;
        options.input_len = BYTES;
        EQ(ouro_run_command(SH("head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero; wc -c"), NULL,
                            &options, &captured, NULL),
           0);
        EQ(captured.err_len, 1000000);
        cr_assert_str_eq(captured.out + 1000000, "1048576\n");
        ouro_captured_free(&captured);
        free(input);
        return 0;
}

IN_LOOP(process_output, input_that_is_not_wanted_is_no_error)
{
        enum { BYTES = 1 << 20 };
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured;
        char *input = calloc(1, BYTES);

        options.input = input;
        options.input_len = BYTES;
        EQ(ouro_run_command(SH("exec <&-; echo done"), NULL, &options, &captured, NULL), 0);
        cr_assert_str_eq(captured.out, "done\n");
        ouro_captured_free(&captured);
        free(input);
        return 0;
}

IN_LOOP(process_output, without_input_stdin_is_at_its_end)
{
        PRINTS(SH("cat; echo end"), NULL, "end\n");
        return 0;
}

/* ---- limits ---- */

IN_LOOP(process_output, a_byte_beyond_the_limit_is_emsgsize_and_the_process_is_gone)
{
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured;

        options.limit = 10000;
        EQ(ouro_run_command(SH("head -c 10001 /dev/zero; exec sleep 1000"), NULL, &options, &captured, NULL),
           -EMSGSIZE);
        no_child_is_left();
        EQ(ouro_run_command(SH("head -c 10000 /dev/zero"), NULL, &options, &captured, NULL), 0);
        EQ(captured.out_len, 10000);
        EQ(captured.out_cut, false);
        ouro_captured_free(&captured);
        return 0;
}

IN_LOOP(process_output, what_exceeds_the_limit_can_be_thrown_away_and_is_told)
{
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured;

        options.limit = 3;
        options.cut = true;
        EQ(ouro_run_command(SH("echo abcdef; echo xy >&2; exit 2"), NULL, &options, &captured, NULL), 2);
        cr_assert_str_eq(captured.out, "abc");
        EQ(captured.out_cut, true);
        cr_assert_str_eq(captured.err, "xy\n");
        EQ(captured.err_cut, false);
        ouro_captured_free(&captured);
        return 0;
}

IN_LOOP(process_output, a_hundred_mebibytes_pass_through_little_memory)
{
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured;

        options.limit = 1 << 20;
        options.cut = true;
        EQ(ouro_run_command(SH("head -c 104857600 /dev/zero"), NULL, &options, &captured, NULL), 0);
        EQ(captured.out_len, 1 << 20);
        EQ(captured.out_cut, true);
        ouro_captured_free(&captured);
        return 0;
}

IN_LOOP(process_output, a_hundred_mebibytes_are_kept_if_wanted)
{
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured;

        options.limit = 200 << 20;
        EQ(ouro_run_command(SH("head -c 104857600 /dev/zero"), NULL, &options, &captured, NULL), 0);
        EQ(captured.out_len, 104857600);
        ouro_captured_free(&captured);
        return 0;
}

/* ---- who else holds the pipes ---- */

IN_LOOP(process_output, a_daemon_that_holds_the_pipes_is_waited_for_unless_told_otherwise)
{
        const char *const *argv = SH("sleep 1000 & echo $!");
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured;
        struct ouro_spawn_options piped_out = usual();
        ouro_process *process;
        int result = 0;

        piped_out.out.kind = OURO_STDIO_PIPE;
        piped_out.new_group = true;
        process = begin(argv, &piped_out);
        OURO_TIMEOUT(OURO_MS(50)) {
                result = ouro_process_communicate(process, NULL, &captured, NULL);
        }
        EQ(result, -ETIME);
        EQ(ouro_process_stop(process, 0, NULL), 0); /* and the daemon with it */
        EQ(ouro_process_close(process), 0);

        options.until_exit = true;
        process = begin(argv, &piped_out);
        EQ(ouro_process_communicate(process, &options, &captured, NULL), 0);
        cr_assert(atoi(captured.out) > 1);
        EQ(kill(atoi(captured.out), SIGKILL), 0); /* it is still there */
        ouro_captured_free(&captured);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(process_output, until_exit_takes_all_that_was_written_before)
{
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured;

        options.until_exit = true;
        for (int i = 0; i < 10; i++) {
                EQ(ouro_run_command(SH("head -c 50000 /dev/zero; head -c 60000 /dev/zero >&2"), NULL,
                                    &options, &captured, NULL),
                   0);
                EQ(captured.out_len, 50000);
                EQ(captured.err_len, 60000);
                ouro_captured_free(&captured);
        }
        return 0;
}

/* What it has started writes on and on. */
IN_LOOP(process_output, until_exit_ends_though_somebody_else_never_stops_writing)
{
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured;

        options.until_exit = true;
        options.cut = true;
        options.limit = 1000;
        EQ(ouro_run_command(SH("yes & echo $!; exit 3"), NULL, &options, &captured, NULL), 3);
        cr_assert(captured.out_len > 0);
        ouro_captured_free(&captured);
        return 0;
}

/* ---- cut short ---- */

IN_LOOP(process_output, a_talk_until_exit_that_is_out_of_time_leaves_the_process_its_pipes)
{
        struct ouro_communicate_options options = talk();
        struct ouro_spawn_options all = piped();
        ouro_process *process = begin(OURO_ARGV("sleep", "1000"), &all);
        struct ouro_captured captured;
        int result = 0;

        options.until_exit = true;
        OURO_TIMEOUT(OURO_MS(20)) {
                result = ouro_process_communicate(process, &options, &captured, NULL);
        }
        EQ(result, -ETIME);
        cr_assert(ouro_process_fd(process, 1) >= 0);
        cr_assert(ouro_process_fd(process, 2) >= 0);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(process_output, a_command_that_is_cut_short_is_killed_and_reaped)
{
        struct ouro_captured captured;
        int result = 0;

        OURO_TIMEOUT(OURO_MS(20)) {
                result = ouro_run_command(OURO_ARGV("sleep", "1000"), NULL, NULL, &captured, NULL);
        }
        EQ(result, -ETIME);
        no_child_is_left();
        OURO_TIMEOUT(OURO_MS(20)) {
                result = ouro_run_command(OURO_ARGV("sleep", "1000"), NULL, NULL, NULL, NULL);
        }
        EQ(result, -ETIME);
        no_child_is_left();
        return 0;
}

static intptr_t communicates(void *process)
{
        struct ouro_captured captured;

        return ouro_process_communicate(process, NULL, &captured, NULL);
}

IN_LOOP(process_output, communicating_that_is_cancelled_leaves_the_process_alone)
{
        struct ouro_spawn_options options = piped();
        ouro_process *process = begin(SH("echo a; sleep 0.02; echo b; exit 5"), &options);
        ouro_task task = ouro_create_task(communicates, process);

        EQ(ouro_yield(), 0);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        cr_assert(ouro_process_fd(process, 1) >= 0); /* it is not cut off */
        EQ(finish(process), 5);
        return 0;
}

IN_LOOP(process_output, one_that_is_closed_meanwhile_ends_the_talk)
{
        struct ouro_spawn_options options = piped();
        ouro_process *process = begin(OURO_ARGV("sleep", "1000"), &options);
        ouro_task task = ouro_create_task(communicates, process);

        EQ(ouro_yield(), 0);
        EQ(ouro_sleep(OURO_MS(1)), 0);
        EQ(ouro_process_close(process), 0);
        EQ(ouro_await(task), -EBADF);
        return 0;
}

/* ---- misuse ---- */

static intptr_t hears_all(void *process)
{
        struct ouro_captured captured;

        EQ(ouro_process_communicate(process, NULL, &captured, NULL), 5);
        cr_assert_str_eq(captured.out, "all\n");
        ouro_captured_free(&captured);
        return 0;
}

IN_LOOP(process_output, a_second_talk_is_refused_at_once_and_the_first_gets_all)
{
        struct ouro_spawn_options options = piped();
        struct ouro_captured captured = {.out = NULL};
        int fds[2];

        EQ(ouro_pipe(fds), 0);
        options.in = (struct ouro_stdio){.kind = OURO_STDIO_FD, .fd = fds[0]};
        ouro_process *process = begin(SH("read line; echo $line; exit 5"), &options);
        ouro_task first = ouro_create_task(hears_all, process);

        EQ(ouro_yield(), 0);
        OURO_TIMEOUT(OURO_SEC(5)) { /* else it would wait for the process */
                EQ(ouro_process_communicate(process, NULL, &captured, NULL), -EBUSY);
        }
        cr_assert_null(captured.out);
        EQ(ouro_write(fds[1], "all\n", 4), 4);
        EQ(ouro_await(first), 0);
        close_both(fds);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(process_output, misuse_is_told)
{
        struct ouro_communicate_options options = talk();
        struct ouro_captured captured = {.out = NULL};
        struct ouro_exit no_size = {.size = 0};
        ouro_process *process = begin(OURO_ARGV("true"), NULL);

        options.input_len = 5;
        EQ(ouro_process_communicate(NULL, NULL, &captured, NULL), -EINVAL);
        EQ(ouro_process_communicate(process, NULL, NULL, NULL), -EINVAL);
        EQ(ouro_process_communicate(process, &options, &captured, NULL), -EINVAL);
        EQ(ouro_process_communicate(process, NULL, &captured, &no_size), -EINVAL);
        EQ(ouro_run_command(OURO_ARGV("true"), NULL, NULL, &captured, &no_size), -EINVAL);
        EQ(ouro_run_command(NULL, NULL, NULL, &captured, NULL), -EINVAL);
        options.input_len = 0;
        options.size = 1;
        EQ(ouro_process_communicate(process, &options, &captured, NULL), -EINVAL);
        EQ(finish(process), 0);
        ouro_captured_free(NULL);
        return 0;
}
