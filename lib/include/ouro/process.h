/* ouro/process.h - other programs: started, talked to, awaited, ended. Included by ouro.h, whose conventions
 * hold. */
#ifndef OURO_PROCESS_H
#define OURO_PROCESS_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- starting --------------------------------------------------------------------------------- */

/* A process that ouro_spawn() has started: a child of this process. It belongs to the loop that started it.
 * The loop watches it by a pidfd and reaps it at its end, whether or not a task waits: no zombie stays. (One
 * that leads a process group of its own is reaped when it is closed, so that the number of its group cannot
 * become another's.) The library has no SIGCHLD handler and reaps no other child; a handler of the program
 * sees this child end like any other. */
typedef struct ouro_process ouro_process;

/* Where a standard descriptor of the new process leads. */
enum ouro_stdio_kind {
        OURO_STDIO_INHERIT, /* to where this process's does, nowhere if that is closed or close-on-exec; with
                               the option pty, to the terminal */
        OURO_STDIO_NULL,    /* /dev/null */
        OURO_STDIO_PIPE,    /* to a pipe whose other end is ouro_process_fd() */
        OURO_STDIO_FD,      /* to fd, which stays the caller's */
        OURO_STDIO_STDOUT,  /* stderr only: to where stdout leads */
};

struct ouro_stdio {
        enum ouro_stdio_kind kind;
        int fd; /* OURO_STDIO_FD */
};

/* A descriptor that the new process has besides. */
struct ouro_spawn_fd {
        int fd; /* of this process; stays the caller's */
        int as; /* its number there, 3 or more */
};

/* Whose rights it has; takes CAP_SETUID and CAP_SETGID. */
struct ouro_spawn_user {
        uid_t uid;
        gid_t gid;
        const gid_t *groups; /* these and no other */
        size_t groups_len;
};

/* Of a terminal. */
struct ouro_window {
        unsigned rows, columns;      /* of characters */
        unsigned x_pixels, y_pixels; /* 0: not known */
};

/* How a process is started. Begin with OURO_SPAWN_OPTIONS_INIT; zero always means the default. What the
 * pointers name is lent until the call returns.
 *
 * But for what is asked for here it begins as a program expects to: every signal has its default effect and
 * none is blocked, and it has no descriptor but stdin, stdout, stderr and those of fds. */
struct ouro_spawn_options {
        size_t size; /* sizeof(struct ouro_spawn_options) */
        /* The program's file; default: argv[0], looked for in the PATH of the new environment (if that has
         * none, in /usr/local/bin:/usr/bin:/bin) unless it holds a slash. */
        const char *path;
        struct ouro_stdio in, out, err;
        const struct ouro_spawn_fd *fds; /* default: none */
        size_t fds_len;
        const char *const *environment; /* "NAME=value", ended by NULL; default: this process's */
        /* "NAME=value" goes into the environment in the place of what it held, "NAME" is taken out of it;
         * ended by NULL; default: none. */
        const char *const *set;
        /* To work in; default: this process's. A relative path of the program starts there. */
        const char *directory;
        const int *directory_fd;   /* the same as a descriptor; with directory, where that starts */
        bool new_session;          /* setsid(2): no controlling terminal, a process group of its own */
        bool new_group;            /* a process group of its own, which ouro_process_stop() ends as a whole */
        pid_t join_group;          /* a process group of this session; default: this process's */
        bool pty;                  /* a new terminal that controls a new session: see ouro_process_pty() */
        struct ouro_window window; /* its size; default: 24 rows, 80 columns */
        const sigset_t *blocked;   /* signals that it begins with blocked; default: none */
        const sigset_t *ignored;   /* ... and ignored; default: none */
        const mode_t *umask;       /* default: this process's */
        const struct ouro_spawn_user *user; /* default: this process's rights */
        const struct ouro_limit *limits;    /* see there; default: this process's */
        size_t limits_len;
        int nice; /* added to the nice value, -39 to 39; default 0 */
        /* It gets this when the thread that started it has ended, unless it has gained rights by exec. It is
         * then started by the calling thread, which waits for exec. Default: none. */
        int parent_death_signal;
        /* ouro_process_close() and the end of the loop leave it alone. Default: they kill it. */
        bool leave_running;
        /* Where to put, on failure, the name of the step that failed: "exec", "directory", "user", ...: a
         * literal. Default: nowhere. */
        const char **ret_failed;
};

