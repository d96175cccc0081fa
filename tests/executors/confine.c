/* A worker is what the options say, whatever the host happens to be, and stays so. The filter and Landlock
 * have files of their own: filter.c, landlock.c. */
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "executors/output.h"
#include "confined.h"
#include "support/temp_dir.h"

static struct ouro_process_options options;

static void begin(void)
{
        temp_begin();
        options = (struct ouro_process_options)OURO_PROCESS_OPTIONS_INIT;
}

TestSuite(confine, .init = begin, .fini = temp_end);

/* ---- as configured ---- */

static int is_as_configured(void)
{
        struct rlimit limit;
        char here[4096];
        cpu_set_t set;

        MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 20 && limit.rlim_max == 30);
        MUST(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0);
        MUST(getpriority(PRIO_PROCESS, 0) == 5);
        MUST(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set));
        MUST(getcwd(here, sizeof here) && strcmp(strrchr(here, '/'), "/below") == 0);
        MUST(environ[0] && strcmp(environ[0], "ONLY=this") == 0 && !environ[1]);
        MUST(setenv("MORE", "1", 1) == 0 && strcmp(getenv("ONLY"), "this") == 0);
        environ[0][5] = 'T'; /* it is the worker's own */
        MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
        return 0;
}

Test(confine, f86_a_worker_is_as_configured)
{
        static const struct ouro_limit limits[] = {{RLIMIT_NOFILE, 20, 30}, {RLIMIT_CORE, 0, 0}};
        static const char *const environment[] = {"ONLY=this", NULL};
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(0, &set);
        EQ(mkdir("below", 0700), 0);
        EQ(setpriority(PRIO_PROCESS, 0, 3), 0);
        options.limits = limits;
        options.limits_len = 2;
        options.nice = 2;
        options.cpus = &set;
        options.cpus_bytes = sizeof set;
        options.directory = "below";
        options.environment = environment;
        options.confine = OURO_CONFINE_NO_NEW_PRIVILEGES;
        confined_holds(&options, NULL, is_as_configured);
}

static void change_the_host(void)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(0, &set);
        EQ(chdir("/"), 0);
        EQ(setpriority(PRIO_PROCESS, 0, 7), 0);
        EQ(sched_setaffinity(0, sizeof set, &set), 0);
        EQ(setenv("OURO_TEST_OPENED", "after", 1), 0);
}

static unsigned cpus_before;

static int is_as_the_host_was(void)
{
        char here[4096];
        cpu_set_t set;

        MUST(getcwd(here, sizeof here) && strcmp(here, temp_dir) == 0);
        MUST(getpriority(PRIO_PROCESS, 0) == 1);
        MUST(sched_getaffinity(0, sizeof set, &set) == 0 && (unsigned)CPU_COUNT(&set) == cpus_before);
        MUST(strcmp(getenv("OURO_TEST_OPENED"), "before") == 0);
        MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0); /* nothing that was not asked for */
        return 0;
}

Test(confine, f86_defaults_are_those_of_the_host_when_it_opened_the_pool)
{
        const struct confined_how how = {.meanwhile = change_the_host};
        cpu_set_t set;

        EQ(sched_getaffinity(0, sizeof set, &set), 0);
        cpus_before = (unsigned)CPU_COUNT(&set);
        EQ(setenv("OURO_TEST_OPENED", "before", 1), 0);
        if (getuid() != 0) {
                PASSED_OVER("needs to be root, to be nicer and then less so");
                return;
        }
        EQ(setpriority(PRIO_PROCESS, 0, 1), 0);
        confined_holds(&options, &how, is_as_the_host_was);
}

/* ---- an environment that hides the host's ---- */

static bool file_has(const char *path, const char *text)
{
        static char all[1 << 20];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t len = read(fd, all, sizeof all);

        close(fd);
        return len > 0 && memmem(all, (size_t)len, text, strlen(text));
}

static int holds_no_path(void)
{
        MUST(!getenv("PATH"));
        MUST(!file_has("/proc/self/environ", "PATH="));
        return 0;
}

static int holds_path(void)
{
        MUST(getenv("PATH"));
        MUST(file_has("/proc/self/environ", "PATH="));
        return 0;
}

Test(confine, an_environment_of_its_own_leaves_nothing_of_the_hosts_in_memory)
{
        static const char *const none[] = {NULL};

        if (!file_has("/proc/self/environ", "PATH=")) {
                PASSED_OVER("needs a PATH");
                return;
        }
        confined_holds(&options, NULL, holds_path);
        options.environment = none;
        confined_holds(&options, NULL, holds_no_path);
        cr_assert(file_has("/proc/self/environ", "PATH=")); /* the host keeps its own */
}

