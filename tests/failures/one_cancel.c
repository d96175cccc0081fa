/* one_cancel.c - one verb, four targets, one promise: after ouro_cancel() and an await, nothing of the target
 * runs or writes any more, be it a coroutine, an operation of the kernel, a thread job or a process job. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(one_cancel, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

/* Where the target writes for as long as it runs. */
struct trace {
        atomic_long writes;
        atomic_int pid;   /* of the worker */
        atomic_int child; /* that the worker forked */
};

static void await_writes(struct trace *trace)
{
        while (trace->writes < 3)
                EQ(ouro_sleep(OURO_US(100)), 0);
}

/* Cancels it in the middle of its work, and sees that it has stopped: what it wrote stays as it is while
 * other things happen. */
static void cancel_and_watch(ouro_task target, struct trace *trace, intptr_t wanted)
{
        long writes;

        EQ(ouro_cancel(target), 0);
        EQ(ouro_await(target), wanted);
        writes = trace->writes;
        for (int i = 0; i < 20; i++)
                EQ(ouro_sleep(OURO_US(500)), 0);
        EQ(trace->writes, writes);
}

/* ---- coroutine ---- */

static intptr_t writes_between_waits(void *arg)
{
        struct trace *trace = arg;
        int error;

        while ((error = ouro_yield()) == 0)
                trace->writes++;
        return error;
}

IN_LOOP(one_cancel, f68_a_cancelled_coroutine_writes_no_more)
{
        struct trace trace = {0};
        ouro_task target = ouro_create_task(writes_between_waits, &trace);

        while (trace.writes < 3)
                EQ(ouro_yield(), 0);
        cancel_and_watch(target, &trace, -ECANCELED);
        return 0;
}

/* ---- operation ---- */

struct receiver {
        int fd;
        char buf[64];
};

static intptr_t receives(void *arg)
{
        struct receiver *receiver = arg;

        return ouro_recv(receiver->fd, receiver->buf, sizeof receiver->buf, 0);
}

IN_LOOP(one_cancel, f68_a_cancelled_operation_writes_no_more)
{
        static const char text[] = "too late";
        struct receiver receiver = {0};
        char buf[64] = {0};
        ouro_task target;
        int fds[2];

        unix_pair(fds);
        receiver.fd = fds[0];
        target = ouro_create_task(receives, &receiver);
        EQ(ouro_sleep(OURO_MS(1)), 0); /* the kernel has it */
        EQ(ouro_cancel(target), 0);
        EQ(ouro_await(target), -ECANCELED);
        EQ(send(fds[1], text, sizeof text, 0), sizeof text);
        EQ(ouro_sleep(OURO_MS(2)), 0);
        EQ(receiver.buf[0], 0);
        EQ(ouro_recv(fds[0], buf, sizeof buf, 0), sizeof text); /* and nothing was lost */
        cr_assert_str_eq(buf, text);
        close_both(fds);
        return 0;
}

/* ---- thread job ---- */

static intptr_t writes_until_asked(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct trace *trace = out.base;

        (void)in;
        while (!ouro_job_cancelled(job))
                trace->writes++;
        for (int i = 0; i < 1000; i++) /* its memory is still its own */
                trace->writes++;
        return -ECANCELED;
}

IN_LOOP(one_cancel, f68_a_cancelled_thread_job_writes_no_more)
{
        ouro_executor *threads = ouro_thread_pool(NULL);
        struct trace trace = {0};
        ouro_task target = ouro_submit(threads, writes_until_asked, OURO_NO_IN, OURO_OUT(trace));

        await_writes(&trace);
        cancel_and_watch(target, &trace, -ECANCELED);
        EQ(ouro_executor_close(threads), 0);
        return 0;
}

/* ---- process job ---- */

static intptr_t writes_for_ever(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct trace *trace = out.base;

        (void)job, (void)in;
        trace->pid = getpid();
        while (trace->writes++ >= 0)
                continue;
        return 0;
}

static void *writes_in_a_thread(void *arg)
{
        struct trace *trace = arg;

        while (trace->writes++ >= 0)
                continue;
        return NULL;
}

/* Deaf to SIGTERM, with a child in a session of its own and a thread that go on working. */
static intptr_t holds_on(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct trace *trace = out.base;
        pthread_t thread;

        (void)job, (void)in;
        signal(SIGTERM, SIG_IGN);
        trace->pid = getpid();
        trace->child = fork();
        if (trace->child == 0) {
                setsid();
                for (;;)
                        pause();
        }
        pthread_create(&thread, NULL, writes_in_a_thread, trace);
        while (pause() < 0)
                continue;
        return 0;
}

static struct trace *trace_in_arena(ouro_executor *processes)
{
        void *span;

        EQ(ouro_arena_alloc(processes, sizeof(struct trace), &span), 0);
        memset(span, 0, sizeof(struct trace));
        return span;
}

static bool is_gone(pid_t pid)
{
        return kill(pid, 0) < 0 && errno == ESRCH;
}

IN_LOOP(one_cancel, f68_a_cancelled_process_job_writes_no_more)
{
        ouro_executor *processes = ouro_process_pool(NULL);
        struct trace *trace = trace_in_arena(processes);
        ouro_task target =
                ouro_submit(processes, writes_for_ever, OURO_NO_IN, ouro_out(trace, sizeof *trace));

        await_writes(trace);
        cancel_and_watch(target, trace, -ECANCELED);
        cr_assert(is_gone(trace->pid));
        EQ(ouro_executor_close(processes), 0);
        return 0;
}

IN_LOOP(one_cancel, f68_f96_a_process_job_that_holds_on_is_ended_with_all_it_started)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *processes;
        struct trace *trace;
        ouro_task target;

        options.grace_ns = OURO_MS(20);
        EQ(ouro_process_pool_open(&options, &processes), 0);
        trace = trace_in_arena(processes);
        target = ouro_submit(processes, holds_on, OURO_NO_IN, ouro_out(trace, sizeof *trace));
        await_writes(trace);
        cancel_and_watch(target, trace, -ECANCELED);
        cr_assert(is_gone(trace->pid));
        cr_assert(is_gone(trace->child));
        EQ(ouro_executor_close(processes), 0);
        return 0;
}
