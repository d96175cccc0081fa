/* job_runner.c - a small make: runs commands in the order in which they need each other, several at a time.
 *
 *      job_runner [-j JOBS] [-k] [-f FILE] [TARGET...]
 *
 * FILE (jobs.json if none is named) is an object of targets:
 *
 *      {
 *              "prog":   {"needs": ["main.o", "text.o"], "run": "cc -o prog main.o text.o"},
 *              "main.o": {"needs": ["main.c", "text.h"], "run": "cc -c main.c"},
 *              "text.o": {"needs": ["text.c", "text.h"], "run": "cc -c text.c"},
 *              "all":    {"needs": ["prog"]}
 *      }
 *
 * A target with a command is a file, up to date if it is there and nothing it needs is newer. One without
 * only stands for what it needs. What is needed and no target is a file that must be there. Without a TARGET
 * the first is made. The output of a command comes in one piece when it has ended. After a failure no further
 * command is begun, but with -k those that do not need what failed. Ctrl-C ends the commands with two seconds
 * of grace. Exit status: 0; 1: a failure; 2: usage, or a fault in the file; 130: interrupted.
 *
 * Every target is a task that waits for those it needs, then for its turn. */
#define _GNU_SOURCE 1 /* for statx */
#include <ouro.h>

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t GRACE_NS = OURO_SEC(2);

struct job {
        const char *name, *command;
        struct json_object *needs; /* NULL: nothing */
        struct job *next;          /* after those that it needs */
        enum { UNSEEN, OPEN, PLANNED } mark;
        struct ouro_event ended;
        bool failed;
};

static struct {
        struct json_object *targets;
        struct job *first, **last;
        struct ouro_semaphore turns;
        struct ouro_mutex output;
        bool keep_going;
        unsigned run, current, failed, left;
} runner = {.last = &runner.first};

static void die(const char *what, const char *name)
{
        fprintf(stderr, "job_runner: %s: %s\n", name, what);
        exit(2);
}

static struct job *job_of(const char *name)
{
        struct json_object *target, *value;
        struct job *job;

        if (!json_object_object_get_ex(runner.targets, name, &target))
                return NULL;
        job = json_object_get_userdata(target);
        if (job)
                return job;
        job = calloc(1, sizeof *job);
        if (!job || !json_object_is_type(target, json_type_object))
                die("a target must be an object", name);
        job->name = name;
        json_object_set_userdata(target, job, NULL);
        if (json_object_object_get_ex(target, "run", &value))
                job->command = json_object_get_string(value);
        json_object_object_get_ex(target, "needs", &job->needs);
        if (job->needs && !json_object_is_type(job->needs, json_type_array))
                die("needs must be a list", name);
        return job;
}

static size_t needs_of(const struct job *job)
{
        return job->needs ? json_object_array_length(job->needs) : 0;
}

static const char *need_of(const struct job *job, size_t i)
{
        const char *name = json_object_get_string(json_object_array_get_idx(job->needs, i));

        return name ? name : "null";
}

static void plan(struct job *job)
{
        if (job->mark == OPEN)
                die("a target needs itself", job->name);
        if (job->mark == PLANNED)
                return;
        job->mark = OPEN;
        for (size_t i = 0; i < needs_of(job); i++) {
                struct job *need = job_of(need_of(job, i));

                if (need)
                        plan(need);
                else if (access(need_of(job, i), F_OK) != 0)
                        die("neither a target nor a file", need_of(job, i));
        }
        job->mark = PLANNED;
        *runner.last = job;
        runner.last = &job->next;
}

static void plan_target(const char *name)
{
        if (!job_of(name))
                die("no such target", name);
        plan(job_of(name));
}

/* When a file was changed last, in nanoseconds; -1: it is not there. */
static int64_t changed_at(const char *path)
{
        struct statx st;

        if (ouro_statx(AT_FDCWD, path, 0, STATX_MTIME, &st) < 0)
                return -1;
        return st.stx_mtime.tv_sec * OURO_SEC(1) + st.stx_mtime.tv_nsec;
}

static bool is_current(const struct job *job)
{
        int64_t at = changed_at(job->name);

        for (size_t i = 0; i < needs_of(job); i++)
                if (changed_at(need_of(job, i)) > at)
                        return false;
        return at >= 0;
}

static void show(const struct job *job, const struct ouro_captured *captured)
{
        if (ouro_mutex_lock(&runner.output) < 0)
                return;
        ouro_write_all(STDOUT_FILENO, job->command, strlen(job->command), NULL);
        ouro_write_all(STDOUT_FILENO, "\n", 1, NULL);
        ouro_write_all(STDOUT_FILENO, captured->out, captured->out_len, NULL);
        ouro_mutex_unlock(&runner.output);
}

