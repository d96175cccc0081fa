/* Every function of ouro.h where it may not be called: outside a run, and on a thread that is not the loop's;
 * and with NULL where something is needed. */
#include "support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/leaks.h"

TestSuite(misuse, .init = leaks_begin, .fini = leaks_end);

static ouro_task a_task;
static const struct ouro_local a_local = OURO_LOCAL_INIT("a local", NULL);
static ouro_completions *completions;
static ouro_chan *chan;

static void refused(const char *what, intptr_t result)
{
        cr_assert_eq(result, -EPERM, "%s gave %ld", what, (long)result);
}

#define REFUSED(call) refused(#call, (intptr_t)(call))

/* A handle that carries the error. */
static intptr_t error_of(ouro_task task)
{
        return (intptr_t)task.generation;
}

static void tasks_are_refused(void)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        struct ouro_group group;

        ouro_group_open(&group, 0, NULL);
        REFUSED(error_of(ouro_create_task(gives, NULL)));
        REFUSED(error_of(ouro_create_task_in(&group, gives, NULL)));
        REFUSED(error_of(ouro_create_task_with(&options, gives, NULL)));
        REFUSED(error_of(ouro_create_task_with(NULL, gives, NULL)));
        REFUSED(ouro_go(gives, NULL));
        REFUSED(ouro_await(a_task));
        REFUSED(ouro_wait(a_task));
        REFUSED(ouro_gather(&a_task, 1, NULL));
        REFUSED(ouro_gather(NULL, 0, NULL));
        REFUSED(ouro_wait_first(&a_task, 1));
        REFUSED(ouro_as_completed(&a_task, 1, &(ouro_completions *){NULL}));
        REFUSED(ouro_wait_for(a_task, 1));
        REFUSED(ouro_cancel(a_task));
        REFUSED(ouro_cancelled(a_task));
        REFUSED(ouro_task_state(a_task));
        REFUSED(ouro_set_priority(a_task, OURO_PRIORITY_LOW));
        REFUSED(ouro_task_info(a_task, &(struct ouro_task_info){.size = sizeof(struct ouro_task_info)}));
        REFUSED(ouro_tasks(NULL, 0));
        REFUSED(ouro_local_set(&a_local, NULL));
        REFUSED(ouro_local_unset(&a_local));
        cr_assert_null(ouro_local_get(&a_local));
        REFUSED(ouro_sleep(1));
        REFUSED(ouro_sleep(0));
        REFUSED(ouro_yield());
        REFUSED(ouro_now());
        cr_assert_null(ouro_task_name(a_task));
        cr_assert_null(ouro_this_loop());
        cr_assert_null(ouro_backend_name());
        cr_assert_eq(ouro_self().slot, 0u);
        cr_assert_eq(ouro_self().generation, 0u);
}

static void contexts_are_refused(void)
{
        struct ouro_group group;
        struct ouro_scope scope;

        cr_assert_eq(ouro_group_open(&group, 0, NULL), &group);
        REFUSED(ouro_group_close(&group));
        REFUSED(ouro_group_cancel(&group));
        ouro_group_leave(&group);
        cr_assert_eq(ouro_scope_open(&scope, 1, NULL), &scope);
        cr_assert_not(ouro_scope_expired(&scope));
        REFUSED(ouro_scope_close(&scope));
        ouro_scope_leave(&scope);
        cr_assert_eq(ouro_shield_open(&scope), &scope);
        REFUSED(ouro_scope_close(&scope));
}

