/* relay.c - a pair of streams passed on to each other.
 *
 * A direction is inside the reader of one stream and the writer of the other for as long as it lasts, so that
 * either may be closed meanwhile. It works by the reader's buffer until that comes full; then, where both are
 * descriptors, through a pipe. */
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "base/sys.h"
#include "io/stream.h"
#include "task/task.h"

enum {
        BULK_BYTES = 16384,   /* in one read: a pipe pays */
        PIPE_BYTES = 1048576, /* of each pipe, if the system lets us */
        LARGE_PIPES = 16, /* so many of them at a time: what all pipes of a user have together is limited */
};

static atomic_uint large_pipes; /* of this process */

struct relay;

struct direction {
        struct relay *relay;
        ouro_stream *from;
        ouro_stream *to;
        uint64_t bytes;
        int error;
        int pipe[2]; /* -1: none */
        bool spliced;
        bool large; /* the pipe is one of the large ones */
        bool reads; /* it is inside */
        bool writes;
};

struct relay {
        struct direction directions[2];
        struct ouro_relay_options options;
        struct ouro_scope *scope; /* bounds both directions */
        int first_error;
};

static void moved(struct direction *direction, size_t bytes)
{
        direction->bytes += bytes;
        if (direction->relay->options.idle_ns > 0)
                (void)ouro_scope_reschedule(direction->relay->scope, direction->relay->options.idle_ns);
}

/* ---- by the buffer ---- */

/* Sends what is buffered, waiting for the first byte of it. Bytes, 0: the end, or an error; *ret_read tells
 * on which side. */
static ssize_t pass_buffered(struct direction *direction, bool *ret_read)
{
        ouro_stream *from = direction->from, *to = direction->to;
        ssize_t n = buffered(&from->in) > 0 ? (ssize_t)buffered(&from->in) : stream_fill(from);
        uint64_t before = to->sent_bytes + buffered(&to->out);
        size_t sent;
        int error;

        *ret_read = n <= 0;
        if (n <= 0)
                return n;
        error = stream_send(to, &(struct iovec){from->in.mem + from->in.begin, (size_t)n}, 1);
        sent = (size_t)(to->sent_bytes + buffered(&to->out) - before);
        from->in.begin += sent;
        if (sent > 0)
                moved(direction, sent);
        if (error == 0 && to->transport.flush)
                error = stream_send_rest(to);
        return error < 0 ? error : n;
}

/* ---- through a pipe ---- */

static bool open_pipe(struct direction *direction)
{
        if (!direction->spliced || stream_raw_fd(direction->from, 0) < 0 ||
            stream_raw_fd(direction->to, 1) < 0 || ouro_pipe(direction->pipe) < 0) {
                direction->spliced = false;
                return false;
        }
        direction->large = atomic_fetch_add(&large_pipes, 1) < LARGE_PIPES;
        if (!direction->large)
                atomic_fetch_sub(&large_pipes, 1);
        else
                (void)sys_result(fcntl(direction->pipe[1], F_SETPIPE_SZ, PIPE_BYTES));
        return true;
}

/* What is in the pipe, n bytes, goes back to where it came from. */
static void put_back(struct direction *direction, size_t n)
{
        struct stream_buffer *in = &direction->from->in;
        ssize_t got = 1;

        if (buffer_reserve(in, n, n, buffered(in) + n) < 0)
                return;
        for (; n > 0 && got > 0; n -= (size_t)got) {
                got = sys_result(read(direction->pipe[0], in->mem + in->end, n));
                if (got <= 0)
                        return;
                in->end += (size_t)got;
        }
}

/* Sends the n bytes that are in the pipe. 0 or an error. */
static int empty_pipe(struct direction *direction, size_t n)
{
        ouro_stream *to = direction->to;

        while (n > 0) {
                ssize_t sent =
                        ouro_splice(direction->pipe[0], NULL, stream_raw_fd(to, 1), NULL, n, SPLICE_F_MOVE);

                if (sent <= 0) {
                        put_back(direction, n);
                        return sent == -EINVAL ? -EINVAL : stream_note_write(to, sent < 0 ? sent : -EIO);
                }
                n -= (size_t)sent;
                to->sent_bytes += (uint64_t)sent;
                moved(direction, (size_t)sent);
        }
        return 0;
}

