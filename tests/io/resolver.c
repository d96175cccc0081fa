/* Of lib/io/resolver.c: questions that are shared, answers that are kept, threads that are bounded, and left
 * alone. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "io/resolver.h"
#include "support/dns_server.h"
#include "support/names.h"

TestSuite(resolver, .init = names_begin, .fini = names_end);

IN_LOOP(resolver, equal_questions_are_asked_once)
{
        struct dns dns;
        ouro_task tasks[5];

        NEEDS_OWN_NET();
        dns_open(&dns);
        for (int i = 0; i < 5; i++)
                tasks[i] = ouro_create_task(resolve_task, (void *)(uintptr_t) "held.test");
        EQ(ouro_event_wait(&dns.came), 0);
        EQ(resolver_threads(), 1);
        EQ(ouro_cancel(tasks[0]), 0); /* who asked first: the others go on */
        EQ(ouro_await(tasks[0]), -ECANCELED);
        ouro_event_set(&dns.release);
        for (int i = 1; i < 5; i++)
                EQ(ouro_await(tasks[i]), 0);
        cr_assert(dns.questions <= 2, "%zu", dns.questions); /* A and AAAA */
        dns_close(&dns);
        return 0;
}

/* ---- answers that are kept ---- */

IN_LOOP(resolver, no_such_name_is_kept_and_failures_are_not)
{
        struct ouro_resolve_options once_more = fresh();
        struct dns dns;
        size_t asked;

        NEEDS_OWN_NET();
        dns_open(&dns);
        EQ(outcome("nowhere.test", NULL), -ENOENT);
        asked = dns.questions;
        EQ(outcome("nowhere.test", NULL), -ENOENT);
        EQ(dns.questions, asked);
        EQ(outcome("nowhere.test", &once_more), -ENOENT);
        cr_assert(dns.questions > asked);
        EQ(outcome("failing.test", NULL), -EHOSTUNREACH);
        asked = dns.questions;
        EQ(outcome("failing.test", NULL), -EHOSTUNREACH);
        cr_assert(dns.questions > asked);
        dns_close(&dns);
        return 0;
}

IN_LOOP(resolver, answers_age_and_can_be_flushed)
{
        struct ouro_resolve_options brief = OURO_RESOLVE_OPTIONS_INIT;
        struct dns dns;
        size_t asked;

        NEEDS_OWN_NET();
        dns_open(&dns);
        brief.max_age_ns = 1;
        EQ(outcome("good.test", NULL), 0);
        asked = dns.questions;
        EQ(outcome("good.test", &brief), 0);
        cr_assert(dns.questions > asked);
        asked = dns.questions;
        EQ(outcome("good.test", NULL), 0);
        EQ(dns.questions, asked);
        EQ(resolver_kept(), 1);
        ouro_resolve_flush();
        EQ(resolver_kept(), 0);
        EQ(outcome("good.test", NULL), 0);
        cr_assert(dns.questions > asked);
        dns_close(&dns);
        return 0;
}

IN_LOOP(resolver, no_more_than_so_many_are_kept)
{
        struct dns dns;
        char name[64];

        NEEDS_OWN_NET();
        dns_open(&dns);
        for (int i = 0; i < 300; i++) {
                snprintf(name, sizeof name, "n%d.many.test", i);
                EQ(outcome(name, NULL), 0);
        }
        EQ(resolver_kept(), 256);
        size_t asked = dns.questions;

        EQ(outcome("n299.many.test", NULL), 0);
        EQ(outcome("n50.many.test", NULL), 0);
        EQ(dns.questions, asked);
        EQ(outcome("n0.many.test", NULL), 0); /* the oldest have made room */
        cr_assert(dns.questions > asked);
        dns_close(&dns);
        return 0;
}

/* ---- threads ---- */

enum { MOST_THREADS = 8 };

static intptr_t ask_the_silent(void *arg)
{
        struct ouro_resolve_options options = fresh();

        (void)arg;
        options.family = AF_INET; /* one question each */
        return outcome("silent.test", &options);
}

/* All threads wait for a server that is silent: what is cut short in the queue is never asked, and what stays
 * is asked when a thread is free. */
