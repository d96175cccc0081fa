/* ouro/relay.h - all bytes of one connection passed on to another, both ways. Included by ouro.h, whose
 * conventions hold. */
#ifndef OURO_RELAY_H
#define OURO_RELAY_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- relays ----------------------------------------------------------------------------------- */

/* How to relay. Begin with OURO_RELAY_OPTIONS_INIT; zero always means the default. */
struct ouro_relay_options {
        size_t size;     /* sizeof(struct ouro_relay_options) */
        int64_t idle_ns; /* it ends when nothing has moved for so long, either way; default: never */
        bool no_splice;  /* always by buffers: no pipes are made */
};

#define OURO_RELAY_OPTIONS_INIT OURO_SIZED_(struct ouro_relay_options)

/* What has been passed on. [0] is of what came from the first and went to the second, [1] the other way. */
struct ouro_relayed {
        size_t size;       /* sizeof(struct ouro_relayed), set by the caller */
        uint64_t bytes[2]; /* sent */
        int errors[2];     /* 0: to the end, and the end was passed on; else what stopped it */
};

#define OURO_RELAYED_INIT OURO_SIZED_(struct ouro_relayed)

/**
 * ouro_relay - pass on what comes from each of two streams to the other, until both have ended
 * @first: a stream
 * @second: another
 * @options: see struct ouro_relay_options; NULL for the defaults
 * @ret_relayed: its size is set already; filled in on failure, too; may be NULL
 *
 * What is buffered goes first. The end of one direction ends the sending side that it leads to, and the other
 * direction goes on. A peer that cannot be sent to any more does not stop what comes from it; one that
 * cannot be read from any more (-ECONNRESET) stops both directions. The streams stay open, and are still the
 * caller's. While it lasts, both sides of both are in use.
 *
 * Bytes that come in bulk go by splice(2) between streams over descriptors, through a pipe for each direction
 * (two descriptors each; where they cannot be had, by buffers). What has been read and could not be sent is
 * in the buffer of the stream that it came from when the call returns.
 *
 * Runs one direction in a task of its own, named "relay".
 *
 * Returns: 0; -ETIMEDOUT: the idle limit; -EBUSY: another task uses one of them; -EBADF: one was closed
 * meanwhile; -ECANCELED, -ETIME, -ENOMEM, -EINVAL (NULL, or both are the same); else the first error.
 */
OURO_API int ouro_relay(ouro_stream *first, ouro_stream *second, const struct ouro_relay_options *options,
                        struct ouro_relayed *ret_relayed);

/**
 * ouro_relay_fds - ouro_relay() between two descriptors
 * @first: a stream socket; or a terminal, a pipe, a file, which has no sending side to end
 * @second: another
 * @options: as ouro_relay()
 * @ret_relayed: as ouro_relay()
 *
 * The descriptors stay open. What has been read and could not be sent is lost.
 *
 * Returns: as ouro_relay(); -EPROTOTYPE: a socket that keeps the boundaries of messages.
 */
OURO_API int ouro_relay_fds(int first, int second, const struct ouro_relay_options *options,
                            struct ouro_relayed *ret_relayed);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
