/* Of lib/io/serve.c: what is refused, and lib/io/serve_ask.c. */
#include <fcntl.h>
#include <pthread.h>

#include "support/serving.h"
#include "support/temp_dir.h"

TestSuite(serve_ask, .init = temp_begin, .fini = temp_end, .timeout = 120);

/* ---- misuse ---- */

static int serve_with(struct ouro_serve_options options)
{
        return ouro_serve_fd("tcp:127.0.0.1:0", serving_echo, NULL, &options);
}

IN_LOOP(serve_ask, bad_arguments_are_refused)
{
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT, bad;

        EQ(ouro_serve_fd("tcp:127.0.0.1:0", NULL, NULL, NULL), -EINVAL);
        EQ(ouro_serve_fd(NULL, serving_echo, NULL, NULL), -EINVAL);
        EQ(ouro_serve_fd("tcp:nowhere", serving_echo, NULL, NULL), -EINVAL);
        bad = options, bad.size = 0;
        EQ(serve_with(bad), -EINVAL);
        bad = options, bad.idle_ns = -1;
        EQ(serve_with(bad), -EINVAL);
        bad = options, bad.total_ns = -1;
        EQ(serve_with(bad), -EINVAL);
        bad = options, bad.when_full = (enum ouro_serve_full)7;
        EQ(serve_with(bad), -EINVAL);
        bad = options, bad.signals = 4;
        EQ(serve_with(bad), -EINVAL);
        bad = options, bad.stack_bytes = 1;
        EQ(serve_with(bad), -EINVAL);
        bad = options, bad.addresses_len = 1;
        EQ(serve_with(bad), -EINVAL);
        bad = options, bad.listeners_len = 1;
        EQ(serve_with(bad), -EINVAL);
        bad = options, bad.memory_bytes = 4096;
        EQ(serve_with(bad), -EINVAL);
        return 0;
}

IN_LOOP(serve_ask, listeners_that_are_none_are_refused)
{
        int fds[2], unbound = ouro_socket(AF_INET, SOCK_STREAM, 0), file = open("/dev/null", 0);
        struct ouro_serve_options options = OURO_SERVE_OPTIONS_INIT;
        const int none[] = {no_such_fd()};

        unix_pair(fds);
        options.listeners_len = 1;
        options.listeners = &unbound;
        EQ(serve_with(options), -EINVAL);
        options.listeners = &fds[0];
        EQ(serve_with(options), -EINVAL);
        options.listeners = &file;
        EQ(serve_with(options), -ENOTSOCK);
        options.listeners = none;
        EQ(serve_with(options), -EBADF);
        close_both(fds);
        close(unbound);
        close(file);
        return 0;
}

IN_LOOP(serve_ask, asking_nobody_is_refused)
{
        struct ouro_serve_counts stats = OURO_SERVE_COUNTS_INIT;
        struct serving serving = SERVING(serving_echo);

        EQ(ouro_serve_stop(NULL), -EINVAL);
        EQ(ouro_serve_stats(NULL, &stats), -EINVAL);
        EQ(ouro_serve_address(NULL, 0, NULL, 0), -EINVAL);
        EQ(ouro_serve_listener(NULL, 0), -EINVAL);
        serving_begin(&serving);
        EQ(ouro_serve_stats(serving.server, NULL), -EINVAL);
        stats.size = 0;
        EQ(ouro_serve_stats(serving.server, &stats), -EINVAL);
        EQ(ouro_serve_listener(serving.server, 1), -ENOENT);
        EQ(serving_end(&serving), 0);
        return 0;
}

static void *asks_from_a_thread(void *arg)
{
        struct ouro_serve_counts stats = OURO_SERVE_COUNTS_INIT;
        struct serving *serving = arg;

        cr_assert_eq(ouro_serve_stats(serving->server, &stats), -EPERM);
        cr_assert_eq(ouro_serve_listener(serving->server, 0), -EPERM);
        cr_assert_eq(ouro_serve_address(serving->server, 0, NULL, 0), -EPERM);
        return NULL;
}

IN_LOOP(serve_ask, other_threads_may_not_ask)
{
        struct serving serving = SERVING(serving_echo);
        pthread_t thread;

        serving_begin(&serving);
        EQ(pthread_create(&thread, NULL, asks_from_a_thread, &serving), 0);
        EQ(pthread_join(thread, NULL), 0);
        EQ(serving_end(&serving), 0);
        return 0;
}

Test(serve_ask, outside_a_loop_there_is_no_server)
{
        struct ouro_serve_rest rest;

        EQ(ouro_serve_fd("tcp:127.0.0.1:0", serving_echo, NULL, NULL), -EPERM);
        cr_assert_null(ouro_serve_self());
        cr_assert_not(ouro_serve_stopping());
        cr_assert_eq(ouro_serve_rest_open(&rest), &rest);
        EQ(ouro_serve_rest_close(&rest), -EPERM);
}
