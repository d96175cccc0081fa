/* process_spawn.c - from options to a birth: what is asked for is checked and laid out, descriptors are made,
 * and all of it is given back where a later step fails. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/sys.h"
#include "io/birth.h"
#include "io/process.h"
#include "io/spawn_text.h"
#include "ring/op.h"

enum { STANDARD = 3, FDS_MOST = 1024 };

struct spawn {
        struct ouro_spawn_options options;
        struct birth birth;
        struct spawn_text text;
        struct ouro_process *process;
        int theirs[STANDARD]; /* what becomes the child's stdin, stdout, stderr; -1: it has none */
        bool made[STANDARD];  /* it was opened here, and is closed once the child has it */
        int terminal;         /* its end of the pseudo-terminal, or -1 */
};

/* ---- checks ---- */

static bool is_stdio(const struct ouro_stdio *stdio, bool is_err)
{
        return (unsigned)stdio->kind <= OURO_STDIO_STDOUT && (stdio->kind != OURO_STDIO_STDOUT || is_err);
}

static int check_limits(const struct ouro_spawn_options *options)
{
        const struct ouro_limit *limits = options->limits;

        if (options->limits_len > RLIM_NLIMITS || (options->limits_len > 0 && !limits))
                return -EINVAL;
        for (size_t i = 0; i < options->limits_len; i++)
                if (limits[i].resource < 0 || limits[i].resource >= RLIM_NLIMITS ||
                    limits[i].soft > limits[i].hard)
                        return -EINVAL;
        return 0;
}

static int check_fds(const struct ouro_spawn_options *options)
{
        const struct ouro_spawn_fd *fds = options->fds;

        if (options->fds_len > FDS_MOST || (options->fds_len > 0 && !fds))
                return -EINVAL;
        for (size_t i = 0; i < options->fds_len; i++) {
                if (fds[i].as < STANDARD)
                        return -EINVAL;
                for (size_t j = 0; j < i; j++)
                        if (fds[j].as == fds[i].as)
                                return -EINVAL;
                if (sys_result(fcntl(fds[i].fd, F_GETFD)) < 0)
                        return -EBADF;
        }
        return 0;
}

static int check_options(const struct ouro_spawn_options *options)
{
        const struct ouro_spawn_user *user = options->user;
        int groups = options->new_group + options->new_session + (options->join_group != 0);
        int error;

        if (!is_stdio(&options->in, false) || !is_stdio(&options->out, false) ||
            !is_stdio(&options->err, true))
                return -EINVAL;
        if (groups > 1 || (options->pty && options->join_group) || options->join_group < 0)
                return -EINVAL;
        if (options->nice < -39 || options->nice > 39 || options->parent_death_signal < 0 ||
            options->parent_death_signal > SIGRTMAX)
                return -EINVAL;
        if (user && user->groups_len > 0 && !user->groups)
                return -EINVAL;
        error = check_limits(options);
        return error < 0 ? error : check_fds(options);
}

/* ---- descriptors ---- */

static int open_pipe(struct spawn *spawn, int number)
{
        int ends[2], error = sys_result(pipe2(ends, O_CLOEXEC));
        bool writes = number == 0; /* we do */

        if (error < 0)
                return error;
        spawn->process->fds[number] = ends[writes];
        spawn->theirs[number] = ends[!writes];
        spawn->made[number] = true;
        return 0;
}

static int open_null(struct spawn *spawn, int number)
{
        int fd = sys_result(open("/dev/null", O_RDWR | O_CLOEXEC));

        if (fd < 0)
                return fd;
        spawn->theirs[number] = fd;
        spawn->made[number] = true;
        return 0;
}

/* Where stdin is closed, its number may be that of anything, the loop's own ring say, which is closed on
 * exec. */
static bool is_inherited(int number)
{
        int flags = sys_result(fcntl(number, F_GETFD));

        return flags >= 0 && !(flags & FD_CLOEXEC);
}

