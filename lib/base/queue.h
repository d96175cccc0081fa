/* queue.h - a ring of nodes without a head: the queue is one pointer to its first node, NULL when empty.
 *
 * For queues that lie by the thousand in small objects, some of them public (void *waiters). */
#ifndef OURO_BASE_QUEUE_H
#define OURO_BASE_QUEUE_H

#include "base/list.h"

static inline void queue_push(void **queue, struct ouro_list *node)
{
        struct ouro_list *first = *queue;

        if (!first) {
                list_init(node);
                *queue = node;
        } else {
                list_push(first, node);
        }
}

static inline void queue_remove(void **queue, struct ouro_list *node)
{
        if (node->next == node) { /* the last: nobody points to it */
                *queue = NULL;
                return;
        }
        if (*queue == node)
                *queue = node->next;
        list_del(node);
}

/* The first, taken out; NULL: empty. */
static inline struct ouro_list *queue_pop(void **queue)
{
        struct ouro_list *first = *queue;

        if (first)
                queue_remove(queue, first);
        return first;
}

/* Takes as long as there are nodes. */
static inline size_t queue_len(const void *queue)
{
        const struct ouro_list *first = queue, *node = first;
        size_t n = 0;

        for (; node && (n == 0 || node != first); node = node->next)
                n++;
        return n;
}

#endif
