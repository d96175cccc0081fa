/* Of lib/io/process_spawn.c, spawn_text.c and birth.c: a process begins as it was asked for, and with nothing
 * else; what cannot be started is told by the errno of the step that failed. */
#include <ftw.h>
#include <sys/stat.h>

#include "support/paths.h"
#include "support/spawned.h"

TestSuite(process_spawn, .init = leaks_begin, .fini = leaks_end);

static char dir[64];

static void make_dir(void)
{
        leaks_begin();
        strcpy(dir, "/tmp/ouro-spawn-XXXXXX");
        cr_assert_not_null(mkdtemp(dir));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st, (void)type, (void)ftw;
        return remove(path);
}

static void remove_dir(void)
{
        nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        leaks_end();
}

TestSuite(process_files, .init = make_dir, .fini = remove_dir);

/* A file of the directory. */
static const char *in_dir(const char *name)
{
        static char path[4][128];
        static unsigned next;
        char *at = path[next++ % 4];

        snprintf(at, sizeof path[0], "%s/%s", dir, name);
        return at;
}

static const char *write_file(const char *name, const char *text, mode_t mode)
{
        const char *path = in_dir(name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        EQ(fchmod(fd, mode), 0);
        EQ(close(fd), 0);
        return path;
}

/* ---- the program ---- */

IN_LOOP(process_spawn, arguments_arrive_as_they_are)
{
        PRINTS(OURO_ARGV("printf", "%s|", "a b", "", "$HOME", "\xff\n"), NULL, "a b||$HOME|\xff\n|");
        return 0;
}

IN_LOOP(process_spawn, the_file_may_be_another_than_the_name)
{
        struct ouro_spawn_options options = usual();

        options.path = "/bin/sh";
        PRINTS(OURO_ARGV("whoever", "-c", "echo $0"), &options, "whoever\n");
        return 0;
}

IN_LOOP(process_spawn, the_path_of_the_new_environment_is_searched)
{
        struct ouro_spawn_options options = usual();
        const char *failed = NULL;
        ouro_process *process;

        options.set = (const char *const[]){"PATH=/nowhere:/also/nowhere", NULL};
        options.ret_failed = &failed;
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -ENOENT);
        cr_assert_str_eq(failed, "exec");
        options.set = (const char *const[]){"PATH=/nowhere:/bin", NULL};
        EQ(finish(begin(OURO_ARGV("true"), &options)), 0);
        options.set = (const char *const[]){"PATH", NULL};
        EQ(finish(begin(OURO_ARGV("true"), &options)), 0);
        return 0;
}

IN_LOOP(process_files, one_that_may_not_be_executed_is_passed_over_and_told_at_last)
{
        struct ouro_spawn_options options = usual();
        char path[200];
        ouro_process *process;
        const char *const only_ours[] = {path, NULL};

        write_file("true", "#!/bin/sh\nexit 9\n", 0600);
        snprintf(path, sizeof path, "PATH=%s:/bin", dir);
        options.set = only_ours;
        EQ(finish(begin(OURO_ARGV("true"), &options)), 0);
        snprintf(path, sizeof path, "PATH=%s:/nowhere", dir);
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -EACCES);
        return 0;
}

IN_LOOP(process_files, what_execve_says_is_what_is_told)
{
        ouro_process *process = NULL;
        const char *no_program = write_file("text", "no program\n", 0700);
        const char *no_interpreter = write_file("script", "#!/no/such/interpreter\n", 0700);
        const char *not_allowed = write_file("plain", "#!/bin/sh\n", 0600);

        EQ(ouro_spawn(OURO_ARGV("/no/such/file"), NULL, &process), -ENOENT);
        EQ(ouro_spawn(OURO_ARGV(""), NULL, &process), -ENOENT);
        EQ(ouro_spawn(OURO_ARGV("no-such-program-anywhere"), NULL, &process), -ENOENT);
        EQ(ouro_spawn(OURO_ARGV(no_program), NULL, &process), -ENOEXEC);
        EQ(ouro_spawn(OURO_ARGV(no_interpreter), NULL, &process), -ENOENT);
        EQ(ouro_spawn(OURO_ARGV(not_allowed), NULL, &process), -EACCES);
        EQ(ouro_spawn(OURO_ARGV(dir), NULL, &process), -EACCES);
        EQ(ouro_spawn(OURO_ARGV("/bin/true/x"), NULL, &process), -ENOTDIR);
        cr_assert_null(process);
        no_child_is_left();
        return 0;
}