/* As pass_buffered(); -EINVAL says nothing of the stream, but that it has to go by buffers. */
static ssize_t pass_spliced(struct direction *direction, bool *ret_read)
{
        ouro_stream *from = direction->from;
        ssize_t n;
        int error;

        buffer_release(&from->in);
        n = ouro_splice(stream_raw_fd(from, 0), NULL, direction->pipe[1], NULL, PIPE_BYTES, SPLICE_F_MOVE);
        *ret_read = n <= 0;
        if (n == -EINVAL)
                return n;
        n = stream_note_read(from, n);
        if (n <= 0)
                return n;
        error = empty_pipe(direction, (size_t)n);
        return error < 0 ? error : n;
}

static void close_pipe(struct direction *direction)
{
        if (direction->large)
                atomic_fetch_sub(&large_pipes, 1);
        direction->large = false;
        for (int i = 0; i < 2; i++) {
                if (direction->pipe[i] >= 0)
                        (void)ouro_close(direction->pipe[i]);
                direction->pipe[i] = -1;
        }
}

/* ---- a direction ---- */

static bool is_bulk(struct direction *direction, ssize_t n)
{
        if (direction->pipe[0] >= 0)
                return true;
        return n >= BULK_BYTES && direction->spliced && open_pipe(direction);
}

/* Until one side fails, or the end has come. 0, or the error; *ret_read: it is the reader's. What was kept
 * back before goes out at once: its receiver may have to have it before it says anything. */
static int pass_all(struct direction *direction, bool *ret_read)
{
        ssize_t n = stream_send_rest(direction->to);

        if (n < 0)
                return (int)n;
        do {
                bool empty = buffered(&direction->from->in) == 0 && direction->from->lent.len == 0;

                if (empty && is_bulk(direction, n))
                        n = pass_spliced(direction, ret_read);
                else
                        n = pass_buffered(direction, ret_read);
                if (n == -EINVAL && direction->pipe[0] >= 0) { /* one of them knows no splice */
                        close_pipe(direction);
                        direction->spliced = false;
                        n = 1;
                }
        } while (n > 0);
        return (int)n;
}

/* Passes the end on, unless there is nothing to pass it on to. */
static int pass_end(struct direction *direction)
{
        int error = stream_send_rest(direction->to);

        if (error == 0)
                error = stream_end_sending(direction->to);
        return error == -EOPNOTSUPP || error == -ENOTCONN ? 0 : error;
}

/* A side that fails may leave the other direction going; so only what concerns both ends both. */
static void direction_failed(struct direction *direction, int error, bool by_reader)
{
        struct relay *relay = direction->relay;

        direction->error = error;
        if (relay->first_error == 0)
                relay->first_error = error;
        if (by_reader || error == -EBADF || error == -EBUSY || error == -ENOMEM)
                (void)ouro_scope_cancel(relay->scope);
}

static intptr_t run_direction(void *arg)
{
        struct direction *direction = arg;
        bool by_reader = false;
        int error = direction->error;

        if (error == 0)
                error = pass_all(direction, &by_reader);
        if (error == 0) {
                by_reader = false;
                error = pass_end(direction);
        }
        close_pipe(direction);
        if (error < 0)
                direction_failed(direction, error, by_reader);
        return 0;
}

static int claim(struct direction *direction)
{
        int error = stream_claim_reader(direction->from);

        direction->reads = error == 0;
        if (error == 0)
                error = stream_claim_writer(direction->to);
        direction->writes = direction->reads && error == 0;
        return error;
}

/* A sending side that has been ended already, or has failed, concerns its direction alone. */
static int look_round(struct direction *direction)
{
        int error = stream_look_as_reader(direction->from);

        if (error == 0)
                error = stream_look_as_writer(direction->to);
        if (error == 0 || error == -EBADF || sched_current->current->interrupt)
                return error;
        direction->error = error;
        return 0;
}

/* All four sides are claimed before anybody else runs, who might close the one that is not yet in use. */
static int enter(struct relay *relay)
{
        int error = claim(&relay->directions[0]);

        if (error == 0)
                error = claim(&relay->directions[1]);
        if (error < 0)
                return error;
        coro_spend(sched_current, 0);
        error = look_round(&relay->directions[0]);
        return error < 0 ? error : look_round(&relay->directions[1]);
}