static void more_sync_is_refused(void)
{
        struct ouro_mutex mutex = OURO_MUTEX_INIT;
        struct ouro_rwlock lock = OURO_RWLOCK_INIT;
        struct ouro_semaphore semaphore = OURO_SEMAPHORE_INIT_BOUNDED(1);
        struct ouro_barrier barrier = OURO_BARRIER_INIT(1);
        struct ouro_once once = OURO_ONCE_INIT;
        struct ouro_latch latch = OURO_LATCH_INIT(1);
        struct ouro_wait_group group = OURO_WAIT_GROUP_INIT;

        REFUSED(ouro_mutex_recover(&mutex));
        REFUSED(ouro_rwlock_read(&lock));
        REFUSED(ouro_rwlock_try_read(&lock));
        REFUSED(ouro_rwlock_write(&lock));
        REFUSED(ouro_rwlock_try_write(&lock));
        REFUSED(ouro_rwlock_unlock(&lock));
        REFUSED(ouro_rwlock_downgrade(&lock));
        REFUSED(ouro_rwlock_recover(&lock));
        REFUSED(ouro_semaphore_acquire_n(&semaphore, 1));
        REFUSED(ouro_semaphore_try_acquire_n(&semaphore, 1));
        REFUSED(ouro_semaphore_release_n(&semaphore, 1));
        REFUSED(ouro_barrier_wait(&barrier));
        REFUSED(ouro_barrier_abort(&barrier));
        REFUSED(ouro_barrier_reset(&barrier));
        REFUSED(ouro_once_do(&once, gives, NULL));
        REFUSED(ouro_latch_wait(&latch));
        REFUSED(ouro_latch_try_wait(&latch));
        REFUSED(ouro_latch_count_down(&latch, 1));
        REFUSED(ouro_wait_group_add(&group, 1));
        REFUSED(ouro_wait_group_done(&group));
        REFUSED(ouro_wait_group_wait(&group));
}

static void sync_is_refused(void)
{
        struct ouro_mutex mutex = OURO_MUTEX_INIT;
        struct ouro_semaphore semaphore = OURO_SEMAPHORE_INIT(1);
        struct ouro_event event = OURO_EVENT_INIT;
        struct ouro_condition condition = OURO_CONDITION_INIT;
        char item = 0;

        more_sync_is_refused();
        REFUSED(ouro_chan_send(chan, &item));
        REFUSED(ouro_chan_recv(chan, &item));
        REFUSED(ouro_chan_try_send(chan, &item));
        REFUSED(ouro_chan_try_recv(chan, &item));
        REFUSED(ouro_chan_close(chan));
        cr_assert_eq(ouro_chan_len(chan), 0u);
        REFUSED(ouro_mutex_lock(&mutex));
        REFUSED(ouro_mutex_try_lock(&mutex));
        REFUSED(ouro_mutex_unlock(&mutex));
        REFUSED(ouro_semaphore_acquire(&semaphore));
        REFUSED(ouro_semaphore_try_acquire(&semaphore));
        REFUSED(ouro_semaphore_release(&semaphore));
        REFUSED(ouro_event_wait(&event));
        REFUSED(ouro_event_set(&event));
        REFUSED(ouro_event_clear(&event));
        REFUSED(ouro_condition_wait(&condition, &mutex));
        REFUSED(ouro_condition_notify(&condition, 1));
        REFUSED(ouro_condition_notify_all(&condition));
}

static void files_are_refused(void)
{
        struct statx statx;
        char byte = 0;
        size_t done = 0;

        REFUSED(ouro_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0));
        REFUSED(ouro_open("/dev/null", O_RDONLY, 0));
        REFUSED(ouro_read(0, &byte, 1));
        REFUSED(ouro_write(1, &byte, 1));
        REFUSED(ouro_pread(0, &byte, 1, 0));
        REFUSED(ouro_pwrite(1, &byte, 1, 0));
        REFUSED(ouro_read_all(0, &byte, 1, &done));
        REFUSED(ouro_write_all(1, &byte, 1, &done));
        REFUSED(ouro_pread_all(0, &byte, 1, 0, &done));
        REFUSED(ouro_pwrite_all(1, &byte, 1, 0, &done));
        REFUSED(ouro_fsync(0));
        REFUSED(ouro_fdatasync(0));
        REFUSED(ouro_statx(AT_FDCWD, "/", 0, STATX_ALL, &statx));
        REFUSED(ouro_unlinkat(AT_FDCWD, "/nonexistent/x", 0));
        REFUSED(ouro_unlink("/nonexistent/x"));
        REFUSED(ouro_renameat(AT_FDCWD, "/nonexistent/x", AT_FDCWD, "/nonexistent/y", 0));
        REFUSED(ouro_rename("/nonexistent/x", "/nonexistent/y"));
        REFUSED(ouro_poll(0, POLLIN));
        REFUSED(ouro_close(1000));
        cr_assert_eq(done, 0u);
}

