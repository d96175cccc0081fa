/* gate.h - a stream that lets through what the test allows: so many bytes, a byte at a time, or an end too
 * soon. */
#ifndef OURO_TESTS_TLS_GATE_H
#define OURO_TESTS_TLS_GATE_H

#include <ouro.h>

struct gate {
        ouro_stream *inner;
        size_t may_read;  /* bytes; more wait until gate_open() */
        size_t may_write; /* likewise */
        size_t at_a_time; /* 0: any */
        int then;         /* instead of waiting: this error; for reading 1 is the end */
        size_t was_read;
        size_t was_written;
        bool closed;
        struct ouro_condition opened;
        struct ouro_mutex lock;
};

/* Owns *inout_stream, which becomes the gate's. */
void gate_put_on(struct gate *gate, ouro_stream **inout_stream);
void gate_open(struct gate *gate, size_t may_read, size_t may_write);

#endif
