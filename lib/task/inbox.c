/* inbox.c - what other threads send to a loop: functions to run, jobs that are done, wakes.
 *
 * A loop that goes to sleep puts a mark into its empty inbox. The one sender that takes the mark's place owes
 * it a wake. No other touches the loop after its message is in, because by then the run may be over; for
 * those wakes it waits before it frees anything. */
#include <errno.h>
#include <sched.h>

#include "base/alloc.h"
#include "task/task.h"

enum { TAKE_MOST = 64 }; /* messages taken in at a time, twice a pass: no more than a pass can run */

/* What inbox holds when nothing more may be sent. */
static struct ouro_message closed_mark;

/* What an empty inbox holds while its loop sleeps. */
static struct ouro_message asleep_mark;

bool loop_send(struct ouro_loop *loop, struct ouro_message *newest, struct ouro_message *oldest)
{
        struct ouro_message *old = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

        do {
                if (old == &closed_mark)
                        return false;
                oldest->next = old == &asleep_mark ? NULL : old;
        } while (!atomic_compare_exchange_weak(&loop->inbox, &old, newest));
        if (old == &asleep_mark) {
                ring_wake(&loop->ring);
                atomic_fetch_add_explicit(&loop->wakes_given, 1, memory_order_release);
        }
        return true;
}

bool inbox_empty(struct ouro_loop *loop)
{
        return !loop->taken && atomic_load(&loop->inbox) == NULL;
}

/* False: there is something in the inbox. */
bool inbox_fall_asleep(struct ouro_loop *loop)
{
        struct ouro_message *none = NULL;

        return !loop->taken && atomic_compare_exchange_strong(&loop->inbox, &none, &asleep_mark);
}

void inbox_get_up(struct ouro_loop *loop)
{
        struct ouro_message *mark = &asleep_mark;

        if (!atomic_compare_exchange_strong(&loop->inbox, &mark, NULL))
                loop->wakes_owed++;
}

/* The inbox, emptied: oldest first. */
static struct ouro_message *empty_inbox(struct ouro_loop *loop)
{
        struct ouro_message *newest = atomic_exchange(&loop->inbox, NULL), *message = NULL;

        while (newest) {
                struct ouro_message *older = newest->next;

                newest->next = message;
                message = newest;
                newest = older;
        }
        return message;
}

/* Some of what was sent: a flood of it must not keep the tasks that are ready from running. */
void inbox_take(struct ouro_loop *loop)
{
        if (likely(!loop->taken)) {
                if (likely(atomic_load_explicit(&loop->inbox, memory_order_relaxed) == NULL))
                        return;
                loop->taken = empty_inbox(loop);
        }
        for (int i = 0; i < TAKE_MOST && loop->taken; i++) {
                struct ouro_message *message = loop->taken;

                loop->taken = message->next;
                message->deliver(loop, message);
        }
}

/* A function posted from another thread. */
struct post {
        struct ouro_message message;
        ouro_fn *fn;
        void *arg;
};

static void deliver_post(struct ouro_loop *loop, struct ouro_message *message)
{
        struct post *post = container_of(message, struct post, message);
        static const struct ouro_site site = {.name = "posted"};
        const struct ouro_task_options options = {.size = sizeof options};
        struct task *task = task_create(loop, &loop->root, post->fn, post->arg, &options, &site);

        if (!task) { /* no memory now: it must not be lost */
                loop_send(loop, message, message);
                return;
        }
        task->detached = 1;
        mem_free(post, sizeof *post);
}

int ouro_post(ouro_loop *loop, ouro_fn *fn, void *arg)
{
        struct post *post;

        if (!loop || !fn)
                return -EINVAL;
        if (loop->forks != loop_forks) /* a copy, which nobody runs */
                return -EPERM;
        post = mem_alloc(sizeof *post);
        if (!post)
                return -ENOMEM;
        *post = (struct post){.message = {.deliver = deliver_post}, .fn = fn, .arg = arg};
        if (loop_send(loop, &post->message, &post->message))
                return 0;
        mem_free(post, sizeof *post);
        return -ESHUTDOWN;
}

/* From here on ouro_post() fails; what came before still runs, cancelled. */
bool inbox_close(struct ouro_loop *loop)
{
        struct ouro_message *none = NULL;

        return !loop->taken && atomic_compare_exchange_strong(&loop->inbox, &none, &closed_mark);
}

/* Senders that are about to wake this loop, or have just done so, still hold on to it. */
void inbox_await_wakers(struct ouro_loop *loop)
{
        while (atomic_load_explicit(&loop->wakes_given, memory_order_acquire) != loop->wakes_owed)
                sched_yield();
}
