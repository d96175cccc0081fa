/* poller.c - see poller.h.
 *
 * A poller is its loop's until both have let go of it: the one who attached it (detached) and the loop, which
 * must first take back the poll of the bell. Detaching happens on any thread; busy keeps it out of the calls
 * into what is detached. The loop then hears of it by a message, or by its own end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "task/poller.h"
#include "task/task.h"

struct poller {
        struct ouro_list link;       /* in loop->pollers */
        struct ouro_message message; /* tells the loop to release it */
        const struct poller_ops *ops;
        void *what;             /* NULL: detached */
        struct ouro_loop *loop; /* NULL: it has ended */
        struct op op;           /* polls the bell */
        int bell;               /* a copy of ours */
        bool rung;
        bool listening;
        bool released; /* the loop wants no more of it; when op has ended it is freed */
        atomic_bool busy;
};

/* Held for the length of a collect() at the most. */
static void enter(struct poller *poller)
{
        while (atomic_exchange_explicit(&poller->busy, true, memory_order_acquire))
                sched_yield();
}

static void leave(struct poller *poller)
{
        atomic_store_explicit(&poller->busy, false, memory_order_release);
}

static void poller_free(struct poller *poller)
{
        close(poller->bell);
        mem_free(poller, sizeof *poller);
}

/* ---- the bell ---- */

static void bell_has_rung(struct ring *ring, struct op *op);

static int poll_bell(struct poller *poller)
{
        io_uring_prep_poll_add(op_begin(&poller->op), poller->bell, POLLIN);
        poller->op.complete = bell_has_rung;
        return op_start(&poller->loop->ring, &poller->op);
}

void poller_silence(int bell)
{
        uint64_t count;
        const struct iovec to = {&count, sizeof count};

        (void)sys_result((int)preadv2(bell, &to, 1, -1, RWF_NOWAIT));
}

static void bell_has_rung(struct ring *ring, struct op *op)
{
        struct poller *poller = container_of(op, struct poller, op);

        if (poller->released) {
                enter(poller); /* whoever detached it is out of it */
                list_del(&poller->link);
                ring_forget_fd(ring, poller->bell);
                poller_free(poller);
                return;
        }
        poller_silence(poller->bell); /* before anything is collected: what is rung for from now on shows */
        poller->rung = true;
        check(poll_bell(poller) == 0); /* the slot it had is free */
}

/* ---- attaching ---- */

static struct poller *find(const struct ouro_loop *loop, const void *what)
{
        for (struct ouro_list *node = loop->pollers.next; node != &loop->pollers; node = node->next) {
                struct poller *poller = container_of(node, struct poller, link);

                if (poller->what == what)
                        return poller;
        }
        return NULL;
}

static int attach_new(struct ouro_loop *loop, const struct poller_ops *ops, void *what, int bell,
                      struct poller **ret_new)
{
        struct poller *poller = mem_calloc(sizeof *poller);
        int error;

        if (!poller)
                return -ENOMEM;
        poller->ops = ops;
        poller->what = what;
        poller->loop = loop;
        poller->bell = sys_result(fcntl(bell, F_DUPFD_CLOEXEC, 0));
        if (poller->bell < 0) {
                error = poller->bell;
                mem_free(poller, sizeof *poller);
                return error;
        }
        error = poll_bell(poller);
        if (error < 0) {
                poller_free(poller);
                return error;
        }
        list_push(&loop->pollers, &poller->link);
        *ret_new = poller;
        return 0;
}

int poller_attach(struct ouro_loop *loop, const struct poller_ops *ops, void *what, int bell,
                  struct poller **ret_new)
{
        *ret_new = NULL;
        return likely(find(loop, what)) ? 0 : attach_new(loop, ops, what, bell, ret_new);
}

/* ---- letting go ---- */

/* On the loop's thread; what it was attached for is gone. Freed when the poll of its bell has ended. */
static void release(struct poller *poller)
{
        poller->released = true;
        ring_cancel(&poller->loop->ring, &poller->op);
}

static void deliver_release(struct ouro_loop *loop, struct ouro_message *message)
{
        (void)loop;
        release(container_of(message, struct poller, message));
}

void poller_detach(struct poller *poller)
{
        struct ouro_loop *loop;

        enter(poller);
        poller->what = NULL;
        loop = poller->loop;
        if (loop && loop != loop_here()) {
                poller->message.deliver = deliver_release;
                (void)loop_send(loop, &poller->message, &poller->message); /* else pollers_close() sees it */
        }
        leave(poller);
        if (!loop)
                mem_free(poller, sizeof *poller);
        else if (loop == loop_here())
                release(poller);
}

static void poll_has_ended(struct ring *ring, struct op *op)
{
        (void)ring, (void)op;
}

/* The end of the poll of a bell, waited for: its memory is the kernel's until then. False: the ring fails. */
static bool end_poll(struct ouro_loop *loop, struct poller *poller)
{
        ring_cancel(&loop->ring, &poller->op);
        while (poller->op.state != OP_IDLE)
                if (ring_wait(&loop->ring, OURO_SEC(1)) < 0)
                        return false;
        return true;
}

/* The inbox is closed: no message is on its way. Those that are still attached are freed by
 * poller_detach(). */
void pollers_close(struct ouro_loop *loop)
{
        /* None reads its bell any more: nobody here would look for whom it was rung. */
        for (struct ouro_list *node = loop->pollers.next; node != &loop->pollers; node = node->next)
                container_of(node, struct poller, link)->op.complete = poll_has_ended;
        while (!list_empty(&loop->pollers)) {
                struct poller *poller = container_of(loop->pollers.next, struct poller, link);
                bool detached;

                list_del(&poller->link);
                if (!end_poll(loop, poller))
                        continue;
                close(poller->bell);
                enter(poller);
                poller->loop = NULL;
                detached = !poller->what;
                leave(poller);
                if (detached)
                        mem_free(poller, sizeof *poller);
        }
}

/* ---- the loop's passes ---- */

static void collect(struct poller *poller)
{
        bool rung = poller->rung;

        poller->rung = false;
        enter(poller);
        if (likely(poller->what))
                poller->ops->collect(poller->what, rung);
        leave(poller);
}

void pollers_collect(struct ouro_loop *loop)
{
        for (struct ouro_list *node = loop->pollers.next; node != &loop->pollers; node = node->next) {
                struct poller *poller = container_of(node, struct poller, link);

                if (loop->jobs_out > 0 || poller->rung)
                        collect(poller);
        }
}

bool pollers_listen(struct ouro_loop *loop)
{
        bool may_sleep = true;

        for (struct ouro_list *node = loop->pollers.next; node != &loop->pollers && may_sleep;
             node = node->next) {
                struct poller *poller = container_of(node, struct poller, link);

                if (loop->jobs_out == 0)
                        break;
                enter(poller);
                if (poller->what) {
                        poller->listening = true;
                        may_sleep = poller->ops->listen(poller->what);
                }
                leave(poller);
        }
        return may_sleep;
}

void pollers_ignore(struct ouro_loop *loop)
{
        for (struct ouro_list *node = loop->pollers.next; node != &loop->pollers; node = node->next) {
                struct poller *poller = container_of(node, struct poller, link);

                if (!poller->listening)
                        continue;
                poller->listening = false;
                enter(poller);
                if (poller->what)
                        poller->ops->ignore(poller->what);
                leave(poller);
        }
}