static void leave(struct direction *direction)
{
        if (direction->writes)
                stream_leave_writer(direction->to, 0);
        if (direction->reads)
                stream_leave_reader(direction->from, 0);
}

/* ---- both ---- */

static int read_options(struct relay *relay, const struct ouro_relay_options *given,
                        const struct ouro_relayed *relayed)
{
        const struct ouro_relay_options defaults = OURO_RELAY_OPTIONS_INIT;
        int error = options_read(&relay->options, sizeof relay->options, given ? given : &defaults);

        if (error < 0)
                return error;
        if (relayed && (relayed->size < sizeof relayed->size || relayed->size > OPTIONS_MOST))
                return -EINVAL;
        return relay->options.idle_ns < 0 ? -EINVAL : 0;
}

static void tell(const struct relay *relay, struct ouro_relayed *ret_relayed)
{
        struct ouro_relayed relayed = OURO_RELAYED_INIT;
        size_t size;

        if (!ret_relayed)
                return;
        size = ret_relayed->size;
        for (int i = 0; i < 2; i++) {
                relayed.bytes[i] = relay->directions[i].bytes;
                relayed.errors[i] = relay->directions[i].error;
        }
        relayed.size = size;
        memset(ret_relayed, 0, size);
        memcpy(ret_relayed, &relayed, size < sizeof relayed ? size : sizeof relayed);
}

/* 0, or the group's error. */
static int run_both(struct relay *relay)
{
        int error = 0;

        OURO_GROUP_KEEP_GOING(group, &error) {
                ouro_task back = ouro_create_task_named(run_direction, &relay->directions[1], "relay");

                if (task_is_failed(back))
                        relay->first_error = (int)(int64_t)back.generation;
                else
                        run_direction(&relay->directions[0]);
        }
        return error;
}

/* Cut short from outside, each direction says so in its own words: the caller's is what counts. */
static int run_bounded(struct relay *relay)
{
        int64_t idle_ns = relay->options.idle_ns > 0 ? relay->options.idle_ns : OURO_FOREVER;
        struct ouro_scope scope;
        int error;

        relay->scope = ouro_scope_open(&scope, idle_ns, NULL);
        error = run_both(relay);
        if (ouro_scope_close(&scope) == 1 && (relay->first_error < 0 || error < 0))
                return -ETIMEDOUT;
        if (sched_current->current->interrupt && stream_is_passing(relay->first_error))
                return sched_current->current->interrupt;
        return relay->first_error < 0 ? relay->first_error : error;
}

int ouro_relay(ouro_stream *first, ouro_stream *second, const struct ouro_relay_options *options,
               struct ouro_relayed *ret_relayed)
{
        struct relay relay = {.first_error = 0};
        int error;

        if (!sched_current)
                return -EPERM;
        if (!first || !second || first == second)
                return -EINVAL;
        if (sched_current->current->interrupt)
                return sched_current->current->interrupt;
        error = read_options(&relay, options, ret_relayed);
        if (error < 0)
                return error;
        for (int i = 0; i < 2; i++)
                relay.directions[i] = (struct direction){.relay = &relay,
                                                         .from = i == 0 ? first : second,
                                                         .to = i == 0 ? second : first,
                                                         .pipe = {-1, -1},
                                                         .spliced = !relay.options.no_splice};
        error = enter(&relay);
        if (error == 0)
                error = run_bounded(&relay);
        leave(&relay.directions[0]);
        leave(&relay.directions[1]);
        tell(&relay, ret_relayed);
        return error;
}

static int open_borrowed(int fd, ouro_stream **ret_stream)
{
        struct ouro_stream_options options = OURO_STREAM_OPTIONS_INIT;

        options.borrowed = true;
        return ouro_stream_open(fd, &options, ret_stream);
}

int ouro_relay_fds(int first, int second, const struct ouro_relay_options *options,
                   struct ouro_relayed *ret_relayed)
{
        ouro_stream *streams[2];
        int error = open_borrowed(first, &streams[0]);

        if (error < 0)
                return error;
        error = open_borrowed(second, &streams[1]);
        if (error == 0) {
                error = first != second ? ouro_relay(streams[0], streams[1], options, ret_relayed) : -EINVAL;
                (void)ouro_stream_abort(streams[1], false);
        }
        (void)ouro_stream_abort(streams[0], false);
        return error;
}
