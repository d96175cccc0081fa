/* resp_store.h - keys and values in memory, some for a time only. Belongs to the tasks of one loop. */
#ifndef RESP_STORE_H
#define RESP_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1 /* what could not be added has no table */
#include <uthash.h>

/* While an answer is made of it (users), it stays as it is: its entry gets another, or goes. */
struct value {
        size_t users;
        bool dropped; /* by its entry: the last user frees it */
        char bytes[];
};

/* What a search reads, the end of hh and the key, lies in one cache line: a large table is in no cache. */
struct entry {
        struct entry *prev, *next; /* among those that expire */
        int64_t expires_ns;        /* on the loop's clock; 0: never */
        struct value *value;
        size_t len, room;
        UT_hash_handle hh;
        char key[];
};

/* NULL: there is none, or its time has come. */
struct entry *store_find(const char *key, size_t key_len);

/* Sets a value, and leaves alone when it expires. NULL: no memory, and the old value is still there. */
struct entry *store_set(const char *key, size_t key_len, const char *value, size_t len);

void store_remove(struct entry *entry);

/* Whoever may wait while it reads a value holds it, and then releases it (NULL does nothing). */
struct value *value_hold(struct value *value);
void value_release(struct value *value);

/* On the loop's clock; 0: never. */
void store_expire(struct entry *entry, int64_t expires_ns);

/* How many there are. */
size_t store_len(void);

void store_clear(void);

/* A task, without end: removes those whose time has come, although nobody asks for them. */
intptr_t store_sweep(void *arg);

#endif
