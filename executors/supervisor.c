/* supervisor.c - the thread of a process pool that does what must not keep a loop.
 *
 * It alone talks to the zygote, and it alone changes the state of a worker. Each round it looks at everything
 * and does what is due; then it sleeps until the zygote says something, somebody nudges it, or the next
 * thing is due. Only jobs of threads without a loop make it listen to the doorbell, like a loop.
 *
 * When the zygote has died, its workers die with it. They are waited for by their pidfds; one that the zygote
 * had no time to tell of gets a moment. Nobody is there any more to end what their jobs have left behind:
 * that is in their process groups, and each group is the worker's own. Then a new zygote is started. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/sys.h"
#include "executors/compat.h"
#include "executors/launch.h"
#include "executors/process_pool.h"
#include "task/poller.h"

enum {
        FIXED_FDS = 3, /* nudge, zygote or -1, doorbell or -1; then pidfds while there is no zygote */
};

static const int64_t UNTOLD_NS = 100 * 1000 * 1000; /* for a worker without a pidfd to be gone */
static const int64_t LOOK_NS = 1000 * 1000;
static const int64_t SOON_NS = 1000 * 1000 * 1000;
static const int64_t FOREVER_NS = INT64_MAX;

static bool lives(const struct worker *worker)
{
        return worker->state == WORKER_ASKED_FOR || worker->state == WORKER_ALIVE;
}

static void send_signal(const struct worker *worker, int signal)
{
        (void)sys_result((int)syscall(SYS_pidfd_send_signal, worker->pidfd, signal, NULL, 0));
}

/* What is in the process group that a worker leads, dead or alive. -EINVAL: this kernel cannot do that, and
 * the group's number could be another's by now. */
static int signal_group(const struct worker *worker, int signal)
{
        return sys_result(
                (int)syscall(SYS_pidfd_send_signal, worker->pidfd, signal, NULL, PIDFD_SIGNAL_PROCESS_GROUP));
}

static void at_most(int64_t *due_ns, int64_t ns)
{
        if (ns < *due_ns)
                *due_ns = ns;
}

/* ---- what is due; with the lock held ---- */

static void kill_doomed(struct worker *worker, int64_t now_ns, int64_t *due_ns)
{
        if (!worker->doomed || worker->killed || worker->pidfd < 0)
                return;
        if (!worker->termed)
                send_signal(worker, SIGTERM);
        worker->termed = true;
        if (now_ns < worker->kill_ns)
                return at_most(due_ns, worker->kill_ns);
        send_signal(worker, SIGKILL);
        worker->killed = true;
}

/* A worker that nothing has been given for so long ends until it is needed. */
static void retire_idle(struct process_pool *pool, struct worker *worker, int64_t now_ns, int64_t *due_ns,
                        struct later *later)
{
        const int64_t idle_ns = pool->options.idle_ns;

        if (idle_ns <= 0 || !worker->seat || worker->stopping || worker->doomed)
                return;
        if (worker->given != worker->seen_given || worker->load > 0) {
                worker->seen_given = worker->given;
                worker->seen_ns = now_ns;
        }
        if (now_ns - worker->seen_ns < idle_ns)
                return at_most(due_ns, worker->seen_ns + idle_ns);
        worker->parking = true;
        worker_stop(pool, worker, later);
}

static bool all_done(const struct process_pool *pool)
{
        return pool->closing && atomic_load(&pool->jobs_out) == 0;
}

static void look_at_workers(struct process_pool *pool, int64_t now_ns, int64_t *due_ns, struct later *later)
{
        for (unsigned i = 0; i < pool->workers_len; i++) {
                struct worker *worker = &pool->workers[i];

                if (!lives(worker))
                        continue;
                if (all_done(pool))
                        worker_stop(pool, worker, later);
                if (all_done(pool) && pool->kill_all && !worker->doomed)
                        worker_doom(pool, worker, pool->options.grace_ns, later);
                retire_idle(pool, worker, now_ns, due_ns, later);
                overstay_end(pool, worker, now_ns, due_ns, later);
                kill_doomed(worker, now_ns, due_ns);
        }
}

