/* Of lib/io/signal.c: signals taken by tasks, in line and one each; what a set blocks and gives back. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "coro/child.h"
#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(signals, .init = leaks_begin, .fini = leaks_end);

static ouro_signals *open_two(int a, int b)
{
        ouro_signals *signals = NULL;
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, a);
        sigaddset(&set, b);
        EQ(ouro_signals_open(&set, &signals), 0);
        return signals;
}

static ouro_signals *open_one(int number)
{
        return open_two(number, number);
}

static bool is_blocked(int number)
{
        sigset_t mask;

        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        return sigismember(&mask, number) == 1;
}

static void send_self(int number)
{
        EQ(kill(getpid(), number), 0);
}

/* ---- taking ---- */

IN_LOOP(signals, a_signal_sent_before_the_wait_is_taken_with_all_that_is_known_of_it)
{
        ouro_signals *signals = open_one(SIGUSR1);
        struct ouro_signal_info info;

        send_self(SIGUSR1);
        EQ(ouro_signals_next(signals, &info), SIGUSR1);
        EQ(info.number, SIGUSR1);
        EQ(info.code, SI_USER);
        EQ(info.pid, getpid());
        EQ(info.uid, getuid());
        EQ(ouro_signals_close(signals), 0);
        return 0;
}

static intptr_t sends(void *number)
{
        send_self((int)(intptr_t)number);
        return 0;
}

IN_LOOP(signals, a_task_waits_for_a_signal_while_others_run)
{
        ouro_signals *signals = open_one(SIGUSR1);

        ouro_go(sends, (void *)SIGUSR1);
        EQ(ouro_signals_next(signals, NULL), SIGUSR1);
        EQ(ouro_signals_close(signals), 0);
        return 0;
}

static void *sends_from_a_thread(void *arg)
{
        send_self((int)(intptr_t)arg);
        return NULL;
}

IN_LOOP(signals, one_sent_while_the_loop_sleeps_wakes_it)
{
        ouro_signals *signals = open_one(SIGUSR2);
        pthread_t thread;

        EQ(pthread_create(&thread, NULL, sends_from_a_thread, (void *)SIGUSR2), 0);
        EQ(ouro_signals_next(signals, NULL), SIGUSR2);
        EQ(pthread_join(thread, NULL), 0);
        EQ(ouro_signals_close(signals), 0);
        return 0;
}

IN_LOOP(signals, one_sent_to_this_thread_alone_is_taken_too)
{
        ouro_signals *signals = open_one(SIGUSR2);

        EQ(pthread_kill(pthread_self(), SIGUSR2), 0);
        EQ(ouro_signals_next(signals, NULL), SIGUSR2);
        EQ(ouro_signals_close(signals), 0);
        return 0;
}

IN_LOOP(signals, real_time_signals_are_counted_and_bring_their_values_in_order)
{
        ouro_signals *signals = open_two(SIGRTMIN, SIGRTMIN + 1);
        static const struct {
                int number, value;
        } sent[] = {{1, 10}, {0, 11}, {0, 12}, {1, 13}}, wanted[] = {{0, 11}, {0, 12}, {1, 10}, {1, 13}};
        struct ouro_signal_info info;

        for (size_t i = 0; i < 4; i++)
                EQ(sigqueue(getpid(), SIGRTMIN + sent[i].number, (union sigval){.sival_int = sent[i].value}),
                   0);
        for (size_t i = 0; i < 4; i++) {
                EQ(ouro_signals_next(signals, &info), SIGRTMIN + wanted[i].number);
                EQ(info.code, SI_QUEUE);
                EQ((int)info.value, wanted[i].value);
        }
        EQ(ouro_signals_try_next(signals, &info), -EAGAIN);
        EQ(ouro_signals_close(signals), 0);
        return 0;
}

IN_LOOP(signals, the_end_of_a_child_can_be_waited_for_and_the_child_is_still_to_be_reaped)
{
        ouro_signals *signals = open_one(SIGCHLD);
        struct ouro_signal_info info;
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(7);
        EQ(ouro_signals_next(signals, &info), SIGCHLD);
        EQ(info.pid, pid);
        EQ(info.code, CLD_EXITED);
        EQ(info.status, 7);
        EQ(waitpid(pid, &status, 0), pid);
        EQ(WEXITSTATUS(status), 7);
        EQ(ouro_signals_close(signals), 0);
        return 0;
}

IN_LOOP(signals, trying_does_not_wait)
{
        ouro_signals *signals = open_one(SIGUSR1);
        struct ouro_signal_info info = {.number = -1};

        EQ(ouro_signals_try_next(signals, &info), -EAGAIN);
        EQ(info.number, -1);
        send_self(SIGUSR1);
        EQ(ouro_signals_try_next(signals, &info), SIGUSR1);
        EQ(info.number, SIGUSR1);
        EQ(ouro_signals_close(signals), 0);
        return 0;
}