#define OURO_SPAWN_OPTIONS_INIT OURO_SIZED_(struct ouro_spawn_options)

/**
 * OURO_ARGV - an argument list
 *
 * ouro_spawn(OURO_ARGV("ls", "-l"), ...): the strings, and the NULL that ends them. It lives as long as the
 * enclosing block, in C++ as the enclosing expression.
 */
#ifdef __cplusplus
#define OURO_ARGV(...) (std::initializer_list<const char *>{__VA_ARGS__, nullptr}.begin())
#else
#define OURO_ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#endif

/**
 * ouro_spawn - start a program
 * @argv: its arguments, the first by custom its name; ended by NULL
 * @options: see struct ouro_spawn_options; NULL for the defaults
 * @ret_process: to be closed by ouro_process_close()
 *
 * Returns when the program has been executed, or could not be: what execve(2) says is what this says. The
 * memory of this process is not copied, however large it is, and its other threads run on; a helper thread
 * waits for exec, unless parent_death_signal is set. Cancelled while it waits for its turn nothing is
 * started; a process that was started just as the call was cancelled is returned, not lost.
 *
 * A file without "#!" that is no program gives -ENOEXEC: no shell is tried.
 *
 * Returns: 0; -ENOENT: no such program or directory, -EACCES, -ENOEXEC, -E2BIG, -ENOTDIR, -ELOOP or another
 * errno of execve(2); -EAGAIN: RLIMIT_NPROC or the cgroup's limit; -EMFILE, -ENFILE, -EPERM: the user, group
 * or limits are refused; -EBADF: of descriptors; -EINVAL: argv or ret_process is NULL, argv is empty, or an
 * option is out of range or contradicts another; -ECANCELED, -ETIME.
 */
OURO_API int ouro_spawn(const char *const *argv, const struct ouro_spawn_options *options,
                        ouro_process **ret_process);

/**
 * ouro_process_pid - the number of a process
 * @process: from ouro_spawn()
 *
 * For people and for /proc. Once the process has ended the number may be another's: signals go by
 * ouro_process_signal().
 *
 * Returns: the number, also when it has ended; -EINVAL. Threads: from anywhere.
 */
OURO_API pid_t ouro_process_pid(const ouro_process *process);

/**
 * ouro_process_pidfd - the descriptor that stands for a process
 * @process: from ouro_spawn()
 *
 * It stays that of the process: readable for ouro_poll() when it has ended; not to be closed, nor to be
 * waited for by waitid(2).
 *
 * Returns: the descriptor, -EINVAL. Threads: from anywhere.
 */
OURO_API int ouro_process_pidfd(const ouro_process *process);

/**
 * ouro_process_fd - this process's end of a pipe to another
 * @process: from ouro_spawn()
 * @number: 0, 1 or 2: its stdin (to be written), stdout, stderr (to be read)
 *
 * It stays that of the process, and is closed with it.
 *
 * Returns: the descriptor; -EBADF: there is no pipe, or it has been closed or taken; -EINVAL, -EPERM.
 */
OURO_API int ouro_process_fd(const ouro_process *process, int number);

/**
 * ouro_process_take_fd - take a pipe, or the terminal, out of a process
 * @process: from ouro_spawn()
 * @number: 0, 1, 2 as ouro_process_fd(); -1: ouro_process_pty()
 *
 * Returns: the descriptor, now the caller's to close; else as ouro_process_fd().
 */
OURO_API int ouro_process_take_fd(ouro_process *process, int number);

/**
 * ouro_process_stream - take a pipe, or the terminal, out of a process, as a stream
 * @process: from ouro_spawn()
 * @number: as ouro_process_take_fd()
 * @options: as ouro_stream_open()
 * @ret_stream: to be closed by ouro_stream_close()
 *
 * Of a terminal, an -EIO is the end.
 *
 * Returns: 0, or an error of ouro_process_fd() or ouro_stream_open(), and the pipe is where it was.
 */
OURO_API int ouro_process_stream(ouro_process *process, int number, const struct ouro_stream_options *options,
                                 ouro_stream **ret_stream);

