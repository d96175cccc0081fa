/* embed.c - a loop in somebody else's: when its descriptor is readable, and what a step does. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(embed, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static ouro_loop *loop;

static void open_loop(ouro_fn *main_fn, void *arg)
{
        cr_assert_eq(ouro_loop_open(NULL, main_fn, arg, &loop), 0);
}

static bool readable(int timeout_ms)
{
        struct pollfd poll_fd = {.fd = ouro_loop_fd(loop), .events = POLLIN};
        int n;

        do
                n = poll(&poll_fd, 1, timeout_ms);
        while (n < 0 && errno == EINTR);
        cr_assert_geq(n, 0);
        return n == 1;
}

/* Until a step says that all has ended: as a foreign loop would. */
static void drive(void)
{
        do
                cr_assert(readable(20000), "the descriptor never became readable");
        while (ouro_loop_step(loop) == 1);
}

/* Steps while there is something to do. */
static void settle(void)
{
        while (readable(0))
                cr_assert_eq(ouro_loop_step(loop), 1);
}

static intptr_t drive_to_end(ouro_fn *main_fn, void *arg)
{
        open_loop(main_fn, arg);
        drive();
        cr_assert_eq(ouro_loop_step(loop), 0, "and says so again");
        return ouro_loop_close(loop);
}

/* ---- beginning and end ---- */

Test(embed, main_begins_in_the_first_step_and_its_result_comes_from_close)
{
        open_loop(gives_later, as_arg(42));
        cr_assert(readable(0));
        cr_assert_eq(ouro_loop_step(loop), 0);
        cr_assert_eq(ouro_loop_close(loop), 42);
}

Test(embed, closed_before_the_first_step_main_begins_cancelled)
{
        open_loop(waits_for_ever, NULL);
        cr_assert_eq(ouro_loop_close(loop), -ECANCELED);
}

Test(embed, closed_early_what_is_left_is_cancelled_and_awaited)
{
        open_loop(gives_when_cut, as_arg(5));
        cr_assert_eq(ouro_loop_step(loop), 1);
        cr_assert_eq(ouro_loop_close(loop), 5);
}

static int cleaned;

static intptr_t cleans_up_slowly(void *unused)
{
        waits_for_ever(unused);
        OURO_SHIELD
        {
                ouro_sleep(OURO_MS(3));
        }
        cleaned++;
        return 0;
}

static intptr_t leaves_tasks(void *unused)
{
        (void)unused;
        for (int i = 0; i < 3; i++)
                ouro_go(cleans_up_slowly, NULL);
        ouro_yield();
        return 1;
}

Test(embed, when_main_has_returned_the_rest_ends_in_further_steps)
{
        cr_assert_eq(drive_to_end(leaves_tasks, NULL), 1);
        cr_assert_eq(cleaned, 3);
}

Test(embed, nothing_is_left_however_often)
{
        for (int i = 0; i < 20; i++)
                cr_assert_eq(drive_to_end(gives_later, as_arg(i)), i);
}

/* ---- when it is readable ---- */

Test(embed, idle_it_is_not_readable)
{
        open_loop(waits_for_ever, NULL);
        settle();
        cr_assert(!readable(20));
        cr_assert_eq(ouro_loop_step(loop), 1, "a step too many does no harm");
        cr_assert(!readable(0));
        cr_assert_eq(ouro_loop_close(loop), -ECANCELED);
}

static intptr_t sleeps_thrice(void *unused)
{
        int64_t began_ns = ouro_now();

        (void)unused;
        for (int i = 0; i < 3; i++)
                cr_assert_eq(ouro_sleep(OURO_MS(5)), 0);
        return ouro_now() - began_ns >= OURO_MS(15);
}

Test(embed, readable_at_the_next_timer)
{
        cr_assert_eq(drive_to_end(sleeps_thrice, NULL), 1);
}

static intptr_t cancels_a_long_sleep(void *unused)
{
        ouro_task sleeper = ouro_create_task(sleeps_ms, as_arg(3600 * 1000));

        (void)unused;
        ouro_yield();
        ouro_sleep(OURO_MS(2));
        ouro_cancel(sleeper);
        ouro_await(sleeper);
        ouro_sleep(OURO_MS(1)); /* the timer must have been set back to this */
        return 7;
}