IN_LOOP(signals, their_descriptor_can_be_polled)
{
        ouro_signals *signals = open_one(SIGUSR1);
        int fd = ouro_signals_fd(signals);

        cr_assert(fd >= 0);
        ouro_go(sends, (void *)SIGUSR1);
        EQ(ouro_poll(fd, POLLIN), POLLIN);
        EQ(ouro_signals_try_next(signals, NULL), SIGUSR1);
        EQ(ouro_signals_close(signals), 0);
        return 0;
}

/* ---- several tasks ---- */

struct line {
        ouro_signals *signals;
        int got[3];
        int turn;
        char order[4];
};

static intptr_t takes_one(void *arg)
{
        struct line *line = arg;
        int place = line->turn++;

        line->got[place] = ouro_signals_next(line->signals, NULL);
        line->order[strlen(line->order)] = (char)('a' + place);
        return line->got[place];
}

IN_LOOP(signals, several_tasks_get_one_each_in_the_order_in_which_they_came)
{
        struct line line = {.signals = open_two(SIGUSR1, SIGUSR2)};
        ouro_task tasks[3];
        intptr_t results[3];

        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(takes_one, &line);
        ouro_yield();
        send_self(SIGUSR1);
        send_self(SIGUSR2);
        EQ(ouro_wait(tasks[1]), 0);
        send_self(SIGUSR1);
        EQ(ouro_gather(tasks, 3, results), 0);
        EQ(line.got[0], SIGUSR1);
        EQ(line.got[1], SIGUSR2);
        EQ(line.got[2], SIGUSR1);
        cr_assert_str_eq(line.order, "abc");
        EQ(ouro_signals_close(line.signals), 0);
        return 0;
}

IN_LOOP(signals, a_task_that_is_cancelled_in_line_or_at_its_turn_takes_nothing_from_the_next)
{
        struct line line = {.signals = open_one(SIGUSR1)};
        ouro_task tasks[3];

        for (int i = 0; i < 3; i++)
                tasks[i] = ouro_create_task(takes_one, &line);
        ouro_yield();
        EQ(ouro_cancel(tasks[1]), 0); /* in line */
        EQ(ouro_await(tasks[1]), -ECANCELED);
        EQ(ouro_cancel(tasks[0]), 0); /* whose turn it is */
        EQ(ouro_await(tasks[0]), -ECANCELED);
        EQ(ouro_task_state(tasks[2]), OURO_STATE_WAITING);
        send_self(SIGUSR1);
        EQ(ouro_await(tasks[2]), SIGUSR1);
        EQ(ouro_signals_close(line.signals), 0);
        return 0;
}

IN_LOOP(signals, a_signal_that_comes_with_a_cancellation_is_taken_or_still_there)
{
        struct line line = {.signals = open_one(SIGUSR1)};
        ouro_task task = ouro_create_task(takes_one, &line);
        int left;

        ouro_yield();
        send_self(SIGUSR1);
        EQ(ouro_cancel(task), 0);
        intptr_t result = ouro_await(task);

        left = ouro_signals_try_next(line.signals, NULL);
        cr_assert((result == SIGUSR1 && left == -EAGAIN) || (result == -ECANCELED && left == SIGUSR1),
                  "%jd %d", (intmax_t)result, left);
        EQ(ouro_signals_close(line.signals), 0);
        return 0;
}

IN_LOOP(signals, a_scope_bounds_the_wait)
{
        ouro_signals *signals = open_one(SIGUSR1);
        bool expired = false;

        OURO_TIMEOUT(OURO_MS(2), &expired)
                EQ(ouro_signals_next(signals, NULL), -ETIME);
        cr_assert(expired);
        send_self(SIGUSR1);
        OURO_TIMEOUT(0)
                EQ(ouro_signals_next(signals, NULL), -ETIME);
        EQ(ouro_signals_next(signals, NULL), SIGUSR1);
        EQ(ouro_signals_close(signals), 0);
        return 0;
}

IN_LOOP(signals, one_that_stands_in_two_sets_goes_to_one_of_them)
{
        struct line a = {.signals = open_one(SIGUSR1)}, b = {.signals = open_one(SIGUSR1)};
        ouro_task tasks[] = {ouro_create_task(takes_one, &a), ouro_create_task(takes_one, &b)};

        ouro_yield();
        send_self(SIGUSR1);
        ssize_t first = ouro_wait_first(tasks, 2);

        cr_assert(first >= 0);
        for (int i = 0; i < 5; i++)
                ouro_yield();
        EQ(ouro_task_state(tasks[1 - first]), OURO_STATE_WAITING);
        send_self(SIGUSR1);
        EQ(ouro_await(tasks[0]), SIGUSR1);
        EQ(ouro_await(tasks[1]), SIGUSR1);
        EQ(ouro_signals_close(a.signals), 0);
        EQ(ouro_signals_close(b.signals), 0);
        return 0;
}

