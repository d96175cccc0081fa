/* file_watch_tree.c - the directories that a watch knows, see file_watch.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "io/file_watch.h"

/* ---- by watch descriptor ---- */

static struct watch_node **bucket_of(const ouro_file_watch *watch, int wd)
{
        return &watch->buckets[(size_t)wd & (watch->buckets_len - 1)];
}

struct watch_node *file_watch_find(const ouro_file_watch *watch, int wd)
{
        struct watch_node *node = watch->buckets_len && wd >= 0 ? *bucket_of(watch, wd) : NULL;

        while (node && node->wd != wd)
                node = node->next;
        return node;
}

/* Twice as many buckets. For want of memory the chains become longer. */
static int grow(ouro_file_watch *watch)
{
        size_t old_len = watch->buckets_len, len = old_len ? 2 * old_len : WATCH_BUCKETS_FIRST;
        struct watch_node **old = watch->buckets, **buckets = mem_calloc(len * sizeof(struct watch_node *));

        if (!buckets)
                return old ? 0 : -ENOMEM;
        watch->buckets = buckets;
        watch->buckets_len = len;
        for (size_t i = 0; i < old_len; i++) {
                struct watch_node *next;

                for (struct watch_node *node = old[i]; node; node = next) {
                        next = node->next;
                        node->next = *bucket_of(watch, node->wd);
                        *bucket_of(watch, node->wd) = node;
                }
        }
        if (old)
                mem_free(old, old_len * sizeof *old);
        return 0;
}

static void take_out(const ouro_file_watch *watch, struct watch_node *node)
{
        struct watch_node **at = bucket_of(watch, node->wd);

        while (*at != node)
                at = &(*at)->next;
        *at = node->next;
}

/* ---- by name ---- */

struct watch_node *file_watch_child(const struct watch_node *node, const char *name)
{
        struct watch_node *child = node->children;

        while (child && strcmp(child->name, name) != 0)
                child = child->sibling;
        return child;
}

static void link_to(struct watch_node *node, struct watch_node *parent)
{
        node->parent = parent;
        if (!parent)
                return;
        node->sibling = parent->children;
        parent->children = node;
}

static void unlink_from_parent(struct watch_node *node)
{
        struct watch_node **at = node->parent ? &node->parent->children : NULL;

        while (at && *at != node)
                at = &(*at)->sibling;
        if (at)
                *at = node->sibling;
        node->parent = node->sibling = NULL;
}

static char *copy_of(const char *name)
{
        char *copy = mem_alloc(strlen(name) + 1);

        return copy ? strcpy(copy, name) : NULL;
}

size_t file_watch_path(const struct watch_node *node, const char *name, char *buf)
{
        size_t bytes = strlen(name) + 1, at;

        for (const struct watch_node *up = node; up->parent; up = up->parent)
                bytes += strlen(up->name) + 1;
        if (!buf)
                return bytes;
        at = bytes - strlen(name) - 1;
        strcpy(buf + at, name);
        for (const struct watch_node *up = node; up->parent; up = up->parent) {
                size_t len = strlen(up->name);

                buf[--at] = '/';
                at -= len;
                memcpy(buf + at, up->name, len);
        }
        check(at == 0);
        if (!*name && bytes > 1) /* of a directory itself: no slash behind it */
                buf[bytes - 2] = 0;
        return bytes;
}

bool file_watch_is_below(const struct watch_node *node, const struct watch_node *top)
{
        while (node && node != top)
                node = node->parent;
        return node != NULL;
}

/* ---- coming and going ---- */

struct watch_node *file_watch_node_new(ouro_file_watch *watch, struct watch_root *root,
                                       struct watch_node *parent, const char *name, int wd)
{
        struct watch_node *node = mem_calloc(sizeof *node);

        if (!node)
                return NULL;
        node->name = copy_of(name);
        if (!node->name || (watch->nodes_len >= watch->buckets_len && grow(watch) < 0)) {
                if (node->name)
                        mem_free(node->name, strlen(name) + 1);
                mem_free(node, sizeof *node);
                return NULL;
        }
        node->root = root;
        node->wd = wd;
        node->seen = watch->turn;
        node->next = *bucket_of(watch, wd);
        *bucket_of(watch, wd) = node;
        link_to(node, parent);
        watch->nodes_len++;
        return node;
}

int file_watch_node_move(struct watch_node *node, struct watch_node *parent, const char *name)
{
        char *copy = copy_of(name);

        if (!copy)
                return -ENOMEM;
        mem_free(node->name, strlen(node->name) + 1);
        node->name = copy;
        unlink_from_parent(node);
        link_to(node, parent);
        return 0;
}

static void free_node(ouro_file_watch *watch, struct watch_node *node)
{
        take_out(watch, node);
        unlink_from_parent(node);
        if (node->root->node == node)
                node->root->node = NULL;
        if (watch->moved == node)
                watch->moved = NULL;
        (void)sys_result(inotify_rm_watch(watch->fd, node->wd)); /* it may be gone already */
        dents_clear(&node->found);
        mem_free(node->name, strlen(node->name) + 1);
        mem_free(node, sizeof *node);
        watch->nodes_len--;
}

void file_watch_node_drop(ouro_file_watch *watch, struct watch_node *node)
{
        struct watch_node *at = node, *parent;

        do { /* the deepest first; trees may be deeper than a stack */
                while (at->children)
                        at = at->children;
                parent = at == node ? NULL : at->parent;
                free_node(watch, at);
                at = parent;
        } while (at);
}

void file_watch_drop_unseen(ouro_file_watch *watch)
{
        for (size_t i = 0; i < watch->buckets_len; i++) {
                struct watch_node *node = watch->buckets[i];

                while (node) {
                        bool gone = node->parent && node->parent->looked == watch->turn &&
                                    node->seen != watch->turn;

                        if (gone)
                                file_watch_node_drop(watch, node); /* and others of this bucket, maybe */
                        node = gone ? watch->buckets[i] : node->next;
                }
        }
}

/* ---- roots ---- */

void file_watch_root_release(struct watch_root *root)
{
        if (--root->users > 0 || !root->removed)
                return;
        if (root->path)
                mem_free(root->path, strlen(root->path) + 1);
        mem_free(root, sizeof *root);
}

void file_watch_root_remove(ouro_file_watch *watch, struct watch_root *root)
{
        struct watch_root **at = &watch->roots;

        while (*at && *at != root)
                at = &(*at)->next;
        if (*at)
                *at = root->next;
        if (root->node)
                file_watch_node_drop(watch, root->node);
        root->removed = true;
        root->users++;
        file_watch_root_release(root);
}