/**
 * ouro_process_close_fd - close this process's end of a pipe. Never cut short.
 * @process: from ouro_spawn()
 * @number: as ouro_process_take_fd(); 0 ends the input of the process
 *
 * Returns: as ouro_close(); -EBADF, -EINVAL, -EPERM.
 */
OURO_API int ouro_process_close_fd(ouro_process *process, int number);

/**
 * ouro_process_pty - this process's end of a pseudo-terminal
 * @process: started with the option pty
 *
 * Written to, it is what is typed; read, what is shown. When no process has the terminal open any more,
 * reading gives -EIO: that is its end.
 *
 * Returns: the descriptor, which stays that of the process; -EBADF: it has none, -EINVAL, -EPERM.
 */
OURO_API int ouro_process_pty(const ouro_process *process);

/* ---- its end ---------------------------------------------------------------------------------- */

/* How a process ended. Begin with OURO_EXIT_INIT. */
struct ouro_exit {
        size_t size;        /* sizeof(struct ouro_exit), set by the caller */
        int code;           /* 0 to 255; -1: a signal ended it */
        int signal;         /* that ended it, or 0 */
        bool core_dumped;   /* it left a core file */
        bool usage_unknown; /* what follows is 0: somebody else has reaped it */
        int64_t user_ns;    /* time on CPUs, its reaped children's included */
        int64_t system_ns;
        int64_t resident_bytes; /* the most it had resident */
        int64_t minor_faults, major_faults;
        int64_t voluntary_switches, involuntary_switches;
        int64_t blocks_read, blocks_written; /* of 512 bytes */
};

#define OURO_EXIT_INIT OURO_SIZED_(struct ouro_exit)

/* What ouro_process_wait() adds to the number of a signal. */
#define OURO_EXIT_SIGNAL 256

/**
 * ouro_process_wait - wait until a process has ended
 * @process: from ouro_spawn()
 * @ret_exit: its size set; the rest is filled in. May be NULL
 *
 * Any number of tasks may wait, before or after its end. Cut short, the wait leaves the process alone.
 *
 * Where the program itself reaps all children (wait(2), or SIGCHLD ignored), the status may be gone;
 * Linux 6.15 still tells it, without the usage.
 *
 * Returns: its exit code, 0 to 255, or OURO_EXIT_SIGNAL + the number of the signal that ended it, so that 0
 * is success and nothing else is; -ECHILD: it has ended, and somebody else has taken its status; -ECANCELED,
 * -ETIME; -EINVAL: process is NULL, or ret_exit has no size; -EPERM: of another loop.
 */
OURO_API int ouro_process_wait(ouro_process *process, struct ouro_exit *ret_exit);

/**
 * ouro_process_try_wait - ouro_process_wait() that does not wait
 * @process: from ouro_spawn()
 * @ret_exit: as there
 *
 * Returns: as there, but -EAGAIN if it has not ended; not a cancellation point.
 */
OURO_API int ouro_process_try_wait(ouro_process *process, struct ouro_exit *ret_exit);

/**
 * ouro_process_signal - send a signal to a process
 * @process: from ouro_spawn()
 * @signal: its number; 0 only asks whether it is there
 *
 * It goes by the pidfd: never to another process that has got its number.
 *
 * Returns: 0; -ESRCH: it has ended; -EPERM: it has gained rights, or is another loop's; -EINVAL.
 */
OURO_API int ouro_process_signal(ouro_process *process, int signal);

/**
 * ouro_process_signal_group - send a signal to the process group that a process leads
 * @process: started with new_group, new_session or pty
 * @signal: its number; 0 only asks whether somebody is there
 *
 * Also when the process itself has ended: as long as it is not closed nobody else can have its group's
 * number.
 *
 * Returns: 0; -ESRCH: nobody is left, and somebody else has reaped the process; -EPERM; -EINVAL: it leads no
 * group, or the signal is none.
 */
OURO_API int ouro_process_signal_group(ouro_process *process, int signal);