/* ---- filling seats; without the lock, which only guards what is read here from being written ---- */

static struct worker *standing_by(struct process_pool *pool)
{
        struct worker *found = NULL;

        for (unsigned i = 0; i < pool->workers_len; i++) {
                struct worker *worker = &pool->workers[i];

                if (lives(worker) && !worker->seat && !worker->doomed && !worker->stopping &&
                    (!found || worker_works(worker)))
                        found = worker;
        }
        return found;
}

/* An own part of the arena binds a worker's struct to its seat. */
static struct worker *unused(struct process_pool *pool, const struct seat *seat)
{
        if (seat && pool->options.standby == 0) {
                struct worker *worker = &pool->workers[seat - pool->seats];

                return worker->state == WORKER_NONE ? worker : NULL;
        }
        for (unsigned i = 0; i < pool->workers_len; i++)
                if (pool->workers[i].state == WORKER_NONE)
                        return &pool->workers[i];
        return NULL;
}

static void spawn(struct process_pool *pool, struct worker *worker, struct seat *seat)
{
        int error = worker_spawn(pool, worker, seat);
        struct later later;

        if (error == 0)
                return;
        log_line(OURO_LOG_WARNING, "a worker process cannot be started: %s", strerror(-error));
        later_init(&later);
        pool_lock(pool);
        pool_crashed(pool, &later);
        pool_unlock(pool, &later);
}

static void fill_seat(struct process_pool *pool, struct seat *seat)
{
        struct worker *worker = standing_by(pool);
        struct later later;

        if (worker) {
                later_init(&later);
                pool_lock(pool);
                worker_take_seat(pool, worker, seat, &later);
                pool_unlock(pool, &later);
                return;
        }
        worker = unused(pool, seat);
        if (worker)
                spawn(pool, worker, seat);
}

static unsigned count_standby(const struct process_pool *pool)
{
        unsigned n = 0;

        for (unsigned i = 0; i < pool->workers_len; i++)
                if (lives(&pool->workers[i]) && !pool->workers[i].seat)
                        n++;
        return n;
}

static bool may_start(struct process_pool *pool, int64_t now_ns, int64_t *due_ns)
{
        if (pool->broken || pool->zygote_died || all_done(pool))
                return false;
        if (now_ns >= pool->calm_ns)
                return true;
        at_most(due_ns, pool->calm_ns);
        return false;
}

static void fill_seats(struct process_pool *pool, int64_t now_ns, int64_t *due_ns)
{
        for (unsigned i = 0; i < pool->seats_len && may_start(pool, now_ns, due_ns); i++)
                if (!pool->seats[i].worker && !pool->seats[i].parked)
                        fill_seat(pool, &pool->seats[i]);
        while (may_start(pool, now_ns, due_ns) && count_standby(pool) < pool->options.standby) {
                struct worker *worker = unused(pool, NULL);

                if (!worker)
                        break;
                spawn(pool, worker, NULL);
        }
}

/* ---- the zygote ---- */

static struct worker *meant(struct process_pool *pool, const struct zygote_message *message)
{
        struct worker *worker = message->worker < pool->workers_len ? &pool->workers[message->worker] : NULL;

        return worker && lives(worker) && worker->generation == message->generation ? worker : NULL;
}

static void worker_refused(struct process_pool *pool, struct worker *worker,
                           const struct zygote_message *message, struct later *later)
{
        const struct zygote_message died = {.verb = ZYGOTE_DIED, .error = message->error};

        worker_died(pool, worker, &died, later);
}

