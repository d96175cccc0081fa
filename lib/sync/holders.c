/* holders.c - see holders.h. The table is at most half full. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "sync/holders.h"

enum { TABLE_LEAST = 16 };

static size_t table_bytes(size_t room)
{
        return room * sizeof(struct ouro_holder);
}

/* Where the search for a task begins: records lie 128 bytes apart. */
static size_t home(const void *task, size_t room)
{
        return (size_t)(((uintptr_t)task >> 7) * (uintptr_t)0x9e3779b97f4a7c15u >> 32) & (room - 1);
}

static void put(struct ouro_holder *table, size_t room, struct ouro_holder holder)
{
        size_t i = home(holder.task, room);

        while (table[i].task)
                i = (i + 1) & (room - 1);
        table[i] = holder;
}

static struct ouro_holder *places(const struct ouro_holders *holders, size_t *ret_n)
{
        *ret_n = holders->many ? holders->room : OURO_HOLDERS_FEW;
        return holders->many ? holders->many : (struct ouro_holder *)holders->few;
}

int holders_reserve(struct ouro_holders *holders, size_t n)
{
        size_t room = holders->many ? holders->room : TABLE_LEAST, old;
        struct ouro_holder *from = places(holders, &old), *table;

        if (n <= (holders->many ? holders->room / 2 : OURO_HOLDERS_FEW))
                return 0;
        while (room / 2 < n)
                room *= 2;
        table = mem_calloc(table_bytes(room));
        if (!table)
                return -ENOMEM;
        for (size_t i = 0; i < old; i++)
                if (from[i].task)
                        put(table, room, from[i]);
        mem_free(holders->many, holders->many ? table_bytes(holders->room) : 0);
        memset(holders->few, 0, sizeof holders->few);
        holders->many = table;
        holders->room = room;
        return 0;
}

void holders_add(struct ouro_holders *holders, const struct task *task)
{
        struct ouro_holder holder = {(void *)(uintptr_t)task, task->generation};

        holders->count++;
        if (holders->many) {
                put(holders->many, holders->room, holder);
                return;
        }
        for (size_t i = 0; i < OURO_HOLDERS_FEW; i++)
                if (!holders->few[i].task) {
                        holders->few[i] = holder;
                        return;
                }
        check(false); /* room was reserved */
}

struct ouro_holder *holders_find(const struct ouro_holders *holders, const struct task *task)
{
        size_t n, i = 0;
        struct ouro_holder *place = places(holders, &n);

        if (holders->many)
                for (i = home(task, n); place[i].task; i = (i + 1) & (n - 1))
                        if (place[i].task == task && place[i].generation == task->generation)
                                return &place[i];
        for (i = 0; !holders->many && i < OURO_HOLDERS_FEW; i++)
                if (place[i].task == task && place[i].generation == task->generation)
                        return &place[i];
        return NULL;
}

/* Those behind the gap that would no longer be found move up into it. */
static void close_gap(struct ouro_holder *table, size_t room, size_t gap)
{
        for (size_t i = (gap + 1) & (room - 1); table[i].task; i = (i + 1) & (room - 1)) {
                size_t from_home = (i - home(table[i].task, room)) & (room - 1);

                if (from_home < ((i - gap) & (room - 1)))
                        continue;
                table[gap] = table[i];
                table[i].task = NULL;
                gap = i;
        }
}

void holders_remove(struct ouro_holders *holders, struct ouro_holder *holder)
{
        holder->task = NULL;
        holders->count--;
        if (holders->many)
                close_gap(holders->many, holders->room,
                          (size_t)(holder - (struct ouro_holder *)holders->many));
}

void holders_trim(struct ouro_holders *holders)
{
        if (holders->count > 0 || !holders->many)
                return;
        mem_free(holders->many, table_bytes(holders->room));
        holders->many = NULL;
        holders->room = 0;
}

void holders_clear(struct ouro_holders *holders)
{
        holders->count = 0;
        holders_trim(holders);
        memset(holders->few, 0, sizeof holders->few);
}

const struct ouro_holder *holders_some(const struct ouro_holders *holders, bool alive)
{
        size_t n;
        const struct ouro_holder *place = places(holders, &n);

        for (size_t i = 0; i < n && holders->count > 0; i++)
                if (place[i].task && owner_is_alive(place[i].task, place[i].generation) == alive)
                        return &place[i];
        return NULL;
}