static void sockets_are_refused(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET};
        const struct sockaddr *to = (const struct sockaddr *)&address;
        struct msghdr message = {0};
        char byte = 0;

        REFUSED(ouro_socket(AF_INET, SOCK_STREAM, 0));
        REFUSED(ouro_bind(0, to, sizeof address));
        REFUSED(ouro_listen_on(0, 1));
        REFUSED(ouro_listen("tcp:127.0.0.1:0"));
        REFUSED(ouro_dial("tcp:127.0.0.1:1"));
        REFUSED(ouro_accept(0, NULL, NULL));
        REFUSED(ouro_connect(0, to, sizeof address));
        REFUSED(ouro_recv(0, &byte, 1, 0));
        REFUSED(ouro_send(0, &byte, 1, 0));
        REFUSED(ouro_send_all(0, &byte, 1, NULL));
        REFUSED(ouro_recv_all(0, &byte, 1, NULL));
        REFUSED(ouro_recvmsg(0, &message, 0));
        REFUSED(ouro_sendmsg(0, &message, 0));
        REFUSED(ouro_shutdown(0, SHUT_RD));
}

static intptr_t is_a_job(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return 0;
}

static void jobs_are_refused(void)
{
        ouro_executor *pool = ouro_thread_pool(NULL);

        cr_assert_not_null(pool);
        REFUSED(error_of(ouro_submit(pool, is_a_job, OURO_NO_IN, OURO_NO_OUT)));
        cr_assert_eq(ouro_executor_close(pool), 0);
}

static void *everything_is_refused(void *unused)
{
        tasks_are_refused();
        contexts_are_refused();
        sync_is_refused();
        files_are_refused();
        sockets_are_refused();
        jobs_are_refused();
        return unused;
}

