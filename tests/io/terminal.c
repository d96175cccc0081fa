/* Of lib/io/terminal.c: what a descriptor is, standard streams, pseudo-terminals, and what a program sees of
 * them. */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <termios.h>

#include "support/spawned.h"

TestSuite(terminal, .init = leaks_begin, .fini = leaks_end);

static void pty(int *ret_master, int *ret_terminal)
{
        EQ(ouro_pty_open(NULL, ret_master, ret_terminal), 0);
}

static bool echoes(int terminal)
{
        struct termios mode;

        EQ(tcgetattr(terminal, &mode), 0);
        return mode.c_lflag & ECHO;
}

/* All that a terminal shows until nobody has it open any more. */
static void read_all_of(int master, char *text, size_t bytes)
{
        size_t len = 0;
        ssize_t n;

        while ((n = ouro_read(master, text + len, bytes - 1 - len)) > 0)
                len += (size_t)n;
        EQ(n, -EIO);
        text[len] = '\0';
}

/* ---- kinds ---- */

Test(terminal, each_kind_of_descriptor_is_told)
{
        static const struct {
                const char *path;
                int kind;
        } files[] = {
                {"/proc/self/exe", OURO_FD_FILE}, {"/", OURO_FD_DIRECTORY}, {"/dev/null", OURO_FD_DEVICE}};
        int ends[2], sockets[2], master, terminal, event = eventfd(0, EFD_CLOEXEC);

        for (size_t i = 0; i < 3; i++) {
                int fd = open(files[i].path, O_RDONLY | O_CLOEXEC);

                EQ(ouro_fd_kind(fd), files[i].kind);
                EQ(close(fd), 0);
        }
        EQ(pipe2(ends, O_CLOEXEC), 0);
        unix_pair(sockets);
        pty(&master, &terminal);
        EQ(ouro_fd_kind(ends[0]), OURO_FD_PIPE);
        EQ(ouro_fd_kind(sockets[0]), OURO_FD_SOCKET);
        EQ(ouro_fd_kind(terminal), OURO_FD_TERMINAL);
        EQ(ouro_fd_kind(event), OURO_FD_OTHER);
        close_both(ends);
        close_both(sockets);
        EQ(close(master), 0);
        EQ(close(terminal), 0);
        EQ(close(event), 0);
        EQ(ouro_fd_kind(-1), -EBADF);
}

/* ---- windows ---- */

Test(terminal, its_size_is_told_and_changed)
{
        struct ouro_window window = {.rows = 5, .columns = 7, .x_pixels = 70, .y_pixels = 50}, got;
        int master, terminal;

        pty(&master, &terminal);
        EQ(ouro_window_size(terminal, &got), 0);
        EQ(got.rows, 24);
        EQ(got.columns, 80);
        EQ(ouro_set_window_size(master, &window), 0);
        EQ(ouro_window_size(terminal, &got), 0);
        EQ(memcmp(&window, &got, sizeof got), 0);
        window.rows = 70000;
        EQ(ouro_set_window_size(master, &window), -EINVAL);
        EQ(ouro_set_window_size(master, NULL), -EINVAL);
        EQ(ouro_window_size(terminal, NULL), -EINVAL);
        EQ(ouro_pty_open(&window, &master, &terminal), -EINVAL);
        EQ(ouro_pty_open(NULL, NULL, &terminal), -EINVAL);
        EQ(close(master), 0);
        EQ(close(terminal), 0);
        EQ(ouro_window_size(terminal, &got), -EBADF);
}

IN_LOOP(terminal, a_program_sees_a_terminal_of_the_size_asked_for)
{
        struct ouro_spawn_options options = usual();
        ouro_process *process;
        char text[200];

        options.pty = true;
        options.window = (struct ouro_window){.rows = 11, .columns = 22};
        process = begin(SH("test -t 0 && test -t 1 && test -t 2 && stty size; echo typed $(head -n 1)"),
                        &options);
        EQ(ouro_write_all(ouro_process_pty(process), "word\n", 5, NULL), 0);
        read_all_of(ouro_process_pty(process), text, sizeof text);
        cr_assert_not_null(strstr(text, "11 22\r\n"), "%s", text);
        cr_assert_not_null(strstr(text, "typed word\r\n"), "%s", text);
        EQ(finish(process), 0);
        return 0;
}

