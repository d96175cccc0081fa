/* list.h - a doubly linked ring of nodes that lie inside what they link.
 *
 * An empty list is a head that points to itself. A node that was taken out points nowhere valid, and
 * list_del() leaves it so: who may be asked "are you in a list?" keeps that elsewhere. */
#ifndef OURO_BASE_LIST_H
#define OURO_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "ouro.h"

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define list_each_safe(node, tmp, head)                                                                      \
        for ((node) = (head)->next, (tmp) = (node)->next; (node) != (head);                                  \
             (node) = (tmp), (tmp) = (node)->next)

static inline void list_init(struct ouro_list *head)
{
        head->next = head->prev = head;
}

static inline bool list_empty(const struct ouro_list *head)
{
        return head->next == head;
}

/* Before head, that is at the back of the list. */
static inline void list_push(struct ouro_list *head, struct ouro_list *node)
{
        struct ouro_list *last = head->prev;

        node->next = head;
        node->prev = last;
        last->next = node;
        head->prev = node;
}

static inline void list_del(struct ouro_list *node)
{
        node->prev->next = node->next;
        node->next->prev = node->prev;
}

/* Moves all of from to the back of to. */
static inline void list_splice(struct ouro_list *to, struct ouro_list *from)
{
        if (list_empty(from))
                return;
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        list_init(from);
}

#endif
