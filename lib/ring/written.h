/* written.h - tells Valgrind what a completion has written. */
#ifndef OURO_RING_WRITTEN_H
#define OURO_RING_WRITTEN_H

#include "ring/op.h"

/* op: that has completed so, or NULL. Only on Valgrind. */
void tell_written(const struct op *op, const struct io_uring_cqe *cqe);

#endif
