/* helpers.c - a bounded pool of threads for one loop's blocking system calls.
 *
 * Invariants: an op is in queued, or in a helper's hands, or in finished. While something is queued, some
 * helper that ends by itself is at work or told to be, or the loop has been notified to see to it. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "ring/calls.h"
#include "ring/helpers.h"

enum { STACK_BYTES = 256 << 10, IDLE_SECONDS = 5 };

struct helper {
        struct ouro_list link; /* in helpers->running or helpers->ended */
        struct helpers *helpers;
        pthread_t thread;
};

static void *helper_main(void *arg);

/* ---- threads; the lock is held ---- */

/* The new thread's mask: a signal of the program must not be handled there, nor a write's SIGPIPE kill it. */
static int create_blocked(pthread_t *thread, struct helper *helper)
{
        int saved_errno = errno; /* the task's: what pthread_create() calls writes it */
        pthread_attr_t attr;
        sigset_t all, old;
        int error = pthread_attr_init(&attr);

        if (error)
                return -error;
        pthread_attr_setstacksize(&attr, STACK_BYTES);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        error = pthread_create(thread, &attr, helper_main, helper);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        pthread_attr_destroy(&attr);
        errno = saved_errno;
        return -error;
}

static bool add_helper(struct helpers *helpers)
{
        struct helper *helper = mem_alloc(sizeof *helper);

        if (!helper)
                return false;
        helper->helpers = helpers;
        if (create_blocked(&helper->thread, helper) < 0) {
                mem_free(helper, sizeof *helper);
                return false;
        }
        list_push(&helpers->running, &helper->link);
        helpers->threads++;
        helpers->idle++; /* until it looks for work */
        return true;
}

/* How many can be counted on to come back for more. */
static unsigned dependable(const struct helpers *helpers)
{
        return helpers->threads - helpers->waiting;
}

/* Sees to it that what is queued will be done. False: nobody is there to do it. */
static bool rouse(struct helpers *helpers)
{
        if (helpers->queued_len == 0)
                return true;
        if (helpers->idle > 0)
                pthread_cond_signal(&helpers->work);
        if (helpers->queued_len > helpers->idle && dependable(helpers) < helpers->limit)
                add_helper(helpers);
        return dependable(helpers) > 0;
}

static struct op *take_queued(struct helpers *helpers)
{
        struct op *op = container_of(helpers->queued.next, struct op, link);

        list_del(&op->link);
        helpers->queued_len--;
        call_progress(op)->begun = true;
        return op;
}

static void put_finished(struct helpers *helpers, struct op *op)
{
        list_push(&helpers->finished, &op->link);
}

/* ---- a helper ---- */

/* False: it has been idle for too long. */
static bool wait_for_work(struct helpers *helpers)
{
        struct timespec until;
        int error;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += helpers->idle_ns / OURO_SEC(1);
        until.tv_nsec += helpers->idle_ns % OURO_SEC(1);
        if (until.tv_nsec >= OURO_SEC(1)) {
                until.tv_nsec -= OURO_SEC(1);
                until.tv_sec++;
        }
        helpers->idle++;
        error = pthread_cond_timedwait(&helpers->work, &helpers->lock, &until);
        helpers->idle--;
        return error != ETIMEDOUT;
}

/* NULL: this helper is to end. */
static struct op *next_op(struct helpers *helpers)
{
        while (dependable(helpers) <= helpers->limit) {
                if (helpers->queued_len > 0)
                        return take_queued(helpers);
                if (helpers->closing || (!wait_for_work(helpers) && helpers->queued_len == 0))
                        return NULL;
        }
        return NULL; /* one that was added while others could not be counted on */
}

static void run(struct helpers *helpers, struct op *op)
{
        bool once = call_progress(op)->place == PLACE_HELPER_ONCE, may_wait, stuck = false;

        pthread_mutex_unlock(&helpers->lock);
        may_wait = once || call_may_wait(op);
        if (may_wait) {
                pthread_mutex_lock(&helpers->lock);
                helpers->waiting++;
                stuck = !rouse(helpers);
                pthread_mutex_unlock(&helpers->lock);
        }
        if (stuck)
                helpers->notify(helpers->notify_arg);
        call_block(op, once);
        pthread_mutex_lock(&helpers->lock);
        if (may_wait)
                helpers->waiting--;
        put_finished(helpers, op);
        helpers->notify(helpers->notify_arg);
}

