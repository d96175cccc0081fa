/* Of lib/io/process_pipeline.c: processes that read each other's output, and the status of each. */
#include "support/spawned.h"

TestSuite(process_pipeline, .init = leaks_begin, .fini = leaks_end);

static ouro_pipeline *open_pipeline(const struct ouro_command *commands, size_t n)
{
        ouro_pipeline *pipeline = NULL;

        EQ(ouro_pipeline_open(commands, n, &pipeline), 0);
        return pipeline;
}

static struct ouro_spawn_options piped(bool in, bool out)
{
        struct ouro_spawn_options options = usual();

        options.in.kind = in ? OURO_STDIO_PIPE : OURO_STDIO_NULL;
        options.out.kind = out ? OURO_STDIO_PIPE : OURO_STDIO_NULL;
        return options;
}

IN_LOOP(process_pipeline, what_goes_in_comes_out_of_the_last)
{
        struct ouro_spawn_options in = piped(true, false), out = piped(false, true);
        struct ouro_command commands[] = {
                {OURO_ARGV("tr", "a-z", "A-Z"), &in}, {OURO_ARGV("rev"), NULL}, {OURO_ARGV("cat"), &out}};
        struct ouro_communicate_options talk = OURO_COMMUNICATE_OPTIONS_INIT;
        ouro_pipeline *pipeline = open_pipeline(commands, 3);
        struct ouro_captured captured;

        talk.input = "abc\n";
        talk.input_len = 4;
        EQ(ouro_pipeline_communicate(pipeline, &talk, &captured, NULL), 0);
        cr_assert_str_eq(captured.out, "CBA\n");
        ouro_captured_free(&captured);
        EQ(ouro_pipeline_close(pipeline), 0);
        return 0;
}

IN_LOOP(process_pipeline, each_has_its_own_end_and_the_last_failure_counts)
{
        struct ouro_command commands[] = {{SH("exit 1"), NULL}, {SH("exit 2"), NULL}, {SH("exit 0"), NULL}};
        struct ouro_exit exits[3] = {OURO_EXIT_INIT, OURO_EXIT_INIT, OURO_EXIT_INIT};
        ouro_pipeline *pipeline = open_pipeline(commands, 3);

        EQ(ouro_pipeline_wait(pipeline, exits), 2);
        for (int i = 0; i < 3; i++)
                EQ(exits[i].code, (i + 1) % 3);
        EQ(ouro_pipeline_close(pipeline), 0);
        return 0;
}

IN_LOOP(process_pipeline, who_writes_to_one_that_has_gone_gets_sigpipe)
{
        struct ouro_command commands[] = {{OURO_ARGV("yes"), NULL}, {OURO_ARGV("true"), NULL}};
        struct ouro_exit exits[2] = {OURO_EXIT_INIT, OURO_EXIT_INIT};
        ouro_pipeline *pipeline = open_pipeline(commands, 2);

        EQ(ouro_pipeline_wait(pipeline, exits), OURO_EXIT_SIGNAL + SIGPIPE);
        EQ(exits[0].signal, SIGPIPE);
        EQ(exits[1].code, 0);
        EQ(ouro_pipeline_close(pipeline), 0);
        return 0;
}

IN_LOOP(process_pipeline, one_that_cannot_be_started_takes_the_others_with_it)
{
        struct ouro_spawn_options left = usual();
        struct ouro_command commands[] = {{OURO_ARGV("sleep", "1000"), &left},
                                          {OURO_ARGV("/no/such/program"), NULL},
                                          {SH("true"), NULL}};
        ouro_pipeline *pipeline = NULL;

        left.leave_running = true;
        EQ(ouro_pipeline_open(commands, 3, &pipeline), -ENOENT);
        cr_assert_null(pipeline);
        no_child_is_left();
        return 0;
}

IN_LOOP(process_pipeline, stop_ends_all_within_one_grace)
{
        struct ouro_command commands[] = {{OURO_ARGV("sleep", "1000"), NULL},
                                          {SH("trap '' TERM; while :; do sleep 0.01; done"), NULL},
                                          {OURO_ARGV("sleep", "1000"), NULL}};
        struct ouro_exit exits[3] = {OURO_EXIT_INIT, OURO_EXIT_INIT, OURO_EXIT_INIT};
        ouro_pipeline *pipeline = open_pipeline(commands, 3);

        EQ(ouro_sleep(OURO_MS(100)), 0); /* for the trap; without it the shell ends by SIGTERM */
        ouro_pipeline_stop(pipeline, OURO_MS(50), exits);
        EQ(exits[0].signal, SIGTERM);
        cr_assert(exits[1].signal == SIGKILL || exits[1].signal == SIGTERM);
        EQ(exits[2].signal, SIGTERM);
        EQ(ouro_pipeline_close(pipeline), 0);
        no_child_is_left();
        return 0;
}

