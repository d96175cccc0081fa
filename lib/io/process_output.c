/* process_output.c - a process is given its input while its output is collected: a task for each pipe, so
 * that whatever it does first, somebody is there for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/sys.h"
#include "io/process_output.h"

enum {
        LIMIT = 16 << 20,
        FIRST_BYTES = 4096,
        READ_LEAST = 4096,     /* room for a read: else the buffer grows */
        DISCARD_BYTES = 65536, /* beyond the limit: a pipe's worth */
        TERMINAL_HOLDS = 131072,
        HEAD = 16, /* before the text: how many bytes it has */
};

struct exchange;

/* One pipe that is read. */
struct reader {
        const struct exchange *exchange;
        int fd;
        bool terminal;
        char *text; /* NULL: nothing yet */
        size_t len, bytes;
        bool cut;
        char *discard;
};

struct exchange {
        struct ouro_communicate_options options;
        struct ouro_process *first, *last;
        struct reader readers[2];
        int in;
        bool exited; /* until_exit: it has, and what is in the pipes is all */
};

/* ---- collecting ---- */

static void text_free(char *text)
{
        size_t bytes;

        if (!text)
                return;
        memcpy(&bytes, text - HEAD, sizeof bytes);
        mem_free(text - HEAD, bytes + HEAD);
}

/* Room for the NUL is kept too. */
static int grow(struct reader *reader)
{
        size_t bytes = reader->bytes ? reader->bytes * 2 : FIRST_BYTES;
        char *memory = reader->text ? reader->text - HEAD : NULL;

        if (reader->bytes - reader->len > READ_LEAST)
                return 0;
        memory = mem_grow(memory, memory ? reader->bytes + HEAD : 0, bytes + HEAD);
        if (!memory)
                return -ENOMEM;
        memcpy(memory, &bytes, sizeof bytes);
        reader->text = memory + HEAD;
        reader->bytes = bytes;
        return 0;
}

static ssize_t read_some(const struct reader *reader, void *buf, size_t len)
{
        ssize_t n = ouro_read(reader->fd, buf, len);

        return reader->terminal && n == -EIO ? 0 : n; /* so a terminal tells that nobody has it open */
}

static ssize_t take_excess(struct reader *reader, ssize_t n)
{
        if (n <= 0)
                return n;
        reader->cut = true;
        return reader->exchange->options.cut ? n : -EMSGSIZE;
}

static ssize_t read_excess(struct reader *reader)
{
        if (!reader->discard)
                reader->discard = mem_alloc(DISCARD_BYTES);
        if (!reader->discard)
                return -ENOMEM;
        return take_excess(reader, read_some(reader, reader->discard, DISCARD_BYTES));
}

/* Bytes, 0 at the end, or a negated errno. */
static ssize_t collect(struct reader *reader)
{
        size_t left = reader->exchange->options.limit - reader->len, room;
        ssize_t n;
        int error;

        if (left == 0)
                return read_excess(reader);
        error = grow(reader);
        if (error < 0)
                return error;
        room = reader->bytes - reader->len - 1;
        n = read_some(reader, reader->text + reader->len, room < left ? room : left);
        if (n > 0)
                reader->len += (size_t)n;
        return n;
}

/* The process has ended: what the pipe holds is all. Somebody else may write to it without end: of what comes
 * while this reads, no more is taken than fits into the pipe. */
static ssize_t collect_rest(struct reader *reader)
{
        struct ouro_scope shield;
        int held = 0, room = sys_result(fcntl(reader->fd, F_GETPIPE_SZ));
        ssize_t n = 1, left = room > 0 ? room : TERMINAL_HOLDS;

        ouro_shield_open(&shield); /* nothing waits: the bytes are there, and nobody else takes them */
        for (; n > 0 && left > 0 && sys_result(ioctl(reader->fd, FIONREAD, &held)) == 0 && held > 0;
             left -= n)
                n = collect(reader);
        ouro_scope_close(&shield);
        return n < 0 ? n : 0;
}

static intptr_t reads(void *arg)
{
        struct reader *reader = arg;
        int error = grow(reader);
        ssize_t n = error < 0 ? error : 1;

        while (n > 0)
                n = collect(reader);
        if (n == -ECANCELED && reader->exchange->exited)
                n = collect_rest(reader);
        mem_free(reader->discard, DISCARD_BYTES);
        if (n == 0)
                reader->text[reader->len] = '\0';
        return n;
}

/* ---- giving ---- */

static intptr_t writes(void *arg)
{
        struct exchange *exchange = arg;
        int error = ouro_write_all(exchange->in, exchange->options.input, exchange->options.input_len, NULL);

        if (error == -EPIPE || (error == -ECANCELED && exchange->exited))
                error = 0; /* it did not want it */
        if (error == 0)
                ouro_process_close_fd(exchange->first, 0);
        return error;
}

/* ---- both ---- */

static void end_at_exit(struct exchange *exchange, const ouro_task *tasks, size_t n)
{
        int result = ouro_process_wait(exchange->last, NULL);

        if (result < 0 && result != -ECHILD)
                return; /* cut short, or a member has failed */
        exchange->exited = true;
        for (size_t i = 0; i < n; i++)
                ouro_cancel(tasks[i]);
}

static int run_members(struct exchange *exchange)
{
        struct ouro_group group;
        ouro_task tasks[3];
        size_t n = 0;
        int error = 0;

        ouro_group_open(&group, 0, &error);
        for (size_t i = 0; i < 2; i++)
                if (exchange->readers[i].fd >= 0)
                        tasks[n++] = ouro_create_task_in(&group, reads, &exchange->readers[i]);
        if (exchange->in >= 0)
                tasks[n++] = ouro_create_task_in(&group, writes, exchange);
        if (exchange->options.until_exit)
                end_at_exit(exchange, tasks, n);
        ouro_group_close(&group);
        return error;
}