/**
 * ouro_process_stop - end a process, with grace
 * @process: from ouro_spawn()
 * @grace_ns: how long it has between SIGTERM (and SIGCONT) and SIGKILL; zero or less: SIGKILL at once
 * @ret_exit: as ouro_process_wait()
 *
 * Returns when it has ended. If it leads a process group, signals go to all of that, and what is left of the
 * group when it has ended gets SIGKILL. Cut short, or in a task that is cancelled already, it skips the
 * grace: SIGKILL is sent, and the end awaited all the same. (A process that the kernel does not let go, in
 * the middle of a broken disk's read, is waited for.)
 *
 * Returns: as ouro_process_wait(), never -ECANCELED or -ETIME: the process has ended. Also if it had before.
 */
OURO_API int ouro_process_stop(ouro_process *process, int64_t grace_ns, struct ouro_exit *ret_exit);

/**
 * ouro_process_close - have done with a process. Never cut short.
 * @process: freed; NULL does nothing
 *
 * Its pipes and terminal are closed. If it still runs it is killed, with the process group that it leads, and
 * its end is awaited; with the option leave_running it runs on, and is reaped by the loop if it ends before
 * that does; later it is the program's to reap. Tasks that wait for it are told how it ended; -ECANCELED if
 * it runs on.
 *
 * A process that is not closed when the loop ends is treated so by then; closing it is all that can be done
 * with it from then on, from any thread.
 *
 * Returns: 0; -EPERM: of another loop that runs, and nothing was done.
 */
OURO_API int ouro_process_close(ouro_process *process);

/* ---- input and output, all at once ------------------------------------------------------------ */

/* What a process has written. */
struct ouro_captured {
        char *out, *err; /* NUL-terminated; NULL where there was no pipe */
        size_t out_len, err_len;
        bool out_cut, err_cut; /* there was more than the limit, and it is lost */
};

/**
 * ouro_captured_free - free what was collected
 * @output: its members are NULL and 0 then; may be NULL
 *
 * Threads: from anywhere.
 */
OURO_API void ouro_captured_free(struct ouro_captured *output);

/* Begin with OURO_COMMUNICATE_OPTIONS_INIT; zero always means the default. */
struct ouro_communicate_options {
        size_t size;       /* sizeof(struct ouro_communicate_options) */
        const void *input; /* for its stdin, which is closed after it; lent until the call returns */
        size_t input_len;
        size_t limit;    /* bytes that are kept of stdout, and of stderr; default 16 MiB */
        bool cut;        /* what exceeds the limit is read, thrown away and told of; default: -EMSGSIZE */
        bool until_exit; /* done when the process itself has ended and what the pipes hold then has been read;
                            default: when nobody holds the pipes' other ends, as daemons that it has
                            started may */
};

#define OURO_COMMUNICATE_OPTIONS_INIT OURO_SIZED_(struct ouro_communicate_options)

/**
 * ouro_process_communicate - give a process its input, and collect its output
 * @process: from ouro_spawn(); what of stdin, stdout, stderr is a pipe (or stdout by way of a pty) takes part
 * @options: see struct ouro_communicate_options; NULL for the defaults
 * @ret_output: for ouro_captured_free()
 * @ret_exit: as ouro_process_wait()
 *
 * All of it goes on at the same time, so that no order in which the process reads and writes can make both
 * wait for ever; then its end is awaited. That it did not read all input is no error. Afterwards stdin,
 * stdout and stderr are closed. On failure they stay, since a broken pipe might kill the process, which is
 * left alone whatever happens: stop or close it then. What had been collected is lost.
 *
 * Returns: as ouro_process_wait(); -EMSGSIZE: it has written more than the limit, and nothing was kept;
 * -EBADF: a pipe is closed meanwhile; -EBUSY: another task's call is collecting already, and goes on
 * undisturbed; -EINVAL: ret_output is NULL; -ENOMEM.
 */
OURO_API int ouro_process_communicate(ouro_process *process, const struct ouro_communicate_options *options,
                                      struct ouro_captured *ret_output, struct ouro_exit *ret_exit);

/**
 * ouro_run_command - run a program to its end, and collect what it writes
 * @argv: as ouro_spawn()
 * @options: as ouro_spawn(); NULL for the defaults. stdout and stderr are pipes where it says INHERIT, and so
 * is stdin if there is input, else /dev/null
 * @communicate: as ouro_process_communicate(); NULL for the defaults
 * @ret_output: for ouro_captured_free(); NULL: stdout and stderr go where options say
 * @ret_exit: as ouro_process_wait()
 *
 * Put a time scope around it. Cut short or failed, it kills the program and waits for its end before it
 * returns.
 *
 * Returns: as ouro_process_wait(); an error of ouro_spawn() or ouro_process_communicate().
 */
