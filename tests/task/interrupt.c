/* Of lib/task/interrupt.c: what the first ctrl-C does, what the second, and whose it is. Each case is a
 * process of its own. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <ouro.h>

#include "coro/child.h"

enum { BY_MAIN = 10, BY_HANDLER = 20 };

static intptr_t run_interrupted_by(unsigned signals, ouro_fn *fn, void *arg)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.interrupt = signals;
        return ouro_run_with(&options, fn, arg);
}

static void send_self(int number)
{
        kill(getpid(), number);
}

static bool is_default(int number)
{
        struct sigaction action;

        sigaction(number, NULL, &action);
        return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_DFL;
}

static void must_exit(int (*fn)(void), int status)
{
        struct child_end end = child_run(fn);

        cr_assert(end.signal == 0 && end.status == status, "signal %d, status %d, said: %s", end.signal,
                  end.status, end.said);
}

static void must_die(int (*fn)(void), int signal)
{
        struct child_end end = child_run(fn);

        cr_assert(end.signal == signal, "signal %d, status %d, said: %s", end.signal, end.status, end.said);
}

static intptr_t pauses_for_ever(void)
{
        while (pause() < 0)
                ;
        return 1;
}

/* ---- the first ---- */

static intptr_t sends_later(void *number)
{
        ouro_yield();
        send_self((int)(intptr_t)number);
        return 0;
}

/* BY_MAIN if the signal has cancelled it and nothing else has. */
static intptr_t is_cancelled_by(void *number)
{
        int cut;

        ouro_go(sends_later, number);
        cut = ouro_sleep(OURO_SEC(60));
        return cut == -ECANCELED && ouro_cancelled(ouro_self()) == OURO_CANCEL_SIGNAL ? BY_MAIN : 1;
}

static int first_sigint(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, is_cancelled_by, (void *)SIGINT);
}

static int first_sigterm(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT | OURO_INTERRUPT_SIGTERM, is_cancelled_by,
                                       (void *)SIGTERM);
}

Test(interrupt, the_first_cancels_the_main_task_with_a_reason)
{
        must_exit(first_sigint, BY_MAIN);
        must_exit(first_sigterm, BY_MAIN);
}

static int not_asked_for(void)
{
        return (int)ouro_run(is_cancelled_by, (void *)SIGINT);
}

static int asked_for_the_other(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, is_cancelled_by, (void *)SIGTERM);
}

Test(interrupt, without_the_option_a_signal_does_what_it_always_does)
{
        must_die(not_asked_for, SIGINT);
        must_die(asked_for_the_other, SIGTERM);
}

static void *sends_from_a_thread(void *number)
{
        send_self((int)(intptr_t)number);
        return NULL;
}

static void *sends_to_itself(void *number)
{
        pthread_kill(pthread_self(), (int)(intptr_t)number);
        return NULL;
}

static intptr_t sleeps_until_a_thread_has_it(void *start)
{
        pthread_t thread;
        int cut;

        pthread_create(&thread, NULL, (void *(*)(void *))start, (void *)SIGINT);
        cut = ouro_sleep(OURO_SEC(60));
        pthread_join(thread, NULL);
        return cut == -ECANCELED ? BY_MAIN : 1;
}

static int sent_by_a_thread_while_the_loop_sleeps(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, sleeps_until_a_thread_has_it,
                                       (void *)sends_from_a_thread);
}

static int handled_by_another_thread(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, sleeps_until_a_thread_has_it,
                                       (void *)sends_to_itself);
}

Test(interrupt, f40_one_that_finds_the_loop_asleep_wakes_it_whichever_thread_handles_it)
{
        must_exit(sent_by_a_thread_while_the_loop_sleeps, BY_MAIN);
        must_exit(handled_by_another_thread, BY_MAIN);
}

static void *sends_when_all_waits(void *number)
{
        usleep(20000);
        return sends_from_a_thread(number);
}

static intptr_t waits_for_nothing_but_the_signal(void *arg)
{
        struct ouro_event never = OURO_EVENT_INIT;
        pthread_t thread;
        int cut;

        pthread_create(&thread, NULL, sends_when_all_waits, (void *)SIGINT);
        cut = arg ? ouro_event_wait(&never) : ouro_sleep(OURO_FOREVER);
        pthread_join(thread, NULL);
        return cut == -ECANCELED ? BY_MAIN : 1;
}

static int waits_for_an_event(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, waits_for_nothing_but_the_signal, "");
}

static int sleeps_for_ever(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, waits_for_nothing_but_the_signal, NULL);
}