IN_LOOP(terminal, ctrl_c_and_a_new_size_reach_the_program)
{
        struct ouro_window window = {.rows = 33, .columns = 44};
        struct ouro_spawn_options options = usual();
        ouro_process *process;
        int out;

        options.pty = true;
        options.out.kind = OURO_STDIO_PIPE;
        process = begin(SH("trap 'stty size; exec sleep 1000' WINCH; echo; while :; do sleep 0.01; done"),
                        &options);
        out = ouro_process_fd(process, 1);
        await_line(process);
        EQ(ouro_set_window_size(ouro_process_pty(process), &window), 0);
        char text[6];
        EQ(ouro_read_all(out, text, sizeof text, NULL), 0);
        EQ(memcmp(text, "33 44\n", 6), 0);
        EQ(ouro_write_all(ouro_process_pty(process), "\003", 1, NULL), 0);
        EQ(finish(process), OURO_EXIT_SIGNAL + SIGINT);
        return 0;
}

IN_LOOP(terminal, what_is_typed_and_shown_can_be_collected_at_once)
{
        struct ouro_spawn_options options = usual();
        struct ouro_captured captured;

        options.pty = true;
        EQ(ouro_run_command(SH("echo one; echo two >&2; exit 3"), &options, NULL, &captured, NULL), 3);
        cr_assert_str_eq(captured.out, "one\r\ntwo\r\n");
        ouro_captured_free(&captured);
        return 0;
}

IN_LOOP(terminal, hanging_up_ends_the_program)
{
        struct ouro_spawn_options options = usual();
        ouro_process *process;

        options.pty = true;
        process = begin(OURO_ARGV("sleep", "1000"), &options);
        EQ(ouro_process_close_fd(process, -1), 0);
        EQ(finish(process), OURO_EXIT_SIGNAL + SIGHUP);
        return 0;
}

/* ---- modes ---- */

IN_LOOP(terminal, raw_mode_gives_each_byte_and_is_undone)
{
        ouro_terminal_state *state = NULL;
        int master, terminal;
        char text[8];

        pty(&master, &terminal);
        EQ(ouro_terminal_set(terminal, OURO_TERMINAL_RAW, &state), 0);
        EQ(ouro_write_all(master, "\003x", 2, NULL), 0);
        EQ(ouro_read_all(terminal, text, 2, NULL), 0);
        EQ(memcmp(text, "\003x", 2), 0);
        EQ(echoes(terminal), false);
        EQ(ouro_terminal_restore(state), 0);
        EQ(echoes(terminal), true);
        EQ(ouro_terminal_restore(NULL), 0);
        EQ(ouro_terminal_set(terminal, (enum ouro_terminal_mode)9, &state), -EINVAL);
        EQ(ouro_terminal_set(terminal, OURO_TERMINAL_RAW, NULL), -EINVAL);
        EQ(ouro_close(master), 0);
        EQ(ouro_close(terminal), 0);
        EQ(ouro_terminal_set(terminal, OURO_TERMINAL_RAW, &state), -EBADF);
        return 0;
}

Test(terminal, what_is_no_terminal_is_told)
{
        ouro_terminal_state *state;
        struct ouro_window window;
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        EQ(ouro_terminal_set(fd, OURO_TERMINAL_RAW, &state), -ENOTTY);
        EQ(ouro_window_size(fd, &window), -ENOTTY);
        EQ(close(fd), 0);
}

/* ---- a password; stdin is replaced, and there is no controlling terminal ---- */

static int with_stdin(int fd)
{
        int saved = fcntl(0, F_DUPFD_CLOEXEC, 10);

        EQ(dup2(fd, 0), 0);
        return saved;
}

static void give_back_stdin(int saved)
{
        EQ(dup2(saved, 0), 0);
        EQ(close(saved), 0);
}

static intptr_t reads_password(void *buf)
{
        return ouro_read_password(NULL, buf, 16);
}

IN_LOOP(terminal, a_password_is_read_without_echo_which_is_on_again_afterwards)
{
        int master, terminal, saved;
        char buf[16], shown[16];
        ouro_task task;

        setsid();
        pty(&master, &terminal);
        saved = with_stdin(terminal);
        task = ouro_create_task(reads_password, buf);
        while (echoes(terminal))
                EQ(ouro_sleep(OURO_MS(1)), 0);
        EQ(ouro_write_all(master, "secret\n", 7, NULL), 0);
        EQ(ouro_await(task), 6);
        cr_assert_str_eq(buf, "secret");
        EQ(echoes(terminal), true);
        EQ(ouro_read(master, shown, sizeof shown), 2); /* the end of the line alone */
        EQ(memcmp(shown, "\r\n", 2), 0);
        give_back_stdin(saved);
        EQ(ouro_close(master), 0);
        EQ(ouro_close(terminal), 0);
        return 0;
}

