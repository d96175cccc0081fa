/* stress.c - `ouro stress`: a warm-up, a measured run, and what is left afterwards.
 *
 * The warm-up does the same work for a moment. What the library, libc and the allocator set up once and keep
 * is then there already, so that the measured run has to give back everything that it takes. */
#include "report.h"
#include "procfs.h"
#include "stress.h"
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WARM_UP_NS OURO_MS(300)
#define SETTLE_NS OURO_SEC(5)

enum {
        PER_PROCESS = 4, /* descriptors, and one more for the moment of its start */
};

/* The directory that the files are in. */
struct workplace {
        char path[PATH_MAX];
        int fd;
};

static void complain(const char *what, int error)
{
        fprintf(stderr, "ouro stress: %s: %s\n", what, strerror(-error));
}

/* A connection has two ends here, and one that was cut may still be open at its server when its client has
 * begun anew. Files and pools need one each; the loop and the C library a few. */
static int allow_descriptors(const struct stress_options *options)
{
        rlim_t needed = 3 * (rlim_t)options->connections + options->tasks +
                        PER_PROCESS * (rlim_t)options->processes + 128;
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        if (limit.rlim_max < needed) {
                fprintf(stderr,
                        "ouro stress: --connections %u, --tasks %u and --processes %u need %ju descriptors, "
                        "the hard limit (ulimit -Hn) is %ju\n",
                        options->connections, options->tasks, options->processes, (uintmax_t)needed,
                        (uintmax_t)limit.rlim_max);
                return -EMFILE;
        }
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
                complain("cannot raise the limit of open files", -errno);
                return -EMFILE;
        }
        return 0;
}