IN_LOOP(process_spawn, arguments_that_are_too_long_are_e2big)
{
        enum { BYTES = 4 << 20 };
        char *argument = malloc(BYTES);
        ouro_process *process;

        memset(argument, 'x', BYTES - 1);
        argument[BYTES - 1] = '\0';
        EQ(ouro_spawn(OURO_ARGV("true", argument), NULL, &process), -E2BIG);
        free(argument);
        return 0;
}

/* ---- environment, directory ---- */

IN_LOOP(process_spawn, the_environment_is_replaced_or_changed)
{
        struct ouro_spawn_options options = usual();

        setenv("OURO_TEST_KEPT", "kept", 1);
        setenv("OURO_TEST_GONE", "gone", 1);
        options.set = (const char *const[]){"OURO_TEST_GONE", "NEW=a=b", "NEW=c", "OURO_TEST_EMPTY=", NULL};
        PRINTS(SH("echo $OURO_TEST_KEPT-${OURO_TEST_GONE-unset}-$NEW-${OURO_TEST_EMPTY-unset}"), &options,
               "kept-unset-c-\n");
        options.environment = (const char *const[]){"A=1", "B=2", NULL};
        options.set = NULL;
        PRINTS(OURO_ARGV("/usr/bin/env"), &options, "A=1\nB=2\n");
        options.set = (const char *const[]){"B", "C=3", NULL};
        PRINTS(OURO_ARGV("/usr/bin/env"), &options, "A=1\nC=3\n");
        unsetenv("OURO_TEST_KEPT");
        unsetenv("OURO_TEST_GONE");
        return 0;
}

IN_LOOP(process_files, it_works_in_the_directory_it_was_given)
{
        struct ouro_spawn_options options = usual();
        int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), here = open(dir, O_PATH | O_CLOEXEC);

        options.directory_fd = &root;
        PRINTS(OURO_ARGV("/bin/pwd"), &options, "/\n");
        options.directory = "usr";
        PRINTS(OURO_ARGV("/bin/pwd"), &options, "/usr\n");
        write_file("tool", "#!/bin/sh\necho here\n", 0700);
        options.directory = NULL;
        options.directory_fd = &here;
        PRINTS(OURO_ARGV("./tool"), &options, "here\n");
        EQ(close(root), 0);
        EQ(close(here), 0);
        return 0;
}

IN_LOOP(process_spawn, paths_of_4096_bytes_are_too_long)
{
        struct ouro_spawn_options options = usual();
        const char *failed = NULL;
        ouro_process *process;

        options.ret_failed = &failed;
        EQ(ouro_spawn(OURO_ARGV(long_path()), &options, &process), -ENAMETOOLONG);
        cr_assert_str_eq(failed, "exec");
        options.path = long_path();
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -ENAMETOOLONG);
        options.path = NULL;
        options.directory = long_path();
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -ENAMETOOLONG);
        cr_assert_str_eq(failed, "directory");
        no_child_is_left();
        return 0;
}

IN_LOOP(process_spawn, a_directory_that_is_not_there_is_told_as_that)
{
        struct ouro_spawn_options options = usual();
        const char *failed = NULL;
        ouro_process *process;

        options.ret_failed = &failed;
        options.directory = "/no/such/directory";
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -ENOENT);
        cr_assert_str_eq(failed, "directory");
        options.directory = "/bin/sh";
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -ENOTDIR);
        no_child_is_left();
        return 0;
}

/* ---- descriptors ---- */

static const char open_fds[] = "cd /proc/self/fd; for fd in *; do [ -e $fd ] && printf '%s ' $fd; done; true";