/* ---- refused ---- */

static int nothing(void)
{
        return 0;
}

Test(confine, a_raised_limit_is_refused_as_the_pool_opens)
{
        const struct confined_how how = {.as_nobody = true};
        struct rlimit few = {100, 200};
        struct ouro_limit limit = {RLIMIT_NOFILE, 100, 201};

        if (getuid() != 0) {
                PASSED_OVER("needs to be root, to become somebody who is not");
                return;
        }
        EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
        options.limits = &limit;
        options.limits_len = 1;
        EQ(confined_run(&options, &how, nothing).zygote, -EPERM);
        limit.hard = 200;
        confined_holds(&options, &how, nothing);
}

Test(confine, a_better_nice_value_is_refused_as_the_pool_opens)
{
        const struct confined_how how = {.as_nobody = true};

        if (getuid() != 0) {
                PASSED_OVER("needs to be root, to become somebody who is not");
                return;
        }
        options.nice = -1;
        EQ(confined_run(&options, &how, nothing).zygote, -EACCES);
        confined_holds(&options, NULL, nothing);
}

static void remove_directory(void)
{
        EQ(rmdir("gone"), 0);
}

Test(confine, a_directory_that_goes_is_refused_by_the_zygote)
{
        const struct confined_how how = {.meanwhile = remove_directory};

        EQ(mkdir("gone", 0700), 0);
        options.directory = "gone";
        EQ(confined_run(&options, &how, nothing).zygote, -ENOENT);
}

Test(confine, cpus_that_this_machine_lacks_are_refused)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(1023, &set);
        options.cpus = &set;
        options.cpus_bytes = sizeof set;
        EQ(confined_run(&options, NULL, nothing).zygote, -EINVAL);
}

static int cannot_go_back(void)
{
        struct rlimit limit = {100, 101};

        REFUSED(EPERM, setrlimit(RLIMIT_NOFILE, &limit));
        REFUSED(EACCES, setpriority(PRIO_PROCESS, 0, 4));
        MUST(getpriority(PRIO_PROCESS, 0) == 5);
        return 0;
}

Test(confine, f95_limits_and_nice_value_cannot_be_taken_back)
{
        const struct confined_how how = {.as_nobody = true};
        const struct ouro_limit limit = {RLIMIT_NOFILE, 100, 100};

        if (getuid() != 0) {
                PASSED_OVER("needs to be root, to become somebody who is not");
                return;
        }
        EQ(setpriority(PRIO_PROCESS, 0, 0), 0);
        options.limits = &limit;
        options.limits_len = 1;
        options.nice = 5;
        confined_holds(&options, &how, cannot_go_back);
}

/* ---- output ---- */

static int say_something(void)
{
        printf("a line\n");
        fprintf(stderr, "an error\n");
        printf("a line that is not finished");
        return fflush(stdout);
}

static int say_and_crash(void)
{
        printf("the last line\n");
        printf("lost");
        abort();
}

Test(confine, captured_output_has_its_order_and_what_came_before_a_crash)
{
        struct confined_how how = {0};
        char *text;
        size_t bytes;

        EQ(output_create(4096, &how.output_fd), 0);
        options.output = OURO_OUTPUT_CAPTURE;
        confined_holds(&options, &how, say_something);
        EQ(output_take(how.output_fd, 4096, &text, &bytes), 0);
        cr_assert_str_eq(text, "a line\nan error\na line that is not finished");
        free(text);
        EQ(WTERMSIG(confined_run(&options, &how, say_and_crash).status), SIGABRT);
        EQ(output_take(how.output_fd, 4096, &text, &bytes), 0);
        cr_assert_str_eq(text, "the last line\n");
        free(text);
        EQ(close(how.output_fd), 0);
}

Test(confine, discarded_output_is_nowhere)
{
        int fd = open("seen", O_RDWR | O_CREAT | O_CLOEXEC, 0600), saved = dup(1);
        struct stat stat;

        fflush(stdout);
        options.output = OURO_OUTPUT_DISCARD;
        EQ(dup2(fd, 1), 1);
        struct confined result = confined_run(&options, NULL, say_something);
        EQ(fstat(fd, &stat), 0);
        off_t discarded = stat.st_size;
        options.output = OURO_OUTPUT_PASS;
        struct confined passed = confined_run(&options, NULL, say_something);

        EQ(dup2(saved, 1), 1);
        EQ(result.line + passed.line, 0);
        EQ(discarded, 0);
        EQ(fstat(fd, &stat), 0);
        cr_assert(stat.st_size > 0);
        close(fd);
        close(saved);
}
