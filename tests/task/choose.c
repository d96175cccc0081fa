/* Of lib/task/choose.c: options come first, then the environment, then what works here. */
#include "support/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char chosen[16];

static intptr_t tells_backend(void *unused)
{
        (void)unused;
        strncpy(chosen, ouro_backend_name(), sizeof chosen - 1);
        return 1;
}

static intptr_t run_with(enum ouro_backend backend, unsigned forbidden, unsigned kernel)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.backend = backend;
        options.forbidden = forbidden;
        options.kernel = kernel;
        return ouro_run_with(&options, tells_backend, NULL);
}

static intptr_t run_in(const char *backend, const char *kernel)
{
        setenv("OURO_BACKEND", backend, 1);
        setenv("OURO_KERNEL", kernel, 1);
        return run_with(OURO_BACKEND_AUTO, 0, 0);
}

static void forget_environment(void)
{
        unsetenv("OURO_BACKEND");
        unsetenv("OURO_KERNEL");
        catch_log();
}

TestSuite(choose, .init = forget_environment);

Test(choose, forced_backend_is_the_one)
{
        cr_assert_eq(run_with(OURO_BACKEND_EPOLL, 0, 0), 1);
        cr_assert_str_eq(chosen, "epoll");
}

Test(choose, forbidden_backend_is_not)
{
        cr_assert_eq(run_with(OURO_BACKEND_AUTO, 1u << OURO_BACKEND_URING, 0), 1);
        cr_assert_str_eq(chosen, "epoll");
        cr_assert_eq(run_with(OURO_BACKEND_AUTO, 1u << OURO_BACKEND_URING | 1u << OURO_BACKEND_EPOLL, 0),
                     -ENOSYS);
        cr_assert_eq(run_with(OURO_BACKEND_EPOLL, 1u << OURO_BACKEND_EPOLL, 0), -ENOSYS);
        cr_assert_eq(logged(), 0u, "what was asked for is no news: %s", logged_last());
}

Test(choose, environment_serves_where_options_leave_it_open)
{
        cr_assert_eq(run_in("epoll", ""), 1);
        cr_assert_str_eq(chosen, "epoll");
        cr_assert_eq(run_in("no-uring", ""), 1);
        cr_assert_str_eq(chosen, "epoll");
        cr_assert_eq(run_in("auto", "5.15"), 1);
        cr_assert_eq(run_in("", "6.1"), 1);
        setenv("OURO_BACKEND", "no-epoll", 1);
        cr_assert_eq(run_with(OURO_BACKEND_EPOLL, 0, 0), 1);
        cr_assert_str_eq(chosen, "epoll");
}

Test(choose, malformed_environment_is_refused_and_told)
{
        static const char *const backends[] = {"Epoll", "epol", "epoll ", "no-", "no-no-epoll", "1", "no"};
        static const char *const kernels[] = {"5",     "5.",    "5.x", "x",    "5.15.1", "5.15 ", "-5.15",
                                              " 5.15", "5.+15", "0.1", "5,15", ".",      "5.15."};
        size_t told = 0;

        for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
                cr_assert_eq(run_in(backends[i], ""), -EINVAL, "%s", backends[i]);
                cr_assert_eq(logged(), ++told);
        }
        for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
                cr_assert_eq(run_in("", kernels[i]), -EINVAL, "%s", kernels[i]);
                cr_assert_eq(logged(), ++told);
        }
        cr_assert_str_eq(chosen, "");
}

Test(choose, malformed_environment_is_not_looked_at_where_options_decide)
{
        setenv("OURO_BACKEND", "nonsense", 1);
        setenv("OURO_KERNEL", "nonsense", 1);
        cr_assert_eq(run_with(OURO_BACKEND_EPOLL, 0, OURO_KERNEL(5, 15)), 1);
}
