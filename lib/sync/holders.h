/* holders.h - a set of tasks: those who hold a lock for reading.
 *
 * Up to OURO_HOLDERS_FEW lie in the lock itself. More lie in one block on the heap, a hash table with linear
 * probing, which goes when the last has let go. A place whose task is NULL is free. */
#ifndef OURO_SYNC_HOLDERS_H
#define OURO_SYNC_HOLDERS_H

#include "sync/owner.h"

/* Room for so many at a time, so that holders_add() cannot fail. 0 or -ENOMEM. */
int holders_reserve(struct ouro_holders *holders, size_t n);

void holders_add(struct ouro_holders *holders, const struct task *task); /* it is not in the set */
struct ouro_holder *holders_find(const struct ouro_holders *holders, const struct task *task);
void holders_remove(struct ouro_holders *holders, struct ouro_holder *holder);

/* The block goes back, if the set is empty. */
void holders_trim(struct ouro_holders *holders);
void holders_clear(struct ouro_holders *holders);

/* Some holder that is alive, or that is dead. NULL: there is none. */
const struct ouro_holder *holders_some(const struct ouro_holders *holders, bool alive);

#endif