Test(interrupt, f66_a_main_task_that_only_waits_for_it_is_no_deadlock)
{
        must_exit(waits_for_an_event, BY_MAIN);
        must_exit(sleeps_for_ever, BY_MAIN);
}

static intptr_t computes(void *arg)
{
        (void)arg;
        send_self(SIGINT);
        for (volatile int i = 0; i < 1000000; i = i + 1)
                ;
        if (ouro_cancelled(ouro_self()) != OURO_NOT_CANCELLED)
                return 1; /* nothing changes under its feet */
        return ouro_sleep(OURO_SEC(60)) == -ECANCELED ? BY_MAIN : 2;
}

static int while_a_task_computes(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, computes, NULL);
}

static intptr_t keeps_yielding(void *arg)
{
        (void)arg;
        for (;;)
                if (ouro_yield() < 0)
                        return -ECANCELED;
}

static intptr_t is_never_idle(void *arg)
{
        ouro_go(keeps_yielding, arg);
        return is_cancelled_by((void *)SIGINT);
}

static int while_tasks_keep_the_loop_awake(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, is_never_idle, NULL);
}

Test(interrupt, one_that_comes_while_the_loop_is_busy_is_seen_at_the_next_wait)
{
        must_exit(while_a_task_computes, BY_MAIN);
        must_exit(while_tasks_keep_the_loop_awake, BY_MAIN);
}

static atomic_bool job_runs;

static intptr_t is_a_job(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)in, (void)out;
        atomic_store(&job_runs, true);
        pthread_kill(pthread_self(), SIGINT); /* blocked in a pool's thread: it stays there */
        send_self(SIGINT);
        while (!ouro_job_cancelled(job))
                sched_yield();
        return 5;
}

static intptr_t waits_for_a_job(void *pool)
{
        intptr_t result = ouro_call(pool, is_a_job, OURO_NO_IN, OURO_NO_OUT, NULL);

        ouro_executor_close(pool);
        return result == 5 && atomic_load(&job_runs) && ouro_yield() == -ECANCELED ? BY_MAIN : 1;
}

static int sent_by_a_job(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, waits_for_a_job, ouro_thread_pool(NULL));
}

Test(interrupt, a_job_that_main_waits_for_is_cancelled_with_it)
{
        must_exit(sent_by_a_job, BY_MAIN);
}

/* ---- the second ---- */

static intptr_t goes_on_all_the_same(void *arg)
{
        (void)arg;
        send_self(SIGINT);
        while (ouro_sleep(OURO_SEC(60)) != -ECANCELED)
                ;
        send_self(SIGINT);
        return pauses_for_ever();
}

static int ignores_the_first(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, goes_on_all_the_same, NULL);
}

static intptr_t is_sent_two_at_once(void *arg)
{
        (void)arg;
        send_self(SIGINT);
        send_self(SIGTERM); /* the other kind, before the loop has seen the first */
        return 1;
}

static int two_of_different_kinds(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT | OURO_INTERRUPT_SIGTERM, is_sent_two_at_once,
                                       NULL);
}

static intptr_t never_ends(void *arg)
{
        (void)arg;
        while (ouro_sleep(OURO_SEC(60)) != -ECANCELED)
                ;
        send_self(SIGINT); /* main has returned: this is the first */
        send_self(SIGINT);
        return pauses_for_ever();
}

static intptr_t leaves_one_behind(void *arg)
{
        ouro_go(never_ends, arg);
        return ouro_yield();
}

static int after_main_has_returned(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, leaves_one_behind, NULL);
}

Test(interrupt, a_second_one_ends_the_process_by_its_default_action)
{
        must_die(ignores_the_first, SIGINT);
        must_die(two_of_different_kinds, SIGTERM);
        must_die(after_main_has_returned, SIGINT);
}

static int three_runs_one_after_the_other(void)
{
        for (int i = 0; i < 3; i++)
                if (run_interrupted_by(OURO_INTERRUPT_SIGINT, is_cancelled_by, (void *)SIGINT) != BY_MAIN)
                        return 1;
        return is_default(SIGINT) ? BY_MAIN : 2;
}

static int after_the_run(void)
{
        run_interrupted_by(OURO_INTERRUPT_SIGINT, is_cancelled_by, (void *)SIGINT);
        send_self(SIGINT);
        return 1;
}

Test(interrupt, when_the_run_has_ended_all_is_as_before_and_counting_starts_anew)
{
        must_exit(three_runs_one_after_the_other, BY_MAIN);
        must_die(after_the_run, SIGINT);
}

/* ---- the program's own handler ---- */

static volatile sig_atomic_t handled;

static void counts(int number)
{
        handled = handled + (number == SIGINT);
}

