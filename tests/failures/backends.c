/* Which backend a run gets: what was asked for and forbidden, by options and environment, and what is
 * refused. */
#include <errno.h>
#include <stdlib.h>

#include "support/in_loop.h"
#include "support/leaks.h"

static char log_text[512];
static enum ouro_log_level log_level;
static int log_lines;

static void take_log(enum ouro_log_level level, const char *message, void *arg)
{
        (void)arg;
        log_level = level;
        snprintf(log_text, sizeof log_text, "%s", message);
        log_lines++;
}

static void begin(void)
{
        leaks_begin();
        unsetenv("OURO_BACKEND");
        unsetenv("OURO_KERNEL");
        ouro_set_log(take_log, NULL);
        log_lines = 0;
}

TestSuite(backends, .init = begin, .fini = leaks_end);

static char chosen[16];

static intptr_t take_name(void *arg)
{
        (void)arg;
        snprintf(chosen, sizeof chosen, "%s", ouro_backend_name());
        return 0;
}

static intptr_t run_with(enum ouro_backend backend, unsigned forbidden)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.backend = backend;
        options.forbidden = forbidden;
        chosen[0] = '\0';
        return ouro_run_with(&options, take_name, NULL);
}

/* Where the best backend is denied, or the other is not built in, not everything can be asked for. */
static bool works(enum ouro_backend backend)
{
        return run_with(backend, 0) == 0;
}

static void check_chosen(intptr_t result, enum ouro_backend backend)
{
        if (!works(backend)) {
                EQ(result, -ENOSYS);
                return;
        }
        EQ(result, 0);
}

#define NAME(backend) ((backend) == OURO_BACKEND_URING ? "uring" : "epoll")

Test(backends, option_forces_a_backend)
{
        for (enum ouro_backend i = OURO_BACKEND_URING; i <= OURO_BACKEND_EPOLL; i++) {
                if (!works(i)) {
                        PASSED_OVER("%s does not work here", NAME(i));
                        EQ(run_with(i, 0), -ENOSYS);
                        continue;
                }
                EQ(run_with(i, 0), 0);
                cr_assert_str_eq(chosen, NAME(i));
                EQ(log_lines, 0); /* what was asked for needs no comment */
        }
}

Test(backends, best_that_works_is_the_default)
{
        EQ(run_with(OURO_BACKEND_AUTO, 0), 0);
        cr_assert_str_eq(chosen, works(OURO_BACKEND_URING) ? "uring" : "epoll");
        EQ(ouro_run(take_name, NULL), 0);
        EQ(setenv("OURO_BACKEND", "auto", 1), 0);
        EQ(ouro_run(take_name, NULL), 0);
        EQ(setenv("OURO_BACKEND", "", 1), 0);
        EQ(ouro_run(take_name, NULL), 0);
}

Test(backends, forbidden_is_never_chosen)
{
        const unsigned uring = 1u << OURO_BACKEND_URING, epoll = 1u << OURO_BACKEND_EPOLL;

        check_chosen(run_with(OURO_BACKEND_AUTO, uring), OURO_BACKEND_EPOLL);
        cr_assert(strcmp(chosen, "uring") != 0);
        check_chosen(run_with(OURO_BACKEND_AUTO, epoll), OURO_BACKEND_URING);
        cr_assert(strcmp(chosen, "epoll") != 0);
        EQ(run_with(OURO_BACKEND_AUTO, uring | epoll), -ENOSYS);
        EQ(run_with(OURO_BACKEND_URING, uring), -ENOSYS); /* forbidden wins */
        cr_assert_str_eq(chosen, "");
}

Test(backends, environment_serves_where_the_options_leave_the_choice_open)
{
        EQ(setenv("OURO_BACKEND", "uring", 1), 0);
        check_chosen(run_with(OURO_BACKEND_AUTO, 0), OURO_BACKEND_URING);
        cr_assert(strcmp(chosen, "epoll") != 0);
        EQ(setenv("OURO_BACKEND", "epoll", 1), 0);
        check_chosen(run_with(OURO_BACKEND_AUTO, 0), OURO_BACKEND_EPOLL);
        cr_assert(strcmp(chosen, "uring") != 0);
        EQ(setenv("OURO_BACKEND", "no-uring", 1), 0);
        check_chosen(run_with(OURO_BACKEND_AUTO, 0), OURO_BACKEND_EPOLL);
        cr_assert(strcmp(chosen, "uring") != 0);
        EQ(setenv("OURO_BACKEND", "no-epoll", 1), 0);
        check_chosen(run_with(OURO_BACKEND_AUTO, 0), OURO_BACKEND_URING);
        cr_assert(strcmp(chosen, "epoll") != 0);
}