Test(embed, the_timer_follows_the_next_deadline)
{
        cr_assert_eq(drive_to_end(cancels_a_long_sleep, NULL), 7);
}

static intptr_t reads_byte(void *fd)
{
        char byte = 0;

        return ouro_read((int)(intptr_t)fd, &byte, 1) == 1 ? byte : -EIO;
}

Test(embed, readable_when_an_operation_has_completed)
{
        int fds[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        open_loop(reads_byte, as_arg(fds[0]));
        settle();
        cr_assert(!readable(10));
        cr_assert_eq(write(fds[1], "x", 1), 1);
        drive();
        cr_assert_eq(ouro_loop_close(loop), 'x');
        close(fds[0]);
        close(fds[1]);
}

static intptr_t opens_and_stats(void *unused)
{
        char text[8];
        int fd;

        (void)unused;
        for (int i = 0; i < 20; i++) {
                fd = ouro_open("/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
                if (fd < 0 || ouro_read(fd, text, sizeof text) <= 0 || ouro_close(fd) != 0)
                        return -EIO;
        }
        return 0;
}

Test(embed, operations_that_helpers_carry_out_complete)
{
        cr_assert_eq(drive_to_end(opens_and_stats, NULL), 0);
}

static intptr_t never_waits(void *turns)
{
        for (intptr_t i = 0; i < (intptr_t)turns; i++)
                if (ouro_yield() < 0)
                        return -ECANCELED;
        return 0;
}

Test(embed, a_step_is_bounded_and_leaves_it_readable)
{
        int steps = 1;

        open_loop(never_waits, as_arg(100000));
        while (ouro_loop_step(loop) == 1) {
                cr_assert(readable(0));
                steps++;
        }
        cr_assert_gt(steps, 10);
        cr_assert_eq(ouro_loop_close(loop), 0);
}

/* ---- from other threads ---- */

static int posted;

static intptr_t counts_posts(void *arg)
{
        (void)arg;
        cr_assert_eq(ouro_this_loop(), loop);
        posted++;
        return 0;
}

enum { POSTERS = 4, POSTS = 500 };

static void *posts(void *arg)
{
        for (int i = 0; i < POSTS; i++) {
                cr_assert_eq(ouro_post(loop, counts_posts, NULL), 0);
                if (i % 50 == 0)
                        usleep(200);
        }
        return arg;
}

Test(embed, f40_no_post_is_lost_between_steps)
{
        pthread_t threads[POSTERS];

        open_loop(waits_for_ever, NULL);
        settle();
        for (int i = 0; i < POSTERS; i++)
                cr_assert_eq(pthread_create(&threads[i], NULL, posts, NULL), 0);
        while (posted < POSTERS * POSTS) {
                cr_assert(readable(20000));
                cr_assert_eq(ouro_loop_step(loop), 1);
        }
        for (int i = 0; i < POSTERS; i++)
                pthread_join(threads[i], NULL);
        cr_assert_eq(ouro_loop_close(loop), -ECANCELED);
}

Test(embed, f40_each_single_post_wakes_it)
{
        open_loop(waits_for_ever, NULL);
        for (int i = 1; i <= 200; i++) {
                settle();
                cr_assert_eq(posted, i - 1);
                cr_assert_eq(ouro_post(loop, counts_posts, NULL), 0);
                cr_assert(readable(20000));
                settle();
                cr_assert_eq(posted, i);
        }
        cr_assert_eq(ouro_loop_close(loop), -ECANCELED);
}

static void *calls_it(void *arg)
{
        (void)arg;
        return (void *)ouro_run_on(loop, gives_later, as_arg(11));
}

Test(embed, a_blocking_call_from_another_thread_is_served)
{
        pthread_t thread;
        void *result;

        open_loop(waits_for_ever, NULL);
        settle();
        cr_assert_eq(pthread_create(&thread, NULL, calls_it, NULL), 0);
        cr_assert(readable(20000));
        while (pthread_tryjoin_np(thread, &result) != 0)
                if (readable(1))
                        cr_assert_eq(ouro_loop_step(loop), 1);
        cr_assert_eq((intptr_t)result, 11);
        cr_assert_eq(ouro_loop_close(loop), -ECANCELED);
}

/* ---- jobs ---- */

static intptr_t adds_one(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        ouro_job_sleep(job, OURO_US(300));
        *(int *)out.base = *(const int *)in.base + 1;
        return 0;
}

static intptr_t counts_by_jobs(void *pool)
{
        int n = 0, next;

        while (n < 20) {
                if (ouro_call(pool, adds_one, OURO_IN(n), OURO_OUT(next), NULL) != 0)
                        return -EIO;
                n = next;
        }
        return n;
}

Test(embed, jobs_of_a_thread_pool_wake_it)
{
        struct ouro_thread_options options = OURO_THREAD_OPTIONS_INIT;
        ouro_executor *pool;

        options.threads = 2;
        cr_assert_eq(ouro_thread_pool_open(&options, &pool), 0);
        cr_assert_eq(drive_to_end(counts_by_jobs, pool), 20);
        cr_assert_eq(ouro_executor_close(pool), 0);
}

Test(embed, jobs_of_a_process_pool_wake_it)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool;

        options.workers = 1;
        cr_assert_eq(ouro_process_pool_open(&options, &pool), 0);
        cr_assert_eq(drive_to_end(counts_by_jobs, pool), 20);
        cr_assert_eq(ouro_executor_close(pool), 0);
}

/* ---- other loops ---- */

static intptr_t asks_other_loops(void *loops)
{
        intptr_t sum = 0;

        for (intptr_t i = 0; i < 20; i++)
                sum += ouro_await(ouro_create_task_on(ouro_loops_next(loops), sleeps_ms, as_arg(1))) + i;
        return sum;
}

Test(embed, answers_of_other_loops_wake_it)
{
        struct ouro_loops_options options = OURO_LOOPS_OPTIONS_INIT;
        ouro_loops *loops;

        options.count = 2;
        cr_assert_eq(ouro_loops_open(&options, &loops), 0);
        cr_assert_eq(drive_to_end(asks_other_loops, loops), 190);
        cr_assert_eq(ouro_loops_close(loops, OURO_CLOSE_WAIT, OURO_FOREVER), 0);
}

Test(embed, two_of_them_on_one_thread)
{
        ouro_loop *a, *b;
        int goes_on;

        cr_assert_eq(ouro_loop_open(NULL, sleeps_ms, as_arg(4), &a), 0);
        cr_assert_eq(ouro_loop_open(NULL, gives_later, as_arg(9), &b), 0);
        cr_assert_eq(ouro_run(gives_later, as_arg(3)), 3, "and a run between");
        do {
                goes_on = ouro_loop_step(a);
                goes_on |= ouro_loop_step(b);
        } while (goes_on);
        cr_assert_eq(ouro_loop_close(a), 0);
        cr_assert_eq(ouro_loop_close(b), 9);
}

/* ---- the virtual clock ---- */

static intptr_t sleeps_an_hour(void *unused)
{
        (void)unused;
        for (int i = 0; i < 3600; i++)
                cr_assert_eq(ouro_sleep(OURO_SEC(1)), 0);
        return ouro_now() == OURO_SEC(3600);
}

Test(embed, the_virtual_clock_jumps_in_steps)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        cr_assert_eq(ouro_loop_open(&options, sleeps_an_hour, NULL, &loop), 0);
        drive();
        cr_assert_eq(ouro_loop_close(loop), 1);
}