static int lead(struct spawn *spawn, int number, const struct ouro_stdio *stdio)
{
        bool closed;

        switch (stdio->kind) {
        case OURO_STDIO_PIPE:
                return open_pipe(spawn, number);
        case OURO_STDIO_NULL:
                return open_null(spawn, number);
        case OURO_STDIO_FD:
                spawn->theirs[number] = stdio->fd;
                return sys_result(fcntl(stdio->fd, F_GETFD)) < 0 ? -EBADF : 0;
        case OURO_STDIO_STDOUT:
                spawn->theirs[number] = spawn->theirs[STDOUT_FILENO];
                return 0;
        case OURO_STDIO_INHERIT:
                break;
        }
        closed = spawn->terminal < 0 && !is_inherited(number);
        spawn->theirs[number] = spawn->terminal >= 0 ? spawn->terminal : closed ? -1 : number;
        return 0;
}

static int open_terminal(struct spawn *spawn)
{
        if (!spawn->options.pty)
                return 0;
        return terminal_open_pair(&spawn->options.window, &spawn->process->fds[PROCESS_PTY],
                                  &spawn->terminal);
}

/* in, out: that replace what options say, or -1. */
static int open_descriptors(struct spawn *spawn, int in, int out)
{
        const struct ouro_spawn_options *options = &spawn->options;
        const struct ouro_stdio stdio[STANDARD] = {
                in >= 0 ? (struct ouro_stdio){OURO_STDIO_FD, in} : options->in,
                out >= 0 ? (struct ouro_stdio){OURO_STDIO_FD, out} : options->out,
                options->err,
        };
        int error = open_terminal(spawn);

        for (int number = 0; number < STANDARD && error == 0; number++)
                error = lead(spawn, number, &stdio[number]);
        return error;
}

/* The kernel has seen these numbers as other files, maybe. */
static void make_known(struct ring *ring, const struct ouro_process *process)
{
        ring_forget_fd(ring, process->pidfd);
        for (size_t i = 0; i < sizeof process->fds / sizeof *process->fds; i++)
                ring_forget_fd(ring, process->fds[i]);
}

static void close_theirs(struct spawn *spawn)
{
        for (int number = 0; number < STANDARD; number++)
                if (spawn->made[number])
                        (void)sys_result(close(spawn->theirs[number]));
        if (spawn->terminal >= 0)
                (void)sys_result(close(spawn->terminal));
}

static int by_number(const void *a, const void *b)
{
        const struct birth_fd *left = a, *right = b;

        return (left->to > right->to) - (left->to < right->to);
}

static int list_descriptors(struct spawn *spawn)
{
        const struct ouro_spawn_options *options = &spawn->options;
        struct birth *birth = &spawn->birth;

        birth->fds = mem_alloc((STANDARD + options->fds_len) * sizeof *birth->fds);
        if (!birth->fds)
                return -ENOMEM;
        for (int number = 0; number < STANDARD; number++)
                if (spawn->theirs[number] >= 0)
                        birth->fds[birth->fds_len++] = (struct birth_fd){spawn->theirs[number], number};
        for (size_t i = 0; i < options->fds_len; i++)
                birth->fds[birth->fds_len++] = (struct birth_fd){options->fds[i].fd, options->fds[i].as};
        qsort(birth->fds, birth->fds_len, sizeof *birth->fds, by_number);
        return 0;
}

/* ---- the rest ---- */

static uint64_t bits_of(const sigset_t *set)
{
        uint64_t bits = 0;

        for (int number = 1; set && number <= SIGRTMAX; number++)
                if (sigismember(set, number) == 1)
                        bits |= (uint64_t)1 << (number - 1);
        return bits;
}

static int nice_of_child(int added)
{
        int saved = errno, nice = getpriority(PRIO_PROCESS, 0) + added;

        errno = saved;
        return nice < -20 ? -20 : nice > 19 ? 19 : nice;
}

