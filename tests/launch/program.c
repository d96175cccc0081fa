/* program.c - a user's program: opens a process pool, and tells what a job returned. C and C++.
 *
 * usage: program START [MODE]; START is an enum ouro_start. What it prints stays in the buffer of stdout
 * until its end, as in any program whose stdout is a pipe: if main ran a second time, or a buffer were
 * inherited, the lines would be there twice. */
#include <dlfcn.h>
#include <errno.h>
#include <ouro.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what constructors make ---- */

static int from_constructor;
static volatile sig_atomic_t children_told_of;

static void *for_ever(void *unused)
{
        pause();
        return unused;
}

#ifndef BARE
__attribute__((constructor))
#endif
static void
construct(void)
{
        from_constructor = 17;
#ifdef STARTS_THREADS
        for (int i = 0; i < 3; i++) {
                pthread_t thread;

                pthread_create(&thread, NULL, for_ever, NULL);
        }
#endif
}

#ifdef __cplusplus
#include <map>
#include <string>

static std::map<std::string, int> global = {{"made", 8}, {"by", 9}, {"a constructor", 25}};

static int from_global(void)
{
        return global["a constructor"];
}
#else
static int from_global(void)
{
        return 25;
}
#endif

static int main_ran;

/* ---- jobs ---- */

/* 42 in a worker that has what constructors made, and in which main has not run. */
static intptr_t look(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return main_ran ? 1 : from_constructor + from_global();
}

/* The same by fork: the worker has what main has made, too. */
static intptr_t look_after_main(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return main_ran ? from_constructor + from_global() : 2;
}

/* 8 MiB are a thread's usual stack; this wants half of one. */
static intptr_t look_deep(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        volatile char deep[4 << 20];

        for (size_t i = 0; i < sizeof deep; i += 4096)
                deep[i] = 1;
        return deep[4096] == 1 ? look_after_main(job, in, out) : 3;
}

static intptr_t daemonize(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        int *zygote = (int *)out.base;

        (void)job, (void)in;
        *zygote = getppid();
        if (fork() == 0) {
                setsid();
                if (fork() == 0)
                        pause();
                _exit(0);
        }
        wait(NULL);
        return 0;
}

static volatile int never;

__attribute__((noinline)) static void write_through(volatile int *nowhere)
{
        *nowhere = 1;
        never = 1;
}

static intptr_t follow_null(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        write_through(NULL);
        return never;
}

/* ---- main ---- */

static intptr_t call(ouro_executor *pool, ouro_job_fn *fn)
{
        return ouro_await(ouro_submit(pool, fn, OURO_NO_IN, OURO_NO_OUT));
}

/* The zygote is killed, and a process that a job has sent into the background is an orphan then. */
static void leave_orphan(ouro_executor *pool)
{
        int zygote = 0;

        printf("left one: %d\n", (int)ouro_await(ouro_submit(pool, daemonize, OURO_NO_IN, OURO_OUT(zygote))));
        kill(zygote, SIGKILL);
        printf("and again: job %d\n", (int)call(pool, look));
}

static int names(const struct ouro_report *report, const char *function)
{
        return report && strstr(report->backtrace, function) != NULL;
}

/* The backtrace has the function that crashed and who called it, by name. */
static void tell_crash(ouro_executor *pool)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        struct ouro_report *report = NULL;
        int result;

        options.ret_report = &report;
        result = (int)ouro_call(pool, follow_null, OURO_NO_IN, OURO_NO_OUT, &options);
        printf("crashed %d in write_through %d, follow_null %d, ouro_job_run %d\n", result,
               names(report, "write_through"), names(report, "follow_null"), names(report, "ouro_job_run"));
        ouro_report_free(report);
}

struct task {
        enum ouro_start start;
        const char *mode;
};

static intptr_t use_pool(void *arg)
{
        const struct task *task = (const struct task *)arg;
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool = NULL;
        int result;

        options.start = task->start;
        options.workers = 2;
        options.helper = getenv("OURO_TEST_HELPER");
        result = ouro_process_pool_open(&options, &pool);
        printf("opened %d\n", result);
        if (result < 0)
                return 0;
        if (task->start == OURO_START_FORK)
                printf("job %d\ndeep job %d\n", (int)call(pool, look_after_main), (int)call(pool, look_deep));
        else
                printf("job %d\n", (int)call(pool, look));
        if (strcmp(task->mode, "orphan") == 0)
                leave_orphan(pool);
        if (strcmp(task->mode, "crash") == 0)
                tell_crash(pool);
        printf("closed %d\n", ouro_executor_close(pool));
        return 0;
}

static void count_children(int sig)
{
        (void)sig;
        children_told_of++;
}

static void await_word(void)
{
        char c;

        fflush(stdout);
        if (read(0, &c, 1) != 1)
                exit(3);
}

#ifdef OPENS_IN_CONSTRUCTOR
__attribute__((constructor)) static void open_too_early(void)
{
        ouro_executor *pool = NULL;
        int result = ouro_process_pool_open(NULL, &pool);

        fprintf(stderr, "in a constructor: %d\n", result);
        if (result == 0)
                ouro_executor_close(pool);
}
#endif

int main(int argc, char **argv)
{
        struct task task = {argc > 1 ? (enum ouro_start)atoi(argv[1]) : OURO_START_AUTO,
                            argc > 2 ? argv[2] : ""};

#ifdef BARE
        construct();
#endif
#ifdef CALLS_WORKER_MAIN
        ouro_worker_main(argc, argv);
#endif
        main_ran = 1;
        printf("main\n");
        signal(SIGCHLD, count_children);
        if (strcmp(task.mode, "wait") == 0)
                await_word();
        if (strcmp(task.mode, "orphan") == 0)
                prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (ouro_run(use_pool, &task) < 0)
                return 2;
        printf("children %d, told of %d\n", waitpid(-1, NULL, __WALL | WNOHANG), (int)children_told_of);
        (void)for_ever;
        return 0;
}
