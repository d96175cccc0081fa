/* process_pipeline.c - several processes, each with a pipe to the next.
 *
 * A pipe is made just before the process that writes it, and we close each end as soon as its process has it:
 * only the two neighbours hold it, so that each sees when the other has gone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/process_output.h"

enum { COMMANDS_MOST = 1024 };

struct ouro_pipeline {
        size_t len;
        struct ouro_process *processes[];
};

static size_t bytes_of(size_t len)
{
        return sizeof(struct ouro_pipeline) + len * sizeof(struct ouro_process *);
}

/* ---- starting ---- */

static void close_end(int fd)
{
        if (fd >= 0)
                (void)sys_result(close(fd));
}

/* The process group of the first, if it leads one: then all are in it. That of another session is for nobody
 * else. */
static pid_t group_of(const struct ouro_pipeline *pipeline)
{
        const struct ouro_process *first = pipeline->len > 0 ? pipeline->processes[0] : NULL;

        return first && first->leads && getsid(first->pid) == getsid(0) ? first->pid : 0;
}

/* in: what it reads, closed here; *ret_next: what the next reads. */
static int start_one(struct ouro_pipeline *pipeline, const struct ouro_command *command, bool is_last, int in,
                     int *ret_next)
{
        int ends[2] = {-1, -1}, error = is_last ? 0 : sys_result(pipe2(ends, O_CLOEXEC));

        if (error == 0)
                error = process_spawn(command, in, ends[1], group_of(pipeline),
                                      &pipeline->processes[pipeline->len]);
        close_end(in);
        close_end(ends[1]);
        if (error < 0) {
                close_end(ends[0]);
                return error;
        }
        pipeline->len++;
        *ret_next = ends[0];
        return 0;
}

static int start_all(struct ouro_pipeline *pipeline, const struct ouro_command *commands, size_t n)
{
        int in = -1, error = 0;

        for (size_t i = 0; i < n && error == 0; i++)
                error = start_one(pipeline, &commands[i], i == n - 1, in, &in);
        return error;
}

static int close_all(struct ouro_pipeline *pipeline, size_t len)
{
        for (size_t i = 0; i < pipeline->len; i++) {
                struct ouro_process *process = pipeline->processes[i];

                if (process->home && process->home != sched_current)
                        return -EPERM;
        }
        /* The first one last: its number is that of the group that the others are in. */
        for (size_t i = pipeline->len; i-- > 0;)
                ouro_process_close(pipeline->processes[i]);
        mem_free(pipeline, bytes_of(len));
        return 0;
}

int ouro_pipeline_open(const struct ouro_command *commands, size_t commands_len, ouro_pipeline **ret_pipeline)
{
        struct ouro_pipeline *pipeline;
        int error;

        if (!commands || !ret_pipeline || commands_len == 0 || commands_len > COMMANDS_MOST)
                return -EINVAL;
        if (!sched_current)
                return -EPERM;
        pipeline = mem_calloc(bytes_of(commands_len));
        if (!pipeline)
                return -ENOMEM;
        error = start_all(pipeline, commands, commands_len);
        if (error == 0) {
                *ret_pipeline = pipeline;
                return 0;
        }
        for (size_t i = 0; i < pipeline->len;
             i++) /* also what was to be left running: there is no pipeline */
                pipeline->processes[i]->leave_running = false;
        close_all(pipeline, commands_len);
        return error;
}

ouro_process *ouro_pipeline_process(ouro_pipeline *pipeline, size_t index)
{
        return pipeline && index < pipeline->len ? pipeline->processes[index] : NULL;
}

/* ---- its end ---- */

static int refuse(const struct ouro_pipeline *pipeline, const struct ouro_exit *exits)
{
        int error = pipeline ? process_refuse(pipeline->processes[0]) : -EINVAL;

        for (size_t i = 0; error == 0 && exits && i < pipeline->len; i++)
                if (!process_exit_is_usable(&exits[i]))
                        error = -EINVAL;
        return error;
}

/* All have ended: of the last that did not succeed. */
static int result_of(const struct ouro_pipeline *pipeline, struct ouro_exit *ret_exits)
{
        int result = 0;

        for (size_t i = 0; i < pipeline->len; i++) {
                int one = process_result(pipeline->processes[i], ret_exits ? &ret_exits[i] : NULL);

                if (one != 0)
                        result = one;
        }
        return result;
}

/* 0, or the error that cut it short. */
static int await_all(const struct ouro_pipeline *pipeline)
{
        for (size_t i = 0; i < pipeline->len; i++) {
                int result = ouro_process_wait(pipeline->processes[i], NULL);

                if (result < 0 && result != -ECHILD)
                        return result;
        }
        return 0;
}

int ouro_pipeline_wait(ouro_pipeline *pipeline, struct ouro_exit *ret_exits)
{
        int error = refuse(pipeline, ret_exits);

        if (error == 0)
                error = await_all(pipeline);
        return error < 0 ? error : result_of(pipeline, ret_exits);
}

int ouro_pipeline_communicate(ouro_pipeline *pipeline, const struct ouro_communicate_options *options,
                              struct ouro_captured *ret_output, struct ouro_exit *ret_exits)
{
        struct ouro_captured output;
        int error = refuse(pipeline, ret_exits);

        if (error == 0 && !ret_output)
                error = -EINVAL;
        if (error == 0)
                error = output_exchange(pipeline->processes[0], pipeline->processes[pipeline->len - 1],
                                        options, &output);
        if (error < 0)
                return error;
        error = await_all(pipeline);
        if (error < 0) {
                ouro_captured_free(&output);
                return error;
        }
        *ret_output = output;
        return result_of(pipeline, ret_exits);
}

static void signal_each(const struct ouro_pipeline *pipeline, int signal)
{
        for (size_t i = 0; i < pipeline->len; i++) {
                ouro_process_signal_group(pipeline->processes[i], signal);
                ouro_process_signal(pipeline->processes[i], signal);
        }
}

static void await_with_grace(const struct ouro_pipeline *pipeline, int64_t grace_ns)
{
        struct ouro_scope scope;

        signal_each(pipeline, SIGTERM);
        signal_each(pipeline, SIGCONT);
        ouro_scope_open(&scope, grace_ns, NULL);
        await_all(pipeline);
        ouro_scope_close(&scope);
}

int ouro_pipeline_stop(ouro_pipeline *pipeline, int64_t grace_ns, struct ouro_exit *ret_exits)
{
        int error = refuse(pipeline, ret_exits);

        if (error < 0)
                return error;
        if (grace_ns > 0 && !sched_current->current->interrupt)
                await_with_grace(pipeline, grace_ns);
        for (size_t i = pipeline->len; i-- > 0;)
                ouro_process_stop(pipeline->processes[i], 0, NULL);
        return result_of(pipeline, ret_exits);
}

int ouro_pipeline_close(ouro_pipeline *pipeline)
{
        return pipeline ? close_all(pipeline, pipeline->len) : 0;
}