static void fill_in(struct spawn *spawn, const char *const *argv, pid_t group)
{
        const struct ouro_spawn_options *options = &spawn->options;
        struct birth *birth = &spawn->birth;

        birth->argv = argv;
        birth->files = spawn->text.files;
        birth->environment = spawn->text.environment;
        birth->directory = options->directory;
        birth->directory_fd = options->directory_fd;
        birth->terminal = spawn->terminal;
        birth->set_nice = options->nice != 0;
        birth->nice = nice_of_child(options->nice);
        birth->new_session = options->new_session || options->pty;
        birth->new_group = options->new_group;
        birth->join_group = group ? group : options->join_group;
        birth->blocked = bits_of(options->blocked);
        birth->ignored = bits_of(options->ignored);
        birth->umask = options->umask;
        birth->user = options->user;
        birth->limits = options->limits;
        birth->limits_len = options->limits_len;
        birth->parent_death_signal = options->parent_death_signal;
}

static int prepare(struct spawn *spawn, const char *const *argv, int in, int out, pid_t group)
{
        int error = check_options(&spawn->options);

        if (error == 0)
                error = spawn_text_make(&spawn->text, argv, &spawn->options);
        if (error < 0)
                return error;
        spawn->process = process_new();
        if (!spawn->process)
                return -ENOMEM;
        error = open_descriptors(spawn, in, out);
        if (error == 0)
                error = list_descriptors(spawn);
        if (error == 0)
                fill_in(spawn, argv, group);
        return error;
}

static intptr_t give_birth(void *birth)
{
        return birth_give(birth);
}

/* The thread that clones is the parent whose death the signal tells of, and a helper ends when it is idle. */
static int start(struct spawn *spawn)
{
        if (spawn->birth.parent_death_signal)
                return birth_give(&spawn->birth);
        return (int)op_call(give_birth, &spawn->birth);
}

static int carry_out(struct spawn *spawn, struct sched *sched)
{
        struct ouro_process *process = spawn->process;
        int error = start(spawn);

        if (error < 0) {
                if (spawn->options.ret_failed)
                        *spawn->options.ret_failed = spawn->birth.failed ? spawn->birth.failed : "process";
                return error;
        }
        process->pid = spawn->birth.pid;
        process->pidfd = spawn->birth.pidfd;
        process->leads = spawn->birth.new_session || spawn->birth.new_group;
        process->leave_running = spawn->options.leave_running;
        make_known(sched->ring, process);
        return process_begin(sched, process);
}

static void clean_up(struct spawn *spawn)
{
        close_theirs(spawn);
        mem_free(spawn->birth.fds, (STANDARD + spawn->options.fds_len) * sizeof *spawn->birth.fds);
        spawn_text_free(&spawn->text);
}

static int read_options(struct spawn *spawn, const struct ouro_spawn_options *options, pid_t group)
{
        *spawn = (struct spawn){.options = OURO_SPAWN_OPTIONS_INIT, .terminal = -1};
        if (options && options_read(&spawn->options, sizeof spawn->options, options) < 0)
                return -EINVAL;
        if (group && (spawn->options.join_group || spawn->options.new_group || spawn->options.new_session ||
                      spawn->options.pty))
                return -EINVAL;
        return 0;
}

int process_spawn(const struct ouro_command *command, int in, int out, pid_t group,
                  struct ouro_process **ret_process)
{
        struct sched *sched = sched_current;
        struct spawn spawn;
        int error;

        if (!command->argv || !command->argv[0] || !ret_process)
                return -EINVAL;
        if (!sched)
                return -EPERM;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        error = read_options(&spawn, command->options, group);
        if (error < 0)
                return error;
        error = prepare(&spawn, command->argv, in, out, group);
        if (error == 0)
                error = carry_out(&spawn, sched);
        clean_up(&spawn);
        if (error == 0)
                *ret_process = spawn.process;
        else if (spawn.process)
                process_free(spawn.process);
        return error;
}

int ouro_spawn(const char *const *argv, const struct ouro_spawn_options *options, ouro_process **ret_process)
{
        const struct ouro_command command = {.argv = argv, .options = options};

        return process_spawn(&command, -1, -1, 0, ret_process);
}