/* ---- the mask ---- */

Test(signals, what_a_set_blocks_is_unblocked_when_it_is_closed_and_no_more)
{
        sigset_t usr2;

        sigemptyset(&usr2);
        sigaddset(&usr2, SIGUSR2);
        pthread_sigmask(SIG_BLOCK, &usr2, NULL);
        ouro_signals *signals = open_two(SIGUSR1, SIGUSR2); /* outside a loop, too */

        cr_assert(is_blocked(SIGUSR1));
        EQ(ouro_signals_close(signals), 0);
        cr_assert_not(is_blocked(SIGUSR1));
        cr_assert(is_blocked(SIGUSR2), "the program had blocked it");
}

Test(signals, one_in_two_sets_stays_blocked_until_both_are_closed_in_whatever_order)
{
        for (int i = 0; i < 2; i++) {
                ouro_signals *both[] = {open_two(SIGUSR1, SIGUSR2), open_one(SIGUSR1)};

                EQ(ouro_signals_close(both[i]), 0);
                cr_assert(is_blocked(SIGUSR1));
                cr_assert_eq(is_blocked(SIGUSR2), i == 1);
                EQ(ouro_signals_close(both[1 - i]), 0);
                cr_assert_not(is_blocked(SIGUSR1));
                cr_assert_not(is_blocked(SIGUSR2));
        }
}

static volatile sig_atomic_t handled;

static void on_usr1(int number)
{
        (void)number;
        handled = handled + 1;
}

IN_LOOP(signals, what_nobody_has_taken_has_its_ordinary_effect_when_the_set_is_closed)
{
        struct sigaction action = {.sa_handler = on_usr1}, old;
        ouro_signals *signals;

        sigaction(SIGUSR1, &action, &old);
        signals = open_one(SIGUSR1);
        send_self(SIGUSR1);
        EQ(handled, 0);
        EQ(ouro_signals_close(signals), 0);
        EQ(handled, 1);
        sigaction(SIGUSR1, &old, NULL);
        return 0;
}

static int closes_with_one_pending(void)
{
        ouro_signals *signals = open_one(SIGTERM);

        send_self(SIGTERM);
        ouro_signals_close(signals);
        return 3;
}

static intptr_t takes_what_is_pending(void *arg)
{
        ouro_signals *signals = open_one(SIGTERM);

        (void)arg;
        send_self(SIGTERM);
        while (ouro_signals_try_next(signals, NULL) > 0)
                ;
        return ouro_signals_close(signals);
}

static int takes_it_before_closing(void)
{
        return ouro_run(takes_what_is_pending, NULL) == 0 ? 3 : 4;
}

Test(signals, closing_with_one_pending_may_end_the_process)
{
        EQ(child_run(closes_with_one_pending).signal, SIGTERM);
        EQ(child_run(takes_it_before_closing).signal, 0);
        EQ(child_run(takes_it_before_closing).status, 3);
}

/* ---- misuse ---- */

Test(signals, sets_that_cannot_be_waited_for_are_refused_and_block_nothing)
{
        static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE,
                                    SIGILL,  SIGTRAP, SIGSYS,  SIGPIPE};
        ouro_signals *signals = (ouro_signals *)&signals;
        sigset_t set;

        for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
                sigemptyset(&set);
                sigaddset(&set, SIGUSR1);
                sigaddset(&set, never[i]);
                EQ(ouro_signals_open(&set, &signals), -EINVAL);
        }
        sigemptyset(&set);
        EQ(ouro_signals_open(&set, &signals), -EINVAL);
        EQ(ouro_signals_open(NULL, &signals), -EINVAL);
        sigaddset(&set, SIGUSR1);
        EQ(ouro_signals_open(&set, NULL), -EINVAL);
        cr_assert_eq(signals, (ouro_signals *)&signals);
        cr_assert_not(is_blocked(SIGUSR1));
}

Test(signals, short_of_descriptors_nothing_is_opened_or_blocked)
{
        struct rlimit was, none;
        ouro_signals *signals = NULL;
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        getrlimit(RLIMIT_NOFILE, &was);
        none = (struct rlimit){0, was.rlim_max};
        setrlimit(RLIMIT_NOFILE, &none);
        int error = ouro_signals_open(&set, &signals);

        setrlimit(RLIMIT_NOFILE, &was);
        EQ(error, -EMFILE);
        cr_assert_null(signals);
        cr_assert_not(is_blocked(SIGUSR1));
}

