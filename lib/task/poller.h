/* poller.h - something outside that a loop looks at by itself, because what happens there cannot be sent to
 * its inbox: another process has no access to it.
 *
 * A loop asks its pollers while jobs are out: in each pass, while it spins, and before it sleeps. Before it
 * sleeps it makes them listen: from then on the bell, an eventfd that the loop reads in its ring, is rung
 * for what happens. All but poller_detach() belongs to the loop's thread. */
#ifndef OURO_TASK_POLLER_H
#define OURO_TASK_POLLER_H

#include <stdbool.h>

#include "ouro.h"

struct poller_ops {
        /* Takes in what has happened, perhaps nothing: cheap then. for_certain: the bell has been rung, maybe
         * for another loop that sleeps, and nobody will ring again; else somebody else who looks will do. */
        void (*collect)(void *what, bool for_certain);

        /* The loop is about to sleep: ring the bell for what happens from here on. False: something has
         * happened already, the loop must not sleep. */
        bool (*listen)(void *what);

        /* The loop is awake again. Called once for each listen(), also where that was false. */
        void (*ignore)(void *what);
};

struct poller;

/* Has the loop ask what, if it does not already. bell: an eventfd; stays the caller's, a copy is kept. *ret
 * is for poller_detach(), or NULL if it was known. 0, -ENOMEM, -EMFILE. */
int poller_attach(struct ouro_loop *loop, const struct poller_ops *ops, void *what, int bell,
                  struct poller **ret_new);

/* From any thread, once for each poller that was attached: what is not called any more when this returns, and
 * may be freed. Works also when the loop has ended long ago. */
void poller_detach(struct poller *poller);

/* Reads a bell, from any thread. Another may have read it before, and who rings it has the same open file:
 * whether that blocks must not be for O_NONBLOCK to say, which they can take off. */
void poller_silence(int bell);

/* ---- for the loop ---- */

void pollers_collect(struct ouro_loop *loop);
bool pollers_listen(struct ouro_loop *loop);
void pollers_ignore(struct ouro_loop *loop);
void pollers_close(struct ouro_loop *loop); /* the loop ends */

#endif