static void counts_with_info(int number, siginfo_t *info, void *context)
{
        handled = handled + (number == SIGINT && info->si_pid == getpid() && context != NULL);
}

static int is_called_too(const struct sigaction *own)
{
        struct sigaction now;
        intptr_t result;

        sigaction(SIGINT, own, NULL);
        result = run_interrupted_by(OURO_INTERRUPT_SIGINT, is_cancelled_by, (void *)SIGINT);
        sigaction(SIGINT, NULL, &now);
        if (now.sa_sigaction != own->sa_sigaction)
                return 2; /* it is back in its place */
        return result == BY_MAIN ? BY_HANDLER + handled : 3;
}

static int with_a_plain_handler(void)
{
        return is_called_too(&(struct sigaction){.sa_handler = counts});
}

static int with_a_handler_that_wants_to_know(void)
{
        return is_called_too(&(struct sigaction){.sa_sigaction = counts_with_info, .sa_flags = SA_SIGINFO});
}

static void exits(int number)
{
        _exit(BY_HANDLER + number);
}

static int with_a_handler_that_exits(void)
{
        sigaction(SIGINT, &(struct sigaction){.sa_handler = exits}, NULL);
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, is_cancelled_by, (void *)SIGINT);
}

static int ends_after_a_handler_that_returns(void)
{
        sigaction(SIGINT, &(struct sigaction){.sa_handler = counts}, NULL);
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, goes_on_all_the_same, NULL);
}

Test(interrupt, the_programs_own_handler_is_called_too_and_is_back_afterwards)
{
        must_exit(with_a_plain_handler, BY_HANDLER + 1);
        must_exit(with_a_handler_that_wants_to_know, BY_HANDLER + 1);
        must_exit(with_a_handler_that_exits, BY_HANDLER + SIGINT);
        must_die(ends_after_a_handler_that_returns, SIGINT);
}

static intptr_t is_not_cancelled(void *arg)
{
        (void)arg;
        send_self(SIGINT);
        send_self(SIGINT);
        return ouro_sleep(1) == 0 ? BY_MAIN : 1;
}

static int is_ignored(void)
{
        struct sigaction now;

        sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        if (run_interrupted_by(OURO_INTERRUPT_SIGINT, is_not_cancelled, NULL) != BY_MAIN)
                return 1;
        sigaction(SIGINT, NULL, &now);
        return now.sa_handler == SIG_IGN ? BY_MAIN : 2;
}

Test(interrupt, a_signal_that_the_program_ignores_stays_ignored)
{
        must_exit(is_ignored, BY_MAIN);
}

/* ---- put over ours ---- */

static struct sigaction below;

static void calls_the_one_below(int number, siginfo_t *info, void *context)
{
        handled = handled + 1;
        below.sa_sigaction(number, info, context);
}

static intptr_t puts_a_handler_over_it(void *number)
{
        sigaction(SIGINT, &(struct sigaction){.sa_sigaction = calls_the_one_below, .sa_flags = SA_SIGINFO},
                  &below);
        return is_cancelled_by(number);
}

static int stays_below(void)
{
        for (int i = 1; i <= 3; i++) {
                ouro_fn *fn = i == 1 ? puts_a_handler_over_it : is_cancelled_by;

                if (run_interrupted_by(OURO_INTERRUPT_SIGINT, fn, (void *)SIGINT) != BY_MAIN || handled != i)
                        return i;
        }
        send_self(SIGINT); /* no run: the default, by way of both */
        return 4;
}

Test(interrupt, a_handler_put_over_it_stays_and_the_next_run_does_not_build_a_circle)
{
        must_die(stays_below, SIGINT);
}

/* ---- several loops ---- */

static atomic_int mains;

static intptr_t is_one_of_several(void *arg)
{
        int cut;

        (void)arg;
        atomic_fetch_add(&mains, 1);
        cut = ouro_sleep(OURO_SEC(60));
        return cut == -ECANCELED && ouro_cancelled(ouro_self()) == OURO_CANCEL_SIGNAL ? BY_MAIN : 1;
}

static intptr_t is_left_alone(void *event)
{
        atomic_fetch_add(&mains, 1);
        return ouro_read((int)(intptr_t)event, &(uint64_t){0}, 8) == 8 ? BY_MAIN : 1;
}

static void *runs_with_it(void *arg)
{
        return (void *)run_interrupted_by(OURO_INTERRUPT_SIGINT, is_one_of_several, arg);
}

static void *runs_without_it(void *arg)
{
        return (void *)ouro_run(is_left_alone, arg);
}