Test(backends, options_win_over_the_environment)
{
        if (!works(OURO_BACKEND_URING)) {
                PASSED_OVER("uring does not work here");
                return;
        }
        EQ(setenv("OURO_BACKEND", "epoll", 1), 0);
        EQ(run_with(OURO_BACKEND_URING, 0), 0);
        cr_assert_str_eq(chosen, "uring");
        EQ(run_with(OURO_BACKEND_AUTO, 1u << OURO_BACKEND_EPOLL), 0);
        cr_assert_str_eq(chosen, "uring");
        EQ(setenv("OURO_BACKEND", "nonsense", 1), 0); /* not even read */
        EQ(run_with(OURO_BACKEND_URING, 0), 0);
        EQ(setenv("OURO_KERNEL", "nonsense", 1), 0);
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.backend = OURO_BACKEND_URING;
        options.kernel = OURO_KERNEL(5, 15);
        EQ(ouro_run_with(&options, take_name, NULL), 0);
}

static void check_malformed(const char *variable, const char *value)
{
        log_lines = 0;
        EQ(setenv(variable, value, 1), 0);
        chosen[0] = '\0';
        if (ouro_run(take_name, NULL) != -EINVAL)
                cr_assert_fail("%s=%s was taken", variable, value);
        cr_assert_str_eq(chosen, "");
        EQ(log_lines, 1);
        EQ(log_level, OURO_LOG_ERROR);
        cr_assert(strstr(log_text, variable) && strstr(log_text, value), "%s", log_text);
        unsetenv(variable);
}

Test(backends, malformed_environment_is_refused_and_said_to_be)
{
        static const char *const backends[] = {
                "URING", "io_uring", "no-", "no-uring,no-epoll", " uring", "sim", "no-auto", "no", "epoll "};
        static const char *const kernels[] = {"5",       "5.",  ".15", "5.15.1", "5.15-debian",
                                              "x",       "-5",  "5.x", "0.5",    "6.1 ",
                                              "99999.1", "6,1", "v6",  "5.-1",   " "};

        for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
                check_malformed("OURO_BACKEND", backends[i]);
        for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
                check_malformed("OURO_KERNEL", kernels[i]);
}

Test(backends, kernel_can_be_masked)
{
        static const char *const kernels[] = {"5.15", "5.19", "6.1", "6.18", "99.0", ""};

        for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
                EQ(setenv("OURO_KERNEL", kernels[i], 1), 0);
                EQ(ouro_run(take_name, NULL), 0);
        }
}

/* Older than what the ring needs: as if the kernel had none. */
Test(backends, kernel_too_old_for_the_ring_leaves_epoll)
{
        EQ(setenv("OURO_KERNEL", "5.4", 1), 0);
        EQ(run_with(OURO_BACKEND_URING, 0), -ENOSYS);
        chosen[0] = '\0';
        if (run_with(OURO_BACKEND_EPOLL, 0) == 0) {
                EQ(ouro_run(take_name, NULL), 0);
                cr_assert_str_eq(chosen, "epoll");
                EQ(log_lines, 1);
                EQ(log_level, OURO_LOG_WARNING);
        }
}

Test(backends, name_is_told_inside_a_run_alone)
{
        cr_assert(ouro_backend_name() == NULL);
        EQ(ouro_run(take_name, NULL), 0);
        cr_assert(ouro_backend_name() == NULL);
}

Test(backends, options_out_of_range_are_refused)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.entries = 32769;
        EQ(ouro_run_with(&options, take_name, NULL), -EINVAL);
        options = (struct ouro_options)OURO_OPTIONS_INIT;
        options.backend = (enum ouro_backend)77;
        EQ(ouro_run_with(&options, take_name, NULL), -EINVAL);
        options = (struct ouro_options)OURO_OPTIONS_INIT;
        options.size = 3;
        EQ(ouro_run_with(&options, take_name, NULL), -EINVAL);
        options = (struct ouro_options)OURO_OPTIONS_INIT;
        options.drain_ns = -1;
        EQ(ouro_run_with(&options, take_name, NULL), -EINVAL);
        options = (struct ouro_options)OURO_OPTIONS_INIT;
        options.entries = 1;
        EQ(ouro_run_with(&options, take_name, NULL), 0);
        options.entries = 32768;
        EQ(ouro_run_with(&options, take_name, NULL), 0);
}