/* ---- misuse ---- */

static intptr_t misuses(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_loop_step(loop), -EBUSY);
        cr_assert_eq(ouro_loop_close(loop), -EBUSY);
        cr_assert_eq(ouro_loop_open(NULL, gives, NULL, &loop), -EBUSY);
        cr_assert_eq(ouro_loop_fd(ouro_this_loop()) >= 0, 1);
        return 0;
}

static void *steps_from_elsewhere(void *arg)
{
        cr_assert_eq(ouro_loop_step(loop), -EPERM);
        cr_assert_eq(ouro_loop_close(loop), -EPERM);
        return arg;
}

Test(embed, misuse_is_refused)
{
        pthread_t thread;

        cr_assert_eq(ouro_loop_open(NULL, gives, NULL, NULL), -EINVAL);
        cr_assert_eq(ouro_loop_open(NULL, NULL, NULL, &loop), -EINVAL);
        cr_assert_eq(ouro_loop_step(NULL), -EINVAL);
        cr_assert_eq(ouro_loop_fd(NULL), -EINVAL);
        cr_assert_eq(ouro_loop_close(NULL), -EINVAL);
        open_loop(misuses, NULL);
        cr_assert_eq(pthread_create(&thread, NULL, steps_from_elsewhere, NULL), 0);
        pthread_join(thread, NULL);
        cr_assert_eq(ouro_run_on(loop, gives, NULL), -EDEADLK);
        cr_assert_eq(ouro_yield(), -EPERM, "between steps there is no task");
        cr_assert_eq(ouro_this_loop(), NULL);
        drive();
        cr_assert_eq(ouro_post(loop, gives, NULL), -ESHUTDOWN);
        cr_assert_eq(ouro_loop_close(loop), 0);
}

