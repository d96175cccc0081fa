/* inline_executor.c - an executor of one's own: it does each job at once, on the thread that submits it.
 *
 * It needs nothing but ouro/executor.h. Programs use one to have their jobs run in order and under the
 * debugger, without changing a line of what submits them. */
#include <ouro/executor.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLOSING = 1 << 30 };

struct inline_executor {
        ouro_executor executor; /* first: the library knows only this */
        atomic_int inside;      /* jobs that run now, on any thread, and CLOSING */
};

static struct inline_executor *inline_of(ouro_executor *executor)
{
        return (struct inline_executor *)executor;
}

/* The last one out tells, if nobody may come in any more. */
static void leave(struct inline_executor *self)
{
        if (atomic_fetch_sub(&self->inside, 1) == CLOSING + 1)
                ouro_executor_closed(&self->executor); /* it may be gone now */
}

static int enter(struct inline_executor *self)
{
        int inside = atomic_load(&self->inside);

        do
                if (inside & CLOSING)
                        return -ESHUTDOWN;
        while (!atomic_compare_exchange_weak(&self->inside, &inside, inside + 1));
        return 0;
}

static int inline_submit(ouro_executor *executor, struct ouro_job *job)
{
        int error = enter(inline_of(executor));

        if (error < 0)
                return error;
        if (ouro_job_begin(job))
                ouro_job_finish(job, ouro_job_run(job));
        leave(inline_of(executor));
        return 0;
}

static void inline_close(ouro_executor *executor)
{
        if (atomic_fetch_or(&inline_of(executor)->inside, CLOSING) == 0)
                ouro_executor_closed(executor);
}

static void inline_destroy(ouro_executor *executor)
{
        ouro_executor_fini(executor);
        free(inline_of(executor));
}

static void inline_stats(ouro_executor *executor, struct ouro_stats *stats)
{
        stats->running = (unsigned)(atomic_load(&inline_of(executor)->inside) & ~CLOSING);
        stats->workers = 1;
        stats->idle = stats->running ? 0 : 1;
}

static const struct ouro_executor_ops inline_ops = {
        .size = sizeof(struct ouro_executor_ops),
        .name = "inline",
        .submit = inline_submit,
        .close = inline_close,
        .destroy = inline_destroy,
        .stats = inline_stats,
};

ouro_executor *inline_executor(void);

ouro_executor *inline_executor(void)
{
        struct inline_executor *self = calloc(1, sizeof *self);

        if (!self)
                return NULL;
        if (ouro_executor_init(&self->executor, &inline_ops) < 0) {
                free(self);
                return NULL;
        }
        return &self->executor;
}

/* ---- one program, two executors ---- */

static intptr_t length(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job;
        *(size_t *)out.base = in.len;
        return 0;
}

static intptr_t measure(ouro_executor *executor, const char *where)
{
        static const char text[] = "to whom it may concern";
        size_t bytes = 0;
        intptr_t error = ouro_await(ouro_submit(executor, length, OURO_IN(text), OURO_OUT(bytes)));

        if (error < 0)
                return error;
        printf("%zu bytes, measured %s\n", bytes, where);
        return ouro_executor_close(executor);
}

static intptr_t app(void *arg)
{
        ouro_executor *here = inline_executor(), *threads = ouro_thread_pool(NULL);
        intptr_t error;

        (void)arg;
        if (!here || !threads)
                return -ENOMEM;
        error = measure(here, "here");
        return error < 0 ? error : measure(threads, "in a thread");
}

int main(void)
{
        return ouro_run(app, NULL) == 0 ? 0 : 1;
}