OURO_API int ouro_run_command(const char *const *argv, const struct ouro_spawn_options *options,
                              const struct ouro_communicate_options *communicate,
                              struct ouro_captured *ret_output, struct ouro_exit *ret_exit);

/* ---- pipelines -------------------------------------------------------------------------------- */

/* One of a pipeline's. */
struct ouro_command {
        const char *const *argv;
        const struct ouro_spawn_options *options; /* NULL for the defaults. Its stdout, and the stdin of
                                                     the next, are the pipe between them, whatever it says */
};

/* Several processes, each reading what the one before writes. */
typedef struct ouro_pipeline ouro_pipeline;

/**
 * ouro_pipeline_open - start several programs, as a shell's a | b | c
 * @commands: from first to last
 * @commands_len: 1 to 1024
 * @ret_pipeline: to be closed by ouro_pipeline_close()
 *
 * This process keeps no end of the pipes between them: when one ends, the next sees the end of its input, and
 * the one before gets SIGPIPE. If one cannot be started, those before it are killed and reaped.
 *
 * With new_group in the options of the first, all of them are in its process group; with new_session or pty
 * the others stay in that of this process.
 *
 * Returns: as ouro_spawn(); -EINVAL: commands or ret_pipeline is NULL, or commands_len out of range.
 */
OURO_API int ouro_pipeline_open(const struct ouro_command *commands, size_t commands_len,
                                ouro_pipeline **ret_pipeline);

/**
 * ouro_pipeline_process - one process of a pipeline
 * @pipeline: from ouro_pipeline_open()
 * @index: from 0
 *
 * To signal it, ask about it or await it; it stays that of the pipeline.
 *
 * Returns: it, or NULL: there is none at index, or pipeline is NULL.
 */
OURO_API ouro_process *ouro_pipeline_process(ouro_pipeline *pipeline, size_t index);

/**
 * ouro_pipeline_wait - wait until all processes of a pipeline have ended
 * @pipeline: from ouro_pipeline_open()
 * @ret_exits: how each ended, as many as there are commands, the size of each set; may be NULL
 *
 * Returns: as ouro_process_wait(), of the last one that did not end with 0; 0: all did. As with a shell's
 * pipefail.
 */
OURO_API int ouro_pipeline_wait(ouro_pipeline *pipeline, struct ouro_exit *ret_exits);

/**
 * ouro_pipeline_communicate - give a pipeline its input, and collect its output
 * @pipeline: from ouro_pipeline_open()
 * @options: as ouro_process_communicate()
 * @ret_output: for ouro_captured_free(): stdout and stderr of the last one
 * @ret_exits: as ouro_pipeline_wait()
 *
 * The pipes are the stdin of the first, if its options say so, and the stdout and stderr of the last.
 *
 * Returns: as ouro_pipeline_wait(); errors as ouro_process_communicate().
 */
OURO_API int ouro_pipeline_communicate(ouro_pipeline *pipeline,
                                       const struct ouro_communicate_options *options,
                                       struct ouro_captured *ret_output, struct ouro_exit *ret_exits);

/**
 * ouro_pipeline_stop - end all processes of a pipeline, with grace
 * @pipeline: from ouro_pipeline_open()
 * @grace_ns: as ouro_process_stop(); one span of time for all of them
 * @ret_exits: as ouro_pipeline_wait()
 *
 * Returns: as ouro_pipeline_wait(), never -ECANCELED or -ETIME.
 */
OURO_API int ouro_pipeline_stop(ouro_pipeline *pipeline, int64_t grace_ns, struct ouro_exit *ret_exits);

/**
 * ouro_pipeline_close - have done with a pipeline. Never cut short.
 * @pipeline: freed; NULL does nothing
 *
 * Each process as by ouro_process_close().
 *
 * Returns: 0, -EPERM.
 */
OURO_API int ouro_pipeline_close(ouro_pipeline *pipeline);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
