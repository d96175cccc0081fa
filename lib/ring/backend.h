/* backend.h - the seam between operations and whatever carries them out.
 *
 * A backend takes ops, which hold a submission entry in io_uring's own form, and answers each with exactly
 * one last completion: ring_complete(ring, sqe.user_data, res, flags), res as the kernel would give it,
 * flags without IORING_CQE_F_MORE; before it there may be others, with that flag. It never keeps an op from
 * going forward because others wait. All of it is called on the loop's thread but wake. */
#ifndef OURO_RING_BACKEND_H
#define OURO_RING_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

struct ring;
struct ring_config;
struct op;

struct backend {
        const char *name;

        /* It can only wait for sockets that are O_NONBLOCK in full (connect, accept): ours are made so. */
        bool nonblocking_sockets;

        /* It opens a FIFO without waiting for its other end, unless IOSQE_ASYNC is set. */
        bool opens_without_waiting;

        /* It moves a file's position not always when it moves bytes. */
        bool loses_position;

        /* It takes entries that complete many times (IORING_CQE_F_MORE). */
        bool multishot;

        /* Sets ring->impl. 0 or a negated errno: -ENOSYS means that it does not work here (and another
         * may), -ENOMEM, -EMFILE, -ENFILE a shortage (and another would have it too). */
        int (*open)(struct ring *ring, const struct ring_config *config);

        /* Nothing is under way any more. */
        void (*close)(struct ring *ring);

        /* Takes op. From here to its completion, op and what it points to is the backend's. False: no room
         * now; it will be offered again. Never calls ring_complete(): that is for wait. */
        bool (*submit)(struct ring *ring, struct op *op);

        /* Asks op, which is submitted, to end soon with -ECANCELED; an answer of its own is not reported.
         * False: no room now. Never calls ring_complete(). */
        bool (*cancel)(struct ring *ring, struct op *op);

        /* Hands over what is new and reports completions; waits for at least one, a wake or the time-out
         * (ns; 0: only looks; less than zero: for ever). 0, or a negated errno that ends the loop. */
        int (*wait)(struct ring *ring, int64_t timeout_ns);

        /* From any thread, cheap enough for each wake of a sleeper: makes wait return, this one or the next.
         */
        void (*wake)(struct ring *ring);

        /* Gives the kernel a ring of buffers to choose from, by entries that say IOSQE_BUFFER_SELECT; it has
         * them until close(). NULL: it has no such thing, and such entries take from buffers.h. 0, or a
         * negated errno: then no such entry may come. */
        int (*register_buffers)(struct ring *ring, void *buffers, unsigned entries, unsigned group);

        /* Pins memory at a place of a table (base NULL: empties the place), for fixed.h. NULL: it has no such
         * thing. 0 or a negated errno. */
        int (*pin)(struct ring *ring, unsigned place, void *base, size_t len);

        /* A descriptor that is readable while wait() would report something. */
        int (*descriptor)(const struct ring *ring);

        /* Nobody will call wait() before that descriptor is readable: hands over what is new, without looking
         * for completions. False: wait() must be called soon all the same. *ret_ns: and at the latest then,
         * on CLOCK_MONOTONIC; untouched: whenever. */
        bool (*rest)(struct ring *ring, int64_t *ret_ns);
};

extern const struct backend backend_uring;
extern const struct backend backend_epoll;

#endif