static void *helper_main(void *arg)
{
        struct helper *self = arg;
        struct helpers *helpers = self->helpers;
        struct op *op;

        prctl(PR_SET_NAME, "ouro-io");
        pthread_mutex_lock(&helpers->lock);
        helpers->idle--;
        while ((op = next_op(helpers)))
                run(helpers, op);
        helpers->threads--;
        list_del(&self->link);
        list_push(&helpers->ended, &self->link);
        pthread_mutex_unlock(&helpers->lock);
        return NULL;
}

/* ---- the loop ---- */

static void do_here(struct helpers *helpers)
{
        struct op *op = take_queued(helpers);

        pthread_mutex_unlock(&helpers->lock);
        call_block_here(op, call_progress(op)->place == PLACE_HELPER_ONCE);
        pthread_mutex_lock(&helpers->lock);
        put_finished(helpers, op);
}

void helpers_give(struct helpers *helpers, struct op *op, bool once)
{
        call_progress(op)->begun = false;
        call_progress(op)->place = once ? PLACE_HELPER_ONCE : PLACE_HELPER;
        pthread_mutex_lock(&helpers->lock);
        list_push(&helpers->queued, &op->link);
        helpers->queued_len++;
        while (!rouse(helpers))
                do_here(helpers);
        pthread_mutex_unlock(&helpers->lock);
}

bool helpers_take_back(struct helpers *helpers, struct op *op)
{
        bool queued;

        pthread_mutex_lock(&helpers->lock);
        queued = !call_progress(op)->begun;
        if (queued) {
                list_del(&op->link);
                helpers->queued_len--;
        }
        pthread_mutex_unlock(&helpers->lock);
        return queued;
}

/* Each is on its last instructions: joining it takes no time. */
static void join(struct ouro_list *ended)
{
        while (!list_empty(ended)) {
                struct helper *helper = container_of(ended->next, struct helper, link);

                list_del(&helper->link);
                pthread_join(helper->thread, NULL);
                mem_free(helper, sizeof *helper);
        }
}

void helpers_collect(struct helpers *helpers, struct ouro_list *done)
{
        struct ouro_list ended;

        list_init(&ended);
        pthread_mutex_lock(&helpers->lock);
        while (!rouse(helpers))
                do_here(helpers);
        list_splice(done, &helpers->finished);
        list_splice(&ended, &helpers->ended);
        pthread_mutex_unlock(&helpers->lock);
        join(&ended);
}

static int init_cond(pthread_cond_t *cond)
{
        pthread_condattr_t attr;
        int error = pthread_condattr_init(&attr);

        if (error)
                return -error;
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        error = pthread_cond_init(cond, &attr);
        pthread_condattr_destroy(&attr);
        return -error;
}

int helpers_open(struct helpers *helpers, unsigned limit, void (*notify)(void *arg), void *arg)
{
        int error = init_cond(&helpers->work);

        if (error < 0)
                return error;
        error = -pthread_mutex_init(&helpers->lock, NULL);
        if (error < 0) {
                pthread_cond_destroy(&helpers->work);
                return error;
        }
        list_init(&helpers->queued);
        list_init(&helpers->finished);
        list_init(&helpers->running);
        list_init(&helpers->ended);
        helpers->queued_len = 0;
        helpers->threads = helpers->idle = helpers->waiting = 0;
        helpers->closing = false;
        helpers->limit = limit;
        helpers->notify = notify;
        helpers->notify_arg = arg;
        helpers->idle_ns = OURO_SEC(IDLE_SECONDS);
        return 0;
}

void helpers_close(struct helpers *helpers)
{
        struct ouro_list all;

        list_init(&all);
        pthread_mutex_lock(&helpers->lock);
        check(helpers->queued_len == 0);
        helpers->closing = true;
        pthread_cond_broadcast(&helpers->work);
        while (!list_empty(&helpers->running)) { /* each moves itself to ended */
                struct helper *helper = container_of(helpers->running.next, struct helper, link);
                pthread_t thread = helper->thread;

                pthread_mutex_unlock(&helpers->lock);
                pthread_join(thread, NULL);
                pthread_mutex_lock(&helpers->lock);
                list_del(&helper->link);
                mem_free(helper, sizeof *helper);
        }
        list_splice(&all, &helpers->ended);
        pthread_mutex_unlock(&helpers->lock);
        join(&all);
        pthread_cond_destroy(&helpers->work);
        pthread_mutex_destroy(&helpers->lock);
}