static void hear(struct process_pool *pool, const struct zygote_message *message, int fds[ZYGOTE_FDS_MOST])
{
        struct worker *worker;
        struct later later;

        later_init(&later);
        pool_lock(pool);
        worker = meant(pool, message);
        if (worker && message->verb == ZYGOTE_SPAWNED && worker->state == WORKER_ASKED_FOR) {
                worker->state = WORKER_ALIVE;
                worker->pid = message->pid;
                worker->pidfd = fds[0];
                fds[0] = -1;
        } else if (worker && message->verb == ZYGOTE_DIED) {
                worker_died(pool, worker, message, &later);
        } else if (worker && message->verb == ZYGOTE_REFUSED) {
                worker_refused(pool, worker, message, &later);
        }
        collect_slow(pool, &later);
        pool_unlock(pool, &later);
        for (int i = 0; i < ZYGOTE_FDS_MOST; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

static void zygote_lost(struct process_pool *pool)
{
        int zygote = pool->zygote;
        struct later later;

        later_init(&later);
        pool_lock(pool);
        pool->zygote = -1;
        pool->zygote_died = true;
        pool->zygote_died_ns = pool_clock_ns();
        for (unsigned i = 0; i < pool->workers_len; i++) {
                struct worker *worker = &pool->workers[i];

                if (!lives(worker))
                        continue;
                worker_unlist(pool, worker);
                if (worker->pidfd < 0)
                        continue;
                send_signal(worker, SIGKILL); /* it may not have its own group yet */
                (void)signal_group(worker, SIGKILL);
        }
        if (pool->zygote_died_ns - pool->zygote_born_ns < SOON_NS)
                pool_crashed(pool, &later);
        pool_unlock(pool, &later);
        launch_end(zygote);
}

static void hear_all(struct process_pool *pool)
{
        struct pollfd poll_fd = {.fd = pool->zygote, .events = POLLIN};

        while (pool->zygote >= 0 && sys_result(poll(&poll_fd, 1, 0)) > 0) {
                struct zygote_message message;
                int fds[ZYGOTE_FDS_MOST];

                if (zygote_receive(pool->zygote, &message, fds) > 0)
                        hear(pool, &message, fds);
                else
                        zygote_lost(pool);
        }
}

/* Of a group there is something left until the last of it has been reaped, for which nobody has to hurry. */
static bool is_gone(const struct worker *worker, int64_t since_ns, int64_t now_ns, int64_t *due_ns)
{
        struct pollfd poll_fd = {.fd = worker->pidfd, .events = POLLIN};
        const bool late = now_ns - since_ns >= UNTOLD_NS;

        if (worker->pidfd < 0 && !late)
                at_most(due_ns, since_ns + UNTOLD_NS);
        if (worker->pidfd < 0)
                return late;
        if (sys_result(poll(&poll_fd, 1, 0)) <= 0)
                return false; /* its pidfd will say */
        if (late || signal_group(worker, 0) < 0)
                return true;
        at_most(due_ns, now_ns + LOOK_NS);
        return false;
}

/* Workers that have gone down with the zygote. Whether all have. */
static bool mourn(struct process_pool *pool, int64_t now_ns, int64_t *due_ns)
{
        bool all = true;

        for (unsigned i = 0; i < pool->workers_len; i++) {
                struct worker *worker = &pool->workers[i];
                struct later later;

                if (!lives(worker))
                        continue;
                if (!is_gone(worker, pool->zygote_died_ns, now_ns, due_ns)) {
                        all = false;
                        continue;
                }
                later_init(&later);
                pool_lock(pool);
                worker_died(pool, worker, NULL, &later);
                collect_slow(pool, &later);
                pool_unlock(pool, &later);
        }
        return all;
}

static void replace_zygote(struct process_pool *pool, int64_t now_ns, int64_t *due_ns)
{
        struct later later;
        int error;

        if (!mourn(pool, now_ns, due_ns) || pool->broken || all_done(pool))
                return;
        if (now_ns < pool->calm_ns)
                return at_most(due_ns, pool->calm_ns);
        error = zygote_start(pool);
        later_init(&later);
        pool_lock(pool);
        if (error == 0)
                pool->zygote_died = false;
        else
                pool_crashed(pool, &later);
        pool_unlock(pool, &later);
        if (error < 0)
                log_line(OURO_LOG_WARNING, "the zygote cannot be started again: %s", strerror(-error));
        *due_ns = 0; /* there is more to do now */
}

/* ---- rounds ---- */

static void tell_broken(struct process_pool *pool)
{
        const char *why = pool->broken_why;

        if (!why)
                return;
        pool->broken_why = NULL;
        if (pool->broken_error < 0)
                log_line(OURO_LOG_ERROR, "a process pool is broken: %s (%s)", why,
                         strerror(-pool->broken_error));
        else
                log_line(OURO_LOG_ERROR, "a process pool is broken: %s", why);
}

/* Does what is due. When the next thing is. */
static int64_t do_due(struct process_pool *pool)
{
        int64_t now_ns = pool_clock_ns(), due_ns = FOREVER_NS;
        struct later later;

        if (pool->zygote_died)
                replace_zygote(pool, now_ns, &due_ns);
        later_init(&later);
        pool_lock(pool);
        if (!pool->zygote_died) {
                watchdog(pool, now_ns, &due_ns, &later);
                collect_slow(pool, &later);
                dispatch(pool, &later);
                look_at_workers(pool, now_ns, &due_ns, &later);
        }
        later.nudge = false; /* that is us */
        pool_unlock(pool, &later);
        workers_bury(pool);
        fill_seats(pool, now_ns, &due_ns);
        tell_broken(pool);
        return due_ns;
}

/* With the lock: whoever closes the pool has then let go of it. */
static bool is_over(struct process_pool *pool)
{
        bool over;

        pool_lock(pool);
        over = all_done(pool);
        for (unsigned i = 0; over && i < pool->workers_len; i++)
                over = pool->workers[i].state == WORKER_NONE;
        pthread_mutex_unlock(&pool->lock);
        return over;
}

static unsigned list_fds(const struct process_pool *pool, bool listening, struct pollfd *fds)
{
        unsigned n = FIXED_FDS;

        fds[0] = (struct pollfd){.fd = pool->nudge, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = pool->zygote, .events = POLLIN};
        fds[2] = (struct pollfd){.fd = listening ? pool->doorbell : -1, .events = POLLIN};
        for (unsigned i = 0; pool->zygote_died && i < pool->workers_len; i++)
                if (lives(&pool->workers[i]) && pool->workers[i].pidfd >= 0)
                        fds[n++] = (struct pollfd){.fd = pool->workers[i].pidfd, .events = POLLIN};
        return n;
}

static void sleep_until(const struct process_pool *pool, bool listening, int64_t due_ns)
{
        struct pollfd *fds = pool->poll_fds;
        unsigned n = list_fds(pool, listening, fds);
        int64_t left_ns = due_ns == FOREVER_NS ? -1 : due_ns - pool_clock_ns();
        struct timespec timeout = {.tv_sec = left_ns / SOON_NS, .tv_nsec = left_ns % SOON_NS};

        if (due_ns != FOREVER_NS && left_ns <= 0)
                timeout = (struct timespec){0};
        (void)sys_result(ppoll(fds, n, due_ns == FOREVER_NS ? NULL : &timeout, NULL));
        if (fds[0].revents)
                poller_silence(pool->nudge);
        if (fds[2].revents)
                poller_silence(pool->doorbell);
}

static bool has_loopless(struct process_pool *pool)
{
        bool any;

        pool_lock(pool);
        any = pool->loopless > 0;
        pthread_mutex_unlock(&pool->lock);
        return any;
}

static void one_round(struct process_pool *pool)
{
        int64_t due_ns = do_due(pool);
        bool listening = has_loopless(pool);

        if (is_over(pool))
                return;
        if (listening && !pool_listen(pool))
                due_ns = 0;
        sleep_until(pool, listening, due_ns);
        if (listening) {
                pool_ignore(pool);
                pool_collect(pool, true);
        }
        hear_all(pool);
}

static void *supervise(void *arg)
{
        struct process_pool *pool = arg;

        pthread_setname_np(pthread_self(), "ouro-pool");
        while (!is_over(pool))
                one_round(pool);
        if (pool->zygote >= 0)
                launch_end(pool->zygote);
        pool->zygote = -1;
        while (atomic_load_explicit(&pool->finishing, memory_order_acquire) > 0)
                sched_yield(); /* a thread is just leaving pool_unlock() */
        ouro_executor_closed(&pool->executor);
        return NULL;
}

/* With every signal blocked: signals are for the program's own threads. */
int supervisor_start(struct process_pool *pool)
{
        sigset_t all, old;
        int error;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        error = pthread_create(&pool->supervisor, NULL, supervise, pool);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        return -error;
}