/* Its own process group, so that ctrl-C comes to us alone, and what the shell has started can be ended too.
 */
static int run(const struct job *job)
{
        const char *const argv[] = {"/bin/sh", "-c", job->command, NULL};
        struct ouro_communicate_options limits = OURO_COMMUNICATE_OPTIONS_INIT;
        struct ouro_spawn_options options = OURO_SPAWN_OPTIONS_INIT;
        struct ouro_captured captured;
        ouro_process *process;
        int result;

        options.in.kind = OURO_STDIO_NULL;
        options.out.kind = OURO_STDIO_PIPE;
        options.err.kind = OURO_STDIO_STDOUT;
        options.new_group = true;
        limits.cut = true;
        result = ouro_spawn(argv, &options, &process);
        if (result < 0)
                return result;
        result = ouro_process_communicate(process, &limits, &captured, NULL);
        if (result >= 0) {
                show(job, &captured);
                ouro_captured_free(&captured);
        } else {
                OURO_SHIELD
                {
                        ouro_process_stop(process, GRACE_NS, NULL);
                }
        }
        ouro_process_close(process);
        return result;
}

/* What is half made would be taken for current the next time. */
static void make(struct job *job)
{
        static const char *const how[] = {"exit status", "signal"};
        int64_t before = changed_at(job->name);
        int result = run(job);

        runner.run++;
        job->failed = result != 0;
        if (!job->failed)
                return;
        runner.failed++;
        fprintf(stderr, "job_runner: %s: %s %d\n", job->name,
                result < 0 ? "error" : how[result >= OURO_EXIT_SIGNAL], result % OURO_EXIT_SIGNAL);
        OURO_SHIELD
        {
                if (changed_at(job->name) > before)
                        ouro_unlink(job->name);
        }
}

/* ---- one target ---- */

static int await_needs(const struct job *job)
{
        int error = 0;

        for (size_t i = 0; i < needs_of(job) && error == 0; i++) {
                struct job *need = job_of(need_of(job, i));

                error = need ? ouro_event_wait(&need->ended) : 0;
                if (error == 0 && need && need->failed)
                        error = -EPIPE;
        }
        return error;
}

static int take_turn(struct job *job)
{
        int error = ouro_semaphore_acquire(&runner.turns);

        if (error < 0)
                return error;
        if (runner.failed > 0 && !runner.keep_going)
                error = -EPIPE;
        else if (is_current(job))
                runner.current++;
        else
                make(job);
        ouro_semaphore_release(&runner.turns);
        return error;
}

static intptr_t does(void *arg)
{
        struct job *job = arg;
        int error = await_needs(job);

        if (error == 0 && job->command)
                error = take_turn(job);
        job->failed |= error < 0;
        runner.left += error == -EPIPE;
        ouro_event_set(&job->ended);
        return error == -ECANCELED ? error : 0;
}

static intptr_t run_all(void *unused)
{
        int error = 0;

        (void)unused;
        OURO_GROUP_KEEP_GOING(group, &error) {
                for (struct job *job = runner.first; job; job = job->next)
                        ouro_go(does, job);
        }
        return error;
}

static void read_arguments(int argc, char **argv)
{
        const char *file = "jobs.json";
        long jobs = sysconf(_SC_NPROCESSORS_ONLN);

        for (int option; (option = getopt(argc, argv, "j:kf:")) != -1;) {
                if (option == '?')
                        exit(2);
                jobs = option == 'j' ? atol(optarg) : jobs;
                file = option == 'f' ? optarg : file;
                runner.keep_going |= option == 'k';
        }
        runner.turns = (struct ouro_semaphore)OURO_SEMAPHORE_INIT(jobs > 0 ? (size_t)jobs : 1);
        runner.targets = json_object_from_file(file);
        if (!json_object_is_type(runner.targets, json_type_object))
                die("cannot be read as an object of targets", file);
        for (int i = optind; i < argc; i++)
                plan_target(argv[i]);
        json_object_object_foreach(runner.targets, name, target)
        {
                (void)target;
                if (!runner.first)
                        plan_target(name);
        }
}

int main(int argc, char **argv)
{
        struct ouro_options options = OURO_OPTIONS_INIT;
        intptr_t result;

        read_arguments(argc, argv);
        options.interrupt = OURO_INTERRUPT_SIGINT | OURO_INTERRUPT_SIGTERM;
        result = ouro_run_with(&options, run_all, NULL);
        printf("%u run, %u up to date, %u failed, %u not tried\n", runner.run, runner.current, runner.failed,
               runner.left);
        return result < 0 ? 130 : runner.failed > 0;
}