static int make_workplace(struct workplace *workplace)
{
        const char *parent = getenv("TMPDIR");
        int len;

        if (!parent || parent[0] == '\0')
                parent = "/tmp";
        len = snprintf(workplace->path, sizeof(workplace->path), "%s/ouro-stress-XXXXXX", parent);
        if (len < 0 || (size_t)len >= sizeof(workplace->path))
                return -ENAMETOOLONG;
        if (!mkdtemp(workplace->path))
                return -errno;
        workplace->fd = open(workplace->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (workplace->fd < 0) {
                int r = -errno;

                rmdir(workplace->path);
                return r;
        }
        return 0;
}

/* Removes what a run has left there. Returns how many files that were. */
static uint64_t clear_workplace(const struct workplace *workplace)
{
        DIR *dir = opendir(workplace->path);
        struct dirent *entry;
        uint64_t left = 0;

        while (dir && (entry = readdir(dir))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                unlinkat(workplace->fd, entry->d_name, 0);
                left++;
        }
        if (dir)
                closedir(dir);
        return left;
}

static void leave_workplace(const struct workplace *workplace)
{
        clear_workplace(workplace);
        close(workplace->fd);
        if (rmdir(workplace->path) < 0)
                complain(workplace->path, -errno);
}

/* What both runs need. */
struct bench {
        const struct stress_options *options;
        struct corpus corpus;
        struct workplace workplace;
        struct stress_totals *totals;
        FILE *json; /* open from the start, so that it is not found wanting after a long run; or NULL */
};

static void run_once(struct bench *bench, bool warm_up, struct stress_outcome *outcome)
{
        struct ouro_options loop_options = OURO_OPTIONS_INIT;
        struct marks marks = {0};
        struct stress stress = {
                .options = bench->options,
                .corpus = &bench->corpus,
                .totals = bench->totals,
                .marks = &marks,
                .duration_ns = warm_up ? WARM_UP_NS : bench->options->duration_ns,
                .warm_up = warm_up,
                .live = !warm_up && !bench->options->quiet,
                .directory_fd = bench->workplace.fd,
                .backend = "no backend",
                .elapsed_ns = 1,
        };

        memset(bench->totals, 0, sizeof(*bench->totals));
        loop_options.backend = bench->options->backend;
        loop_options.report_stack_overflow = true;
        outcome->run_result = ouro_run_with(&loop_options, stress_main, &stress);
        marks_sweep(&marks, &bench->totals->job);
        marks_free(&marks);
        outcome->elapsed_ns = stress.elapsed_ns;
        outcome->backend = stress.backend;
        outcome->with_processes = bench->totals->kinds[STRESS_PROCESS].workers > 0;
        outcome->with_chaos = bench->options->chaos;
        outcome->strays = stress.strays;
}

/* The process as it is between two runs, when what the warm-up had open has gone. */
static int warm_up(struct bench *bench, struct stress_outcome *outcome, struct snapshot *ret_before)
{
        struct leftovers ignored;
        struct snapshot cold;
        int r = snapshot_take(&cold);

        if (r < 0) {
                complain("cannot read /proc/self", r);
                return r;
        }
        run_once(bench, true, outcome);
        r = (int)outcome->run_result;
        if (r < 0)
                complain("the loop does not run", r);
        else
                r = leftovers_settle(&cold, SETTLE_NS, leftovers_none_open, ret_before, &ignored);
        snapshot_free(&cold);
        return r;
}

/* Fills in the outcome of the measured run. Returns less than zero if there was none. */
static int run_measured(struct bench *bench, struct stress_outcome *outcome)
{
        struct snapshot before, after;
        int r = warm_up(bench, outcome, &before);

        if (r < 0)
                return r;
        procfs_forget_peak();
        run_once(bench, false, outcome);
        outcome->peak_bytes = procfs_peak_bytes();
        outcome->files_left = clear_workplace(&bench->workplace);
        r = leftovers_settle(&before, SETTLE_NS, leftovers_none, &after, &outcome->leftovers);
        snapshot_free(&before);
        if (r < 0)
                complain("cannot read /proc/self", r);
        else
                snapshot_free(&after);
        return r;
}

static int tell(const struct bench *bench, const struct stress_outcome *outcome)
{
        const struct stress_options *options = bench->options;
        struct verdict verdict;
        int r;

        verdict_judge(outcome, &verdict);
        if (!options->quiet)
                report_table(outcome);
        report_verdict(&verdict, options->quiet);
        if (bench->json) {
                r = report_json(bench->json, options, outcome, &verdict);
                if (r < 0) {
                        complain(options->json, r);
                        return TOOL_FAILED;
                }
        }
        return verdict.ok ? TOOL_OK : TOOL_FAILED;
}

static int run_in_workplace(struct bench *bench, struct stress_outcome *outcome)
{
        int r = make_workplace(&bench->workplace);

        if (r < 0) {
                complain("cannot make a directory for the files (TMPDIR chooses where)", r);
                return r;
        }
        r = run_measured(bench, outcome);
        leave_workplace(&bench->workplace);
        return r;
}

/* Tells only when everything has been tidied up: standard output may be a pipe that nobody reads any more. */
static int run_and_tell(struct bench *bench)
{
        struct stress_outcome outcome = {.totals = bench->totals};

        if (!bench->options->quiet)
                report_begin(bench->options);
        if (run_in_workplace(bench, &outcome) < 0)
                return TOOL_FAILED;
        return tell(bench, &outcome);
}

static int stress(struct bench *bench)
{
        int r = corpus_make(&bench->corpus, bench->options->seed), status = TOOL_FAILED;

        bench->totals = calloc(1, sizeof(*bench->totals));
        if (r < 0 || !bench->totals)
                complain("no memory for the data", -ENOMEM);
        else
                status = run_and_tell(bench);
        free(bench->totals);
        corpus_free(&bench->corpus);
        return status;
}

static int stress_to_json(struct bench *bench)
{
        const char *name = bench->options->json;
        bool to_stdout = name && strcmp(name, "-") == 0;
        int status;

        if (name) {
                bench->json = to_stdout ? stdout : fopen(name, "we");
                if (!bench->json) {
                        complain(name, -errno);
                        return TOOL_USAGE;
                }
        }
        status = stress(bench);
        if (bench->json && !to_stdout)
                fclose(bench->json);
        return status;
}

int stress_command(int argc, char **argv)
{
        struct stress_options options;
        struct bench bench = {.options = &options};

        if (stress_parse(argc, argv, &options) < 0)
                return TOOL_USAGE;
        if (options.help) {
                stress_usage();
                return TOOL_OK;
        }
        if (allow_descriptors(&options) < 0)
                return TOOL_USAGE;
        return stress_to_json(&bench);
}