IN_LOOP(process_spawn, f82_only_the_descriptors_asked_for_are_inherited)
{
        struct ouro_spawn_options options = usual();
        int leaky = open("/dev/null", O_RDONLY), high = fcntl(leaky, F_DUPFD, 700);
        struct ouro_spawn_fd fds[] = {{high, 9}, {leaky, 5}};

        PRINTS(OURO_ARGV("/bin/sh", "-c", open_fds), NULL, "0 1 2 ");
        options.fds = fds;
        options.fds_len = 2;
        PRINTS(OURO_ARGV("/bin/sh", "-c", open_fds), &options, "0 1 2 5 9 ");
        EQ(close(leaky), 0);
        EQ(close(high), 0);
        return 0;
}

IN_LOOP(process_spawn, numbers_may_be_exchanged)
{
        struct ouro_spawn_options options = usual();
        int a[2], b[2];
        struct ouro_spawn_fd fds[2];
        char text[8] = "";

        EQ(pipe2(a, O_CLOEXEC), 0);
        EQ(pipe2(b, O_CLOEXEC), 0);
        fds[0] = (struct ouro_spawn_fd){a[1], b[1]};
        fds[1] = (struct ouro_spawn_fd){b[1], a[1]};
        options.fds = fds;
        options.fds_len = 2;
        char script[64];
        snprintf(script, sizeof script, "eval 'echo A >&%d; echo B >&%d'", a[1], b[1]);
        EQ(finish(begin(SH(a[1] < 10 && b[1] < 10 ? script : "exit 3"), &options)),
           a[1] < 10 && b[1] < 10 ? 0 : 3);
        if (a[1] < 10 && b[1] < 10) {
                EQ(read(a[0], text, sizeof text), 2);
                cr_assert_str_eq(text, "B\n");
                EQ(read(b[0], text, sizeof text), 2);
                cr_assert_str_eq(text, "A\n");
        }
        close_both(a);
        close_both(b);
        return 0;
}

IN_LOOP(process_spawn, f82_the_peer_of_a_socket_sees_its_end_though_children_run)
{
        ouro_process *process;
        int pair[2];
        char byte;

        EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0); /* not close-on-exec */
        process = begin(OURO_ARGV("sleep", "1000"), NULL);
        EQ(ouro_close(pair[0]), 0);
        EQ(ouro_recv(pair[1], &byte, 1, 0), 0);
        EQ(ouro_close(pair[1]), 0);
        EQ(ouro_process_close(process), 0);
        return 0;
}

IN_LOOP(process_spawn, f82_two_children_do_not_hold_each_others_pipes)
{
        struct ouro_spawn_options options = usual();
        ouro_process *first, *second;

        options.in.kind = OURO_STDIO_PIPE;
        first = begin(OURO_ARGV("cat"), &options);
        second = begin(OURO_ARGV("cat"), &options);
        EQ(ouro_process_close_fd(first, 0), 0);
        EQ(finish(first), 0);
        EQ(ouro_process_close_fd(second, 0), 0);
        EQ(finish(second), 0);
        return 0;
}

IN_LOOP(process_files, standard_descriptors_lead_where_they_were_told_to)
{
        struct ouro_spawn_options options = usual();
        struct ouro_captured captured;
        char text[32] = "";
        int file = open(write_file("log", "", 0600), O_RDWR | O_CLOEXEC);

        options.out = (struct ouro_stdio){OURO_STDIO_FD, file};
        options.err.kind = OURO_STDIO_STDOUT;
        EQ(finish(begin(SH("echo out; echo err >&2"), &options)), 0);
        EQ(pread(file, text, sizeof text, 0), 8);
        cr_assert_str_eq(text, "out\nerr\n");
        options.out = (struct ouro_stdio){OURO_STDIO_PIPE, 0};
        EQ(ouro_run_command(SH("echo a; echo b >&2; echo c"), &options, NULL, &captured, NULL), 0);
        cr_assert_str_eq(captured.out, "a\nb\nc\n");
        cr_assert_null(captured.err);
        ouro_captured_free(&captured);
        options.out.kind = options.err.kind = OURO_STDIO_NULL;
        options.in = (struct ouro_stdio){OURO_STDIO_FD, file};
        EQ(finish(begin(SH("echo lost; echo lost >&2; test -f /dev/stdin"), &options)), 0);
        EQ(close(file), 0);
        return 0;
}