IN_LOOP(resolver, threads_are_bounded_and_questions_in_the_queue_are_withdrawn)
{
        struct ouro_resolve_options options = fresh();
        ouro_task tasks[MOST_THREADS];
        struct dns dns;

        NEEDS_OWN_NET();
        dns_open(&dns);
        for (int i = 0; i < MOST_THREADS; i++)
                tasks[i] = ouro_create_task(ask_the_silent, NULL);
        while (dns.questions < MOST_THREADS) {
                ouro_event_clear(&dns.came);
                EQ(ouro_event_wait(&dns.came), 0);
        }
        for (int i = 0; i < MOST_THREADS; i++) {
                EQ(ouro_cancel(tasks[i]), 0);
                EQ(ouro_await(tasks[i]), -ECANCELED);
        }
        EQ(resolver_threads(), MOST_THREADS);
        OURO_TIMEOUT(OURO_MS(1))
                EQ(outcome("queued.many.test", NULL), -ETIME);
        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(resolve_task, (void *)(uintptr_t) "queued.many.test");
        ouro_yield();
        for (int i = 0; i < 3; i++) /* all at the same time */
                EQ(ouro_cancel(tasks[i]), 0);
        for (int i = 0; i < 3; i++)
                EQ(ouro_await(tasks[i]), -ECANCELED);
        EQ(resolver_kept(), 0);
        EQ(resolver_threads(), MOST_THREADS);
        EQ(outcome("127.0.0.1", NULL), 0); /* waits for nobody */
        EQ(outcome("good.test", NULL), 0);
        cr_assert(strcmp(dns.last, "queued.many.test") != 0);
        EQ(outcome("queued.many.test", &options), 0);
        dns_close(&dns);
        return 0;
}

static intptr_t open_fifo(void *arg)
{
        return ouro_open(arg, O_RDONLY, 0);
}

enum { FIFOS = 24 };

/* As many tasks wait for files as could ever keep helpers busy. */
IN_LOOP(resolver, names_do_not_wait_behind_files)
{
        char paths[FIFOS][128];
        ouro_task tasks[FIFOS];
        struct dns dns;

        NEEDS_OWN_NET();
        dns_open(&dns);
        for (int i = 0; i < FIFOS; i++) {
                snprintf(paths[i], sizeof paths[i], "%s/fifo%d", temp_dir, i);
                EQ(mkfifo(paths[i], 0600), 0);
                tasks[i] = ouro_create_task(open_fifo, paths[i]);
        }
        ouro_yield();
        EQ(outcome("good.test", NULL), 0);
        for (int i = 0; i < FIFOS; i++)
                EQ(ouro_task_state(tasks[i]), OURO_STATE_WAITING);
        for (int i = 0; i < FIFOS; i++) {
                int both = open(paths[i], O_RDWR | O_NONBLOCK | O_CLOEXEC), fd = (int)ouro_await(tasks[i]);

                cr_assert(fd >= 0);
                EQ(ouro_close(fd), 0);
                close(both);
                unlink(paths[i]);
        }
        dns_close(&dns);
        return 0;
}

static intptr_t leave_at_once(void *arg)
{
        ouro_create_task(resolve_task, arg);
        ouro_yield();
        return 0; /* which cancels it */
}

Test(resolver, run_that_ends_waits_for_no_thread)
{
        if (!has_own_net) {
                PASSED_OVER("no namespaces here");
                return;
        }
        EQ(ouro_run(leave_at_once, (void *)(uintptr_t) "silent.test"), 0);
        EQ(ouro_run(resolve_task, (void *)(uintptr_t) "filed.test"), 0);
}

IN_LOOP(resolver, f43_forked_child_can_resolve_for_itself)
{
        struct dns dns;
        int status;
        pid_t child;

        NEEDS_OWN_NET();
        dns_open(&dns);
        EQ(outcome("good.test", NULL), 0);
        OURO_TIMEOUT(OURO_MS(5)) /* a thread is at work while we fork */
                EQ(outcome("silent.test", NULL), -ETIME);
        child = fork();
        if (child == 0) {
                bool alone = resolver_threads() == 0;
                intptr_t kept = ouro_run(resolve_task, (void *)(uintptr_t) "good.test");

                _exit(!alone || kept != 0 || ouro_run(resolve_task, (void *)(uintptr_t) "filed.test") != 0);
        }
        EQ(waitpid(child, &status, 0), child);
        EQ(status, 0);
        EQ(outcome("four.test", NULL), 0);
        dns_close(&dns);
        return 0;
}