static intptr_t not_embedded(void *unused)
{
        (void)unused;
        cr_assert_eq(ouro_loop_fd(ouro_this_loop()), -EINVAL);
        cr_assert_eq(ouro_loop_step(ouro_this_loop()), -EINVAL);
        cr_assert_eq(ouro_loop_close(ouro_this_loop()), -EINVAL);
        return 0;
}

Test(embed, a_loop_of_a_run_is_no_such_loop)
{
        cr_assert_eq(ouro_run(not_embedded, NULL), 0);
}

Test(embed, a_forked_child_is_refused)
{
        pid_t child;
        int status;

        open_loop(waits_for_ever, NULL);
        settle();
        child = fork();
        cr_assert(child >= 0);
        if (child == 0)
                _exit(ouro_loop_step(loop) == -EPERM && ouro_loop_close(loop) == -EPERM ? 0 : 1);
        cr_assert(waitpid(child, &status, 0) == child && status == 0, "%x", status);
        cr_assert_eq(ouro_loop_close(loop), -ECANCELED);
}

/* ---- under epoll ---- */

static intptr_t echoes(void *fd)
{
        char byte;

        while (ouro_read((int)(intptr_t)fd, &byte, 1) == 1)
                if (ouro_write((int)(intptr_t)fd, &byte, 1) != 1)
                        return -EIO;
        return 0;
}

/* Edge-triggered registrations inside, and our own loop's descriptors beside. */
Test(embed, inside_an_epoll_loop_with_descriptors_of_its_own)
{
        struct epoll_event event = {.events = EPOLLIN}, got;
        int fds[2], epoll = epoll_create1(EPOLL_CLOEXEC), echoed = 0;
        char byte;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        open_loop(echoes, as_arg(fds[0]));
        event.data.fd = ouro_loop_fd(loop);
        cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, ouro_loop_fd(loop), &event), 0);
        event.data.fd = fds[1];
        cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &event), 0);
        cr_assert_eq(write(fds[1], "x", 1), 1);
        while (echoed < 200) {
                int n = epoll_wait(epoll, &got, 1, 20000);

                if (n < 0 && errno == EINTR)
                        continue;
                cr_assert_eq(n, 1);
                if (got.data.fd == ouro_loop_fd(loop)) {
                        cr_assert_eq(ouro_loop_step(loop), 1);
                } else {
                        cr_assert_eq(read(fds[1], &byte, 1), 1);
                        cr_assert_eq(write(fds[1], &byte, 1), 1);
                        echoed++;
                }
        }
        shutdown(fds[1], SHUT_WR);
        drive();
        cr_assert_eq(ouro_loop_close(loop), 0);
        close(epoll);
        close(fds[0]);
        close(fds[1]);
}