IN_LOOP(terminal, a_password_that_is_cut_short_leaves_the_echo_on)
{
        int master, terminal, saved;
        char buf[16];
        ouro_task task;

        setsid();
        pty(&master, &terminal);
        saved = with_stdin(terminal);
        task = ouro_create_task(reads_password, buf);
        while (echoes(terminal))
                EQ(ouro_sleep(OURO_MS(1)), 0);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        EQ(echoes(terminal), true);
        give_back_stdin(saved);
        EQ(ouro_close(master), 0);
        EQ(ouro_close(terminal), 0);
        return 0;
}

IN_LOOP(terminal, a_password_comes_from_a_pipe_too_and_what_follows_stays)
{
        static const char typed[] = "one\nmuch too long for the room that it has\nlast";
        int ends[2], saved;
        char buf[16];

        setsid();
        EQ(pipe2(ends, O_CLOEXEC), 0);
        EQ(write(ends[1], typed, sizeof typed - 1), sizeof typed - 1);
        EQ(close(ends[1]), 0);
        saved = with_stdin(ends[0]);
        EQ(ouro_read_password(NULL, buf, sizeof buf), 3);
        EQ(ouro_read_password(NULL, buf, sizeof buf), -EMSGSIZE);
        EQ(buf[0], 0);
        EQ(ouro_read_password(NULL, buf, sizeof buf), 4);
        cr_assert_str_eq(buf, "last");
        EQ(ouro_read_password(NULL, buf, sizeof buf), -ENODATA);
        EQ(ouro_read_password(NULL, NULL, 16), -EINVAL);
        EQ(ouro_read_password(NULL, buf, 1), -EINVAL);
        give_back_stdin(saved);
        EQ(close(ends[0]), 0);
        return 0;
}

/* ---- standard streams ---- */

static void reads_two_lines(void)
{
        ouro_stream *stream = NULL;
        const char *line;

        EQ(ouro_standard_stream(NULL, &stream), 0);
        EQ(ouro_stream_read_line(stream, 100, &line), 5);
        cr_assert_str_eq(line, "first");
        EQ(ouro_stream_read_line(stream, 100, &line), 6);
        cr_assert_str_eq(line, "second");
        EQ(ouro_stream_close(stream), 0);
        EQ(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
}

IN_LOOP(terminal, lines_come_the_same_from_a_pipe_a_file_and_a_terminal)
{
        static const char text[] = "first\nsecond\n";
        int ends[2], master, terminal, saved, file = memfd_create("lines", MFD_CLOEXEC);

        EQ(pipe2(ends, O_CLOEXEC), 0);
        pty(&master, &terminal);
        EQ(write(ends[1], text, sizeof text - 1), sizeof text - 1);
        EQ(write(master, text, sizeof text - 1), sizeof text - 1);
        EQ(pwrite(file, text, sizeof text - 1, 0), sizeof text - 1);
        const int kinds[] = {ends[0], terminal, file};
        for (size_t i = 0; i < 3; i++) {
                saved = with_stdin(kinds[i]);
                reads_two_lines();
                give_back_stdin(saved);
        }
        close_both(ends);
        EQ(ouro_close(master), 0);
        EQ(ouro_close(terminal), 0);
        EQ(close(file), 0);
        return 0;
}

static intptr_t reads_a_line(void *stream)
{
        const char *line;

        return ouro_stream_read_line(stream, 100, &line);
}

IN_LOOP(terminal, others_run_while_one_waits_for_a_line_and_the_wait_can_be_cut_short)
{
        int master, terminal, saved;
        ouro_stream *stream;
        ouro_task task;

        pty(&master, &terminal);
        saved = with_stdin(terminal);
        EQ(ouro_standard_stream(NULL, &stream), 0);
        task = ouro_create_task(reads_a_line, stream);
        EQ(ouro_sleep(OURO_MS(5)), 0);
        EQ(ouro_cancel(task), 0);
        EQ(ouro_await(task), -ECANCELED);
        task = ouro_create_task(reads_a_line, stream);
        EQ(ouro_sleep(OURO_MS(5)), 0);
        EQ(ouro_write_all(master, "line\n", 5, NULL), 0);
        EQ(ouro_await(task), 4);
        EQ(ouro_stream_close(stream), 0);
        give_back_stdin(saved);
        EQ(ouro_close(master), 0);
        EQ(ouro_close(terminal), 0);
        return 0;
}