static int several_loops(void)
{
        pthread_t threads[4];
        void *result;
        int fds[2], wrong = 0;

        if (pipe(fds) < 0)
                return 1;
        for (int i = 0; i < 4; i++)
                pthread_create(&threads[i], NULL, i < 3 ? runs_with_it : runs_without_it,
                               (void *)(intptr_t)fds[0]);
        while (atomic_load(&mains) < 4)
                sched_yield();
        send_self(SIGINT);
        for (int i = 0; i < 3; i++) {
                pthread_join(threads[i], &result);
                wrong += (intptr_t)result != BY_MAIN;
        }
        wrong += is_default(SIGINT) ? 0 : 10;
        (void)!write(fds[1], "12345678", 8);
        pthread_join(threads[3], &result);
        return (intptr_t)result == BY_MAIN && wrong == 0 ? BY_MAIN : 1;
}

Test(interrupt, the_first_cancels_the_main_tasks_of_all_loops_that_have_the_option)
{
        must_exit(several_loops, BY_MAIN);
}

static atomic_bool first_is_stubborn;

static intptr_t is_stubborn(void *arg)
{
        (void)arg;
        while (ouro_sleep(OURO_SEC(60)) != -ECANCELED)
                ;
        atomic_store(&first_is_stubborn, true);
        return pauses_for_ever();
}

static void *runs_stubbornly(void *arg)
{
        return (void *)run_interrupted_by(OURO_INTERRUPT_SIGINT, is_stubborn, arg);
}

static intptr_t sends_until_the_first_has_it(void *arg)
{
        (void)arg;
        send_self(SIGINT);
        while (!atomic_load(&first_is_stubborn))
                sched_yield();
        return 0;
}

static int a_run_that_begins_between_them(void)
{
        pthread_t thread;

        pthread_create(&thread, NULL, runs_stubbornly, NULL);
        while (is_default(SIGINT))
                sched_yield();
        ouro_run(sends_until_the_first_has_it, NULL);
        run_interrupted_by(OURO_INTERRUPT_SIGINT, is_cancelled_by, (void *)SIGINT);
        return 1;
}

Test(interrupt, a_second_one_ends_the_process_also_if_another_run_has_begun_since)
{
        must_die(a_run_that_begins_between_them, SIGINT);
}

static intptr_t is_stepped(void *arg)
{
        (void)arg;
        return ouro_sleep(OURO_SEC(60)) == -ECANCELED ? BY_MAIN : 1;
}

static int inside_another_loop(void)
{
        struct ouro_options options = OURO_OPTIONS_INIT;
        struct pollfd poll_fd = {.events = POLLIN};
        ouro_loop *loop;

        options.interrupt = OURO_INTERRUPT_SIGINT;
        if (ouro_loop_open(&options, is_stepped, NULL, &loop) < 0)
                return 1;
        poll_fd.fd = ouro_loop_fd(loop);
        while (poll(&poll_fd, 1, 0) == 1)
                if (ouro_loop_step(loop) != 1)
                        return 2;
        send_self(SIGINT);
        if (poll(&poll_fd, 1, 10000) != 1)
                return 3;
        while (ouro_loop_step(loop) == 1)
                ;
        return ouro_loop_close(loop) == BY_MAIN && is_default(SIGINT) ? BY_MAIN : 4;
}

Test(interrupt, a_loop_inside_another_one_is_told_by_its_descriptor)
{
        must_exit(inside_another_loop, BY_MAIN);
}

/* ---- a forked child ---- */

static intptr_t forks(void *arg)
{
        int status;
        pid_t pid = fork();

        (void)arg;
        if (pid == 0) {
                send_self(SIGINT);
                _exit(1);
        }
        if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGINT)
                return 2;
        pid = fork();
        if (pid == 0)
                _exit((int)run_interrupted_by(OURO_INTERRUPT_SIGINT, is_cancelled_by, (void *)SIGINT));
        if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != BY_MAIN)
                return 3;
        return ouro_sleep(1) == 0 ? is_cancelled_by((void *)SIGINT) : 4;
}

static int has_children(void)
{
        return (int)run_interrupted_by(OURO_INTERRUPT_SIGINT, forks, NULL);
}

Test(interrupt, f43_a_forked_child_has_none_of_it_and_may_have_its_own)
{
        must_exit(has_children, BY_MAIN);
}

/* ---- misuse ---- */

static int with_unknown_bits(void)
{
        return run_interrupted_by(8, is_cancelled_by, (void *)SIGINT) == -EINVAL ? BY_MAIN : 1;
}

Test(interrupt, unknown_signals_are_refused)
{
        must_exit(with_unknown_bits, BY_MAIN);
}