Test(signals, are_awaited_in_a_task_only)
{
        ouro_signals *signals = open_one(SIGUSR1);

        EQ(ouro_signals_next(signals, NULL), -EPERM);
        EQ(ouro_signals_try_next(signals, NULL), -EPERM);
        EQ(ouro_signals_fd(NULL), -EINVAL);
        EQ(ouro_signals_close(signals), 0);
        EQ(ouro_signals_close(NULL), 0);
}

static intptr_t uses_anothers(void *arg)
{
        ouro_signals *signals = arg;

        EQ(ouro_signals_next(signals, NULL), -EPERM);
        EQ(ouro_signals_try_next(signals, NULL), -EPERM);
        EQ(ouro_signals_fd(signals), -EPERM);
        EQ(ouro_signals_close(signals), -EPERM);
        EQ(ouro_signals_next(NULL, NULL), -EINVAL);
        EQ(ouro_signals_try_next(NULL, NULL), -EINVAL);
        return 0;
}

static void *runs_elsewhere(void *arg)
{
        return (void *)ouro_run(uses_anothers, arg);
}

IN_LOOP(signals, of_another_thread_are_refused_and_stay_as_they_are)
{
        ouro_signals *signals = open_one(SIGUSR1);
        pthread_t thread;
        void *result;

        EQ(pthread_create(&thread, NULL, runs_elsewhere, signals), 0);
        EQ(pthread_join(thread, &result), 0);
        EQ((intptr_t)result, 0);
        send_self(SIGUSR1);
        EQ(ouro_signals_next(signals, NULL), SIGUSR1);
        EQ(ouro_signals_close(signals), 0);
        return 0;
}

static intptr_t takes_in_another_loop(void *signals)
{
        return ouro_signals_next(signals, NULL);
}

Test(signals, that_tasks_of_one_loop_wait_for_are_refused_to_another_loop_on_the_thread)
{
        struct line line = {.signals = open_one(SIGUSR1)};
        ouro_loop *first, *second;

        EQ(ouro_loop_open(NULL, takes_one, &line, &first), 0);
        EQ(ouro_loop_step(first), 1);
        EQ(ouro_loop_open(NULL, takes_in_another_loop, line.signals, &second), 0);
        EQ(ouro_loop_step(second), 0);
        EQ(ouro_loop_close(second), -EPERM);
        EQ(ouro_signals_close(line.signals), -EBUSY);
        send_self(SIGUSR1);
        while (ouro_loop_step(first) == 1)
                ;
        EQ(ouro_loop_close(first), SIGUSR1);
        EQ(ouro_loop_open(NULL, takes_in_another_loop, line.signals, &second), 0);
        send_self(SIGUSR1);
        while (ouro_loop_step(second) == 1)
                ;
        EQ(ouro_loop_close(second), SIGUSR1);
        EQ(ouro_signals_close(line.signals), 0);
}

static intptr_t polls(void *fd)
{
        return ouro_poll((int)(intptr_t)fd, POLLIN);
}

IN_LOOP(signals, are_not_closed_while_somebody_waits)
{
        struct line line = {.signals = open_one(SIGUSR1)};
        ouro_task task = ouro_create_task(takes_one, &line);

        ouro_yield();
        EQ(ouro_signals_close(line.signals), -EBUSY);
        cr_assert(is_blocked(SIGUSR1));
        send_self(SIGUSR1);
        EQ(ouro_await(task), SIGUSR1);
        task = ouro_create_task(polls, (void *)(intptr_t)ouro_signals_fd(line.signals));
        ouro_yield();
        EQ(ouro_signals_close(line.signals), -EBUSY);
        ouro_cancel(task);
        EQ(ouro_await(task), -ECANCELED);
        EQ(ouro_signals_close(line.signals), 0);
        return 0;
}

static intptr_t closes_when_cancelled(void *arg)
{
        struct line *line = arg;
        int got = ouro_signals_next(line->signals, NULL);

        EQ(ouro_signals_next(line->signals, NULL), -ECANCELED);
        EQ(ouro_signals_close(line->signals), 0);
        return got;
}

IN_LOOP(signals, are_closed_by_a_cancelled_task_too)
{
        struct line line = {.signals = open_one(SIGUSR1)};
        ouro_task task = ouro_create_task(closes_when_cancelled, &line);

        ouro_yield();
        ouro_cancel(task);
        EQ(ouro_await(task), -ECANCELED);
        cr_assert_not(is_blocked(SIGUSR1));
        return 0;
}

IN_LOOP(signals, f91_opened_and_closed_ten_thousand_times_leave_nothing)
{
        for (int i = 0; i < 10000; i++) {
                ouro_signals *signals = open_one(SIGUSR1);

                if (i % 16 == 0) {
                        send_self(SIGUSR1);
                        EQ(ouro_signals_next(signals, NULL), SIGUSR1);
                }
                EQ(ouro_signals_close(signals), 0);
        }
        return 0;
}