IN_LOOP(process_pipeline, all_are_in_the_group_of_the_first)
{
        struct ouro_spawn_options leads = usual();
        struct ouro_command commands[] = {{OURO_ARGV("sleep", "1000"), &leads}, {OURO_ARGV("cat"), NULL}};
        ouro_pipeline *pipeline;
        pid_t first, second;

        leads.new_group = true;
        pipeline = open_pipeline(commands, 2);
        first = ouro_process_pid(ouro_pipeline_process(pipeline, 0));
        second = ouro_process_pid(ouro_pipeline_process(pipeline, 1));
        EQ(getpgid(first), first);
        EQ(getpgid(second), first);
        EQ(ouro_process_signal_group(ouro_pipeline_process(pipeline, 0), SIGINT), 0);
        EQ(ouro_pipeline_wait(pipeline, NULL), OURO_EXIT_SIGNAL + SIGINT);
        EQ(ouro_pipeline_close(pipeline), 0);
        return 0;
}

IN_LOOP(process_pipeline, the_first_may_have_a_session_of_its_own)
{
        struct ouro_spawn_options first = usual(), last = usual();
        const struct ouro_command commands[] = {{SH("cat"), &first}, {SH("exec cat"), &last}};
        struct ouro_captured captured;
        ouro_pipeline *pipeline;

        first.new_session = true;
        last.out.kind = OURO_STDIO_PIPE;
        first.in.kind = OURO_STDIO_PIPE;
        EQ(ouro_pipeline_open(commands, 2, &pipeline), 0);
        EQ(getpgid(ouro_process_pid(ouro_pipeline_process(pipeline, 1))), getpgid(0));
        EQ(ouro_pipeline_communicate(pipeline, NULL, &captured, NULL), 0);
        cr_assert_str_eq(captured.out, "");
        ouro_captured_free(&captured);
        EQ(ouro_pipeline_close(pipeline), 0);
        return 0;
}

IN_LOOP(process_pipeline, the_first_of_a_group_may_have_ended_before_the_second_is_started)
{
        struct ouro_spawn_options leads = usual();
        struct ouro_command commands[] = {{OURO_ARGV("true"), &leads}, {OURO_ARGV("true"), NULL}};

        leads.new_group = true;
        for (int i = 0; i < 50; i++) {
                ouro_pipeline *pipeline = open_pipeline(commands, 2);

                EQ(ouro_pipeline_wait(pipeline, NULL), 0);
                EQ(ouro_pipeline_close(pipeline), 0);
        }
        return 0;
}

IN_LOOP(process_pipeline, one_command_is_a_pipeline_too_and_closing_kills)
{
        struct ouro_command command = {OURO_ARGV("sleep", "1000"), NULL};
        ouro_pipeline *pipeline = open_pipeline(&command, 1);

        OURO_TIMEOUT(OURO_MS(5)) {
                EQ(ouro_pipeline_wait(pipeline, NULL), -ETIME);
        }
        EQ(ouro_pipeline_close(pipeline), 0);
        no_child_is_left();
        return 0;
}

IN_LOOP(process_pipeline, misuse_is_told)
{
        struct ouro_command command = {OURO_ARGV("true"), NULL};
        struct ouro_captured captured;
        ouro_pipeline *pipeline = NULL;
        struct ouro_exit no_size = {.size = 0};

        EQ(ouro_pipeline_open(NULL, 1, &pipeline), -EINVAL);
        EQ(ouro_pipeline_open(&command, 0, &pipeline), -EINVAL);
        EQ(ouro_pipeline_open(&command, 2000, &pipeline), -EINVAL);
        EQ(ouro_pipeline_open(&command, 1, NULL), -EINVAL);
        EQ(ouro_pipeline_wait(NULL, NULL), -EINVAL);
        EQ(ouro_pipeline_stop(NULL, 0, NULL), -EINVAL);
        EQ(ouro_pipeline_communicate(NULL, NULL, &captured, NULL), -EINVAL);
        cr_assert_null(ouro_pipeline_process(NULL, 0));
        pipeline = open_pipeline(&command, 1);
        cr_assert_null(ouro_pipeline_process(pipeline, 1));
        EQ(ouro_pipeline_wait(pipeline, &no_size), -EINVAL);
        EQ(ouro_pipeline_communicate(pipeline, NULL, NULL, NULL), -EINVAL);
        EQ(ouro_pipeline_wait(pipeline, NULL), 0);
        EQ(ouro_pipeline_close(pipeline), 0);
        EQ(ouro_pipeline_close(NULL), 0);
        return 0;
}
