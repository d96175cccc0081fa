/* local.c - task-locals: values that tasks hand down to those they create.
 *
 *      task_more.locals -> struct locals: a few pointers -> struct local_value: key and value
 *
 * A child shares its creator's struct locals; so nobody changes one that others have too: who sets a value
 * makes itself another, which shares all the other values. Both are counted, and a value is dropped with the
 * last struct locals that has it. All belongs to one loop: the counts need no atomics. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "task/task.h"

struct local_value {
        const struct ouro_local *key;
        void *value;
        size_t users;
};

struct locals {
        size_t users;
        size_t n;
        size_t room;
        struct local_value *values[];
};

static size_t locals_bytes(size_t room)
{
        return sizeof(struct locals) + room * sizeof(struct local_value *);
}

/* Calls the user's drop as if there was no loop: it must not wait, on whosever stack this is. */
static void drop_value(const struct local_value *value)
{
        struct sched *sched = sched_current;
        int saved_errno = errno;

        if (!value->key->drop || !value->value)
                return;
        sched_current = NULL;
        value->key->drop(value->value);
        sched_current = sched;
        errno = saved_errno;
}

static void let_value_go(struct local_value *value)
{
        if (--value->users > 0)
                return;
        drop_value(value);
        mem_free(value, sizeof *value);
}

static void let_go(struct locals *locals)
{
        if (!locals || --locals->users > 0)
                return;
        for (size_t i = 0; i < locals->n; i++)
                let_value_go(locals->values[i]);
        mem_free(locals, locals_bytes(locals->room));
}

static struct task_more *more_of(const struct task *task)
{
        return task->coro.flags & TASK_MORE ? container_of(task->site, struct task_more, site) : NULL;
}

/* Where key's value is; n: nowhere. */
static size_t place_of(const struct locals *locals, const struct ouro_local *key)
{
        size_t i = 0;

        while (i < locals->n && locals->values[i]->key != key)
                i++;
        return i;
}

/* Another with the same values but that in place without, and room for one more. NULL: no memory. */
static struct locals *copy_without(const struct locals *from, size_t without)
{
        size_t n = from ? from->n : 0;
        struct locals *locals = mem_alloc(locals_bytes(n + 1));

        if (!locals)
                return NULL;
        locals->users = 1;
        locals->room = n + 1;
        locals->n = 0;
        for (size_t i = 0; i < n; i++) {
                if (i == without)
                        continue;
                locals->values[locals->n++] = from->values[i];
                from->values[i]->users++;
        }
        return locals;
}

static struct local_value *new_value(const struct ouro_local *key, void *of_key)
{
        struct local_value *value = mem_alloc(sizeof *value);

        if (value)
                *value = (struct local_value){.key = key, .value = of_key, .users = 1};
        return value;
}

/* The old ones go last: their drop finds the task with what it has now. */
static void replace(struct task_more *more, struct locals *locals)
{
        struct locals *old = more->locals;

        more->locals = locals;
        let_go(old);
}

int ouro_local_set(const struct ouro_local *key, void *of_key)
{
        struct ouro_loop *loop = loop_here();
        struct local_value *value;
        struct task_more *more;
        struct locals *locals;
        size_t place;

        if (!loop)
                return -EPERM;
        if (!key)
                return -EINVAL;
        more = task_more_make(task_self(loop));
        if (!more)
                return -ENOMEM;
        place = more->locals ? place_of(more->locals, key) : 0;
        if (more->locals && place < more->locals->n && more->locals->values[place]->value == of_key)
                return 0;
        value = new_value(key, of_key);
        locals = value ? copy_without(more->locals, place) : NULL;
        if (!locals) {
                mem_free(value, sizeof *value);
                return -ENOMEM;
        }
        locals->values[locals->n++] = value;
        replace(more, locals);
        return 0;
}

int ouro_local_unset(const struct ouro_local *key)
{
        struct ouro_loop *loop = loop_here();
        struct task_more *more;
        struct locals *locals;
        size_t place;

        if (!loop)
                return -EPERM;
        if (!key)
                return -EINVAL;
        more = more_of(task_self(loop));
        if (!more || !more->locals)
                return 0;
        place = place_of(more->locals, key);
        if (place == more->locals->n)
                return 0;
        locals = copy_without(more->locals, place);
        if (!locals)
                return -ENOMEM;
        replace(more, locals);
        return 0;
}

void *ouro_local_get(const struct ouro_local *key)
{
        struct ouro_loop *loop = loop_here();
        const struct task_more *more = loop ? more_of(task_self(loop)) : NULL;
        size_t place;

        if (!more || !more->locals)
                return NULL;
        place = place_of(more->locals, key);
        return place < more->locals->n ? more->locals->values[place]->value : NULL;
}

/* ---- birth and death ---- */

bool task_inherit_locals(const struct task *creator, struct task *task)
{
        const struct task_more *from = more_of(creator);
        struct task_more *more;

        if (!from || !from->locals)
                return true;
        more = task_more_make(task);
        if (!more)
                return false;
        more->locals = from->locals;
        more->locals->users++;
        return true;
}

void task_drop_locals(struct task *task)
{
        replace(more_of(task), NULL);
}