Test(misuse, every_call_outside_a_run_is_refused)
{
        chan = ouro_chan_new(1, 1);
        cr_assert_not_null(chan);
        a_task = (ouro_task){0, 1};
        everything_is_refused(NULL);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

RUN(misuse, f38_every_call_from_a_thread_without_a_loop_is_refused)
{
        pthread_t thread;

        chan = ouro_chan_new(1, 1);
        a_task = ouro_create_task(waits_for_ever, NULL);
        cr_assert_eq(ouro_as_completed(&a_task, 1, &completions), 0);
        cr_assert_eq(pthread_create(&thread, NULL, everything_is_refused, NULL), 0);
        pthread_join(thread, NULL);
        cr_assert_eq(ouro_cancelled(a_task), OURO_NOT_CANCELLED);
        ouro_completions_free(completions);
        cr_assert_eq(ouro_chan_free(chan), 0);
}

static void *asks_for_next(void *unused)
{
        REFUSED(ouro_completions_next(completions));
        return unused;
}

RUN(misuse, f38_completions_of_a_loop_are_not_another_threads)
{
        pthread_t thread;

        a_task = ouro_create_task(gives, NULL);
        cr_assert_eq(ouro_as_completed(&a_task, 1, &completions), 0);
        cr_assert_eq(pthread_create(&thread, NULL, asks_for_next, NULL), 0);
        pthread_join(thread, NULL);
        cr_assert_eq(ouro_completions_next(completions), 0);
        ouro_completions_free(completions);
}

/* ---- NULL ---- */

static void invalid(const char *what, intptr_t result)
{
        cr_assert_eq(result, -EINVAL, "%s gave %ld", what, (long)result);
}

#define INVALID(call) invalid(#call, (intptr_t)(call))

RUN(misuse, null_is_told_by_tasks_and_contexts)
{
        INVALID(ouro_run(NULL, NULL));
        INVALID(ouro_await(ouro_create_task_named(NULL, NULL, "")));
        INVALID(ouro_await(ouro_create_task_in_at(NULL, gives, NULL, NULL)));
        INVALID(ouro_await(ouro_create_task_with(NULL, NULL, NULL)));
        INVALID(ouro_go_at(NULL, NULL, NULL));
        INVALID(ouro_gather(NULL, 1, NULL));
        INVALID(ouro_wait_first(NULL, 1));
        INVALID(ouro_as_completed(NULL, 1, &completions));
        INVALID(ouro_as_completed(NULL, 0, NULL));
        INVALID(ouro_completions_next(NULL));
        ouro_completions_free(NULL);
        INVALID(ouro_post(NULL, gives, NULL));
        INVALID(ouro_post(ouro_this_loop(), NULL, NULL));
        INVALID(ouro_group_close(NULL));
        INVALID(ouro_group_cancel(NULL));
        INVALID(ouro_scope_close(NULL));
        cr_assert_not(ouro_scope_expired(NULL));
        cr_assert_null(ouro_group_open(NULL, 0, NULL));
        cr_assert_null(ouro_scope_open(NULL, 0, NULL));
        cr_assert_null(ouro_shield_open(NULL));
        INVALID(ouro_await(ouro_submit_at(NULL, is_a_job, OURO_NO_IN, OURO_NO_OUT, NULL)));
        INVALID(ouro_executor_close(NULL));
}

RUN(misuse, null_is_told_by_what_tasks_wait_for)
{
        struct ouro_mutex mutex = OURO_MUTEX_INIT;
        struct ouro_condition condition = OURO_CONDITION_INIT;
        char item = 0;

        chan = ouro_chan_new(1, 1);
        INVALID(ouro_chan_send(NULL, &item));
        INVALID(ouro_chan_send(chan, NULL));
        INVALID(ouro_chan_recv(NULL, &item));
        INVALID(ouro_chan_recv(chan, NULL));
        INVALID(ouro_chan_try_send(NULL, &item));
        INVALID(ouro_chan_try_send(chan, NULL));
        INVALID(ouro_chan_try_recv(NULL, &item));
        INVALID(ouro_chan_try_recv(chan, NULL));
        INVALID(ouro_chan_close(NULL));
        cr_assert_eq(ouro_chan_len(NULL), 0u);
        cr_assert_eq(ouro_chan_free(NULL), 0);
        cr_assert_eq(ouro_chan_free(chan), 0);
        INVALID(ouro_mutex_lock(NULL));
        INVALID(ouro_mutex_try_lock(NULL));
        INVALID(ouro_mutex_unlock(NULL));
        INVALID(ouro_semaphore_acquire(NULL));
        INVALID(ouro_semaphore_try_acquire(NULL));
        INVALID(ouro_semaphore_release(NULL));
        INVALID(ouro_event_wait(NULL));
        INVALID(ouro_event_set(NULL));
        INVALID(ouro_event_clear(NULL));
        INVALID(ouro_condition_wait(NULL, &mutex));
        INVALID(ouro_condition_wait(&condition, NULL));
        INVALID(ouro_condition_notify(NULL, 1));
        INVALID(ouro_condition_notify_all(NULL));
}

RUN(misuse, null_is_told_by_locks_and_their_kin)
{
        INVALID(ouro_mutex_recover(NULL));
        INVALID(ouro_rwlock_read(NULL));
        INVALID(ouro_rwlock_try_read(NULL));
        INVALID(ouro_rwlock_write(NULL));
        INVALID(ouro_rwlock_try_write(NULL));
        INVALID(ouro_rwlock_unlock(NULL));
        INVALID(ouro_rwlock_downgrade(NULL));
        INVALID(ouro_rwlock_recover(NULL));
        INVALID(ouro_semaphore_acquire_n(NULL, 1));
        INVALID(ouro_semaphore_try_acquire_n(NULL, 1));
        INVALID(ouro_semaphore_release_n(NULL, 1));
        INVALID(ouro_barrier_wait(NULL));
        INVALID(ouro_barrier_abort(NULL));
        INVALID(ouro_barrier_reset(NULL));
        INVALID(ouro_once_do(NULL, gives, NULL));
        INVALID(ouro_latch_wait(NULL));
        INVALID(ouro_latch_try_wait(NULL));
        INVALID(ouro_latch_count_down(NULL, 1));
        INVALID(ouro_wait_group_add(NULL, 1));
        INVALID(ouro_wait_group_done(NULL));
        INVALID(ouro_wait_group_wait(NULL));
}
