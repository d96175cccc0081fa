/* resp_store.c - keys and values in memory, some for a time only: uthash is the table. */
#include <ouro.h>
#include <stdlib.h>
#include <string.h>

#include "resp_store.h"
#include <utlist.h>

enum { SWEEP_AT_ONCE = 1000 };

static struct entry *entries, *expiring;

void store_expire(struct entry *entry, int64_t expires_ns)
{
        if (entry->expires_ns)
                DL_DELETE(expiring, entry);
        entry->expires_ns = expires_ns;
        if (expires_ns)
                DL_APPEND(expiring, entry);
}

struct value *value_hold(struct value *value)
{
        value->users++;
        return value;
}

void value_release(struct value *value)
{
        if (value && --value->users == 0 && value->dropped)
                free(value);
}

/* Its entry has another now, or is no more. */
static void value_drop(struct value *value)
{
        if (!value)
                return;
        value->dropped = true;
        if (value->users == 0)
                free(value);
}

void store_remove(struct entry *entry)
{
        store_expire(entry, 0);
        HASH_DEL(entries, entry);
        value_drop(entry->value);
        free(entry);
}

struct entry *store_find(const char *key, size_t key_len)
{
        struct entry *entry;

        HASH_FIND(hh, entries, key, key_len, entry);
        if (entry && entry->expires_ns && entry->expires_ns <= ouro_now()) {
                store_remove(entry);
                entry = NULL;
        }
        return entry;
}

static struct entry *find_or_add(const char *key, size_t key_len)
{
        struct entry *entry = store_find(key, key_len);

        if (entry || !(entry = calloc(1, sizeof *entry + key_len)))
                return entry;
        memcpy(entry->key, key, key_len);
        HASH_ADD_KEYPTR(hh, entries, entry->key, key_len, entry);
        if (entry->hh.tbl)
                return entry;
        free(entry);
        return NULL;
}

struct entry *store_set(const char *key, size_t key_len, const char *value, size_t len)
{
        struct entry *entry = find_or_add(key, key_len);

        if (!entry)
                return NULL;
        if (!entry->value || len > entry->room || entry->value->users > 0) {
                struct value *place = calloc(1, sizeof *place + len);

                if (!place) {
                        if (!entry->value)
                                store_remove(entry);
                        return NULL;
                }
                value_drop(entry->value);
                entry->value = place;
                entry->room = len;
        }
        memcpy(entry->value->bytes, value, len);
        entry->len = len;
        return entry;
}

/* Some each second, so that it never keeps others waiting for long. */
intptr_t store_sweep(void *arg)
{
        (void)arg;
        while (ouro_sleep(OURO_SEC(1)) == 0)
                for (int i = 0; i < SWEEP_AT_ONCE && expiring; i++) {
                        struct entry *entry = expiring;

                        if (entry->expires_ns <= ouro_now())
                                store_remove(entry);
                        else
                                store_expire(entry,
                                             entry->expires_ns); /* to the back: others have their turn */
                }
        return 0;
}

size_t store_len(void)
{
        return HASH_COUNT(entries);
}

void store_clear(void)
{
        while (entries)
                store_remove(entries);
}