static intptr_t spawns_without_stdin(void *unused)
{
        (void)unused;
        return finish(begin(SH("test ! -e /proc/self/fd/0"), NULL));
}

/* In a process without Criterion's threads, which open what would get the number. */
Test(process_spawn, one_that_is_closed_here_is_closed_there)
{
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                close(0);
                _exit(ouro_run(spawns_without_stdin, NULL) == 0 ? 0 : 1);
        }
        EQ(waitpid(pid, &status, 0), pid);
        EQ(status, 0);
}

IN_LOOP(process_spawn, a_pipe_is_a_stream_if_wanted)
{
        struct ouro_spawn_options options = usual();
        ouro_stream *in, *out;
        ouro_process *process;
        const char *line;

        options.in.kind = options.out.kind = OURO_STDIO_PIPE;
        process = begin(OURO_ARGV("tr", "a-z", "A-Z"), &options);
        EQ(ouro_process_stream(process, 0, NULL, &in), 0);
        EQ(ouro_process_stream(process, 1, NULL, NULL), -EINVAL);
        EQ(ouro_process_stream(process, 1, NULL, &out), 0);
        EQ(ouro_process_stream(process, 1, NULL, &out), -EBADF);
        EQ(ouro_stream_write(in, "one\ntwo\n", 8), 0);
        EQ(ouro_stream_close(in), 0);
        EQ(ouro_stream_read_line(out, 100, &line), 3);
        cr_assert_str_eq(line, "ONE");
        EQ(ouro_stream_read_line(out, 100, &line), 3);
        cr_assert_str_eq(line, "TWO");
        EQ(ouro_stream_read_line(out, 100, &line), -ENODATA);
        EQ(ouro_stream_close(out), 0);
        EQ(finish(process), 0);
        return 0;
}

/* ---- misuse ---- */

#define REFUSED(member, value)                                                                               \
        do {                                                                                                 \
                struct ouro_spawn_options refused_ = usual();                                                \
                                                                                                             \
                refused_.member = value;                                                                     \
                EQ(ouro_spawn(OURO_ARGV("true"), &refused_, &process), -EINVAL);                             \
        } while (0)

IN_LOOP(process_spawn, options_out_of_range_are_refused)
{
        const struct ouro_spawn_fd low[] = {{0, 2}}, twice[] = {{0, 5}, {1, 5}}, bad[] = {{no_such_fd(), 5}};
        const struct ouro_limit limit = {RLIMIT_CORE, 2, 1};
        struct ouro_spawn_options options = usual();
        ouro_process *process = NULL;

        EQ(ouro_spawn(NULL, NULL, &process), -EINVAL);
        EQ(ouro_spawn((const char *const[]){NULL}, NULL, &process), -EINVAL);
        EQ(ouro_spawn(OURO_ARGV("true"), NULL, NULL), -EINVAL);
        REFUSED(size, 3);
        REFUSED(nice, 40);
        REFUSED(parent_death_signal, -1);
        REFUSED(in.kind, OURO_STDIO_STDOUT);
        REFUSED(out.kind, (enum ouro_stdio_kind)99);
        REFUSED(join_group, -1);
        REFUSED(fds_len, 1);
        REFUSED(limits_len, 1);
        REFUSED(environment, ((const char *const[]){"no value", NULL}));
        REFUSED(set, ((const char *const[]){"=x", NULL}));
        options.new_group = options.new_session = true;
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -EINVAL);
        options = usual();
        options.fds_len = 1;
        options.fds = low;
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -EINVAL);
        options.fds = bad;
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -EBADF);
        options.fds_len = 2;
        options.fds = twice;
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -EINVAL);
        options = usual();
        options.limits = &limit;
        options.limits_len = 1;
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -EINVAL);
        options = usual();
        options.out = (struct ouro_stdio){OURO_STDIO_FD, no_such_fd()};
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -EBADF);
        cr_assert_null(process);
        no_child_is_left();
        return 0;
}