static void init_reader(struct exchange *exchange, int number)
{
        struct reader *reader = &exchange->readers[number - 1];
        int fd = ouro_process_fd(exchange->last, number);

        reader->terminal = number == 1 && fd < 0;
        reader->exchange = exchange;
        reader->fd = reader->terminal ? ouro_process_pty(exchange->last) : fd;
}

static void close_pipes(const struct exchange *exchange)
{
        ouro_process_close_fd(exchange->first, 0);
        ouro_process_close_fd(exchange->last, 1);
        ouro_process_close_fd(exchange->last, 2);
        if (exchange->readers[0].terminal)
                ouro_process_close_fd(exchange->last, -1);
}

static void hand_over(const struct exchange *exchange, struct ouro_captured *ret_output)
{
        const struct reader *out = &exchange->readers[0], *err = &exchange->readers[1];

        *ret_output = (struct ouro_captured){
                .out = out->text,
                .err = err->text,
                .out_len = out->len,
                .err_len = err->len,
                .out_cut = out->cut,
                .err_cut = err->cut,
        };
}

/* Two who read one pipe would get parts of it each. */
static bool talked_to(const struct ouro_process *first, const struct ouro_process *last)
{
        return first->talked_to || last->talked_to;
}

static void set_talked_to(const struct exchange *exchange, bool talked_to)
{
        exchange->first->talked_to = exchange->last->talked_to = talked_to;
}

int output_exchange(struct ouro_process *first, struct ouro_process *last,
                    const struct ouro_communicate_options *options, struct ouro_captured *ret_output)
{
        struct exchange exchange = {.options = OURO_COMMUNICATE_OPTIONS_INIT, .first = first, .last = last};
        int error;

        if (!ret_output || (options && options_read(&exchange.options, sizeof exchange.options, options) < 0))
                return -EINVAL;
        if (!exchange.options.input && exchange.options.input_len > 0)
                return -EINVAL;
        if (talked_to(first, last))
                return -EBUSY;
        if (exchange.options.limit == 0)
                exchange.options.limit = LIMIT;
        if (sched_current->current->interrupt)
                return sched_current->current->interrupt;
        exchange.in = ouro_process_fd(first, 0);
        init_reader(&exchange, 1);
        init_reader(&exchange, 2);
        process_enter(first);
        process_enter(last);
        set_talked_to(&exchange, true);
        error = run_members(&exchange);
        if (error == 0) /* else it may still have something to say, and a broken pipe would kill it */
                close_pipes(&exchange);
        set_talked_to(&exchange, false);
        process_leave(last);
        process_leave(first);
        if (error == 0) {
                hand_over(&exchange, ret_output);
        } else {
                text_free(exchange.readers[0].text);
                text_free(exchange.readers[1].text);
        }
        return error;
}

int ouro_process_communicate(ouro_process *process, const struct ouro_communicate_options *options,
                             struct ouro_captured *ret_output, struct ouro_exit *ret_exit)
{
        struct ouro_captured output;
        int result = process_refuse(process);

        if (result < 0)
                return result;
        if (!ret_output || !process_exit_is_usable(ret_exit))
                return -EINVAL;
        process_enter(process);
        result = output_exchange(process, process, options, &output);
        if (result == 0) {
                result = ouro_process_wait(process, ret_exit);
                if (result < 0 && result != -ECHILD)
                        ouro_captured_free(&output);
                else
                        *ret_output = output;
        }
        process_leave(process);
        return result;
}

void ouro_captured_free(struct ouro_captured *output)
{
        if (!output)
                return;
        text_free(output->out);
        text_free(output->err);
        *output = (struct ouro_captured){0};
}

/* ---- from start to end ---- */

static void direct(struct ouro_stdio *stdio, enum ouro_stdio_kind kind)
{
        if (stdio->kind == OURO_STDIO_INHERIT)
                stdio->kind = kind;
}

static int read_options(struct ouro_spawn_options *ret_options, const struct ouro_spawn_options *options,
                        const struct ouro_communicate_options *communicate, bool collects)
{
        *ret_options = (struct ouro_spawn_options)OURO_SPAWN_OPTIONS_INIT;
        if (options && options_read(ret_options, sizeof *ret_options, options) < 0)
                return -EINVAL;
        ret_options->leave_running = false;
        if (!collects || ret_options->pty)
                return 0;
        direct(&ret_options->in, communicate && communicate->input ? OURO_STDIO_PIPE : OURO_STDIO_NULL);
        direct(&ret_options->out, OURO_STDIO_PIPE);
        direct(&ret_options->err, OURO_STDIO_PIPE);
        return 0;
}

int ouro_run_command(const char *const *argv, const struct ouro_spawn_options *options,
                     const struct ouro_communicate_options *communicate, struct ouro_captured *ret_output,
                     struct ouro_exit *ret_exit)
{
        struct ouro_spawn_options how;
        ouro_process *process;
        int result = read_options(&how, options, communicate, ret_output != NULL);

        if (result < 0 || !process_exit_is_usable(ret_exit))
                return -EINVAL;
        result = ouro_spawn(argv, &how, &process);
        if (result < 0)
                return result;
        result = ret_output ? ouro_process_communicate(process, communicate, ret_output, ret_exit)
                            : ouro_process_wait(process, ret_exit);
        ouro_process_close(process);
        return result;
}
