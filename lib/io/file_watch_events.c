/* file_watch_events.c - what the kernel tells of watched files, and what becomes of it.
 *
 * A directory that has left its place (IN_MOVED_FROM) is kept until the queue is empty: the next event may
 * tell where it is now. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/file_watch.h"

/* ---- events for the user ---- */

void file_watch_event_free(struct watch_event *event)
{
        if (event)
                mem_free(event, event->bytes);
}

int file_watch_tell(ouro_file_watch *watch, const struct watch_node *node, const char *name,
                    const struct ouro_file_event *event)
{
        size_t bytes = sizeof(struct watch_event) + (node ? file_watch_path(node, name, NULL) : 1);
        struct watch_event *told = mem_calloc(bytes);

        if (!told)
                return -ENOMEM;
        told->bytes = bytes;
        told->event = *event;
        told->event.path = told->path;
        if (node)
                file_watch_path(node, name, told->path);
        *watch->events_tail = told;
        watch->events_tail = &told->next;
        return 0;
}

static bool is_wanted(const struct watch_root *root, uint32_t mask)
{
        return mask & root->mask & IN_ALL_EVENTS;
}

/* ---- what was found already ---- */

/* The entry of that name in what node has found, unless its own event has come; its type is set to 0 then. */
static bool take_found(struct watch_node *node, const char *name)
{
        size_t from = node->found.at;
        struct dent dent;
        bool is_it = false;

        while (!is_it && dents_take(&node->found, &dent))
                is_it = strcmp(dent.name, name) == 0;
        node->found.at = from;
        if (is_it)
                *(char *)(uintptr_t)dent.name = '/'; /* no name is like that: it is found no more */
        return is_it;
}

static bool was_told(struct watch_node *node, uint32_t mask, const char *name)
{
        if (!node->found.len)
                return false;
        if (mask & (IN_DELETE | IN_MOVED_FROM))
                take_found(node, name); /* the next of that name is another */
        return (mask & (IN_CREATE | IN_MOVED_TO)) && take_found(node, name);
}

static void forget_found(ouro_file_watch *watch)
{
        for (size_t i = 0; watch->found_any && i < watch->buckets_len; i++)
                for (struct watch_node *node = watch->buckets[i]; node; node = node->next)
                        dents_clear(&node->found);
        watch->found_any = false;
}

/* ---- directories that come, go and move ---- */

/* The one that has left its place has not come to another. */
static void give_up_moved(ouro_file_watch *watch)
{
        if (watch->moved)
                file_watch_node_drop(watch, watch->moved);
        watch->moved = NULL;
}

static int directory_came(ouro_file_watch *watch, struct watch_node *node, const struct inotify_event *from)
{
        struct watch_node *moved = watch->moved;

        if (!moved || !(from->mask & IN_MOVED_TO) || from->cookie != watch->moved_cookie ||
            moved->root != node->root || file_watch_is_below(node, moved))
                return file_watch_scan_push(&watch->scans_tail, node, from->name, SCAN_NEW);
        watch->moved = NULL;
        watch->rescan = watch->rescan || watch->sweep; /* it may have passed by those who looked */
        return file_watch_node_move(moved, node, from->name);
}

static int follow_directory(ouro_file_watch *watch, struct watch_node *node, const struct inotify_event *from)
{
        if (from->mask & (IN_CREATE | IN_MOVED_TO))
                return directory_came(watch, node, from);
        if (from->mask & IN_MOVED_FROM) {
                give_up_moved(watch);
                watch->moved = file_watch_child(node, from->name);
                watch->moved_cookie = from->cookie;
        }
        return 0;
}

/* ---- events of the kernel ---- */

static int take_overflow(ouro_file_watch *watch)
{
        const struct ouro_file_event event = {.id = -1, .mask = IN_Q_OVERFLOW};

        watch->rescan = true;
        return file_watch_tell(watch, NULL, "", &event);
}

static int take_end(ouro_file_watch *watch, struct watch_node *node)
{
        const struct ouro_file_event event = {.id = node->root->id, .mask = IN_IGNORED};
        int error = node->parent ? 0 : file_watch_tell(watch, node, "", &event);

        if (error < 0)
                return error;
        if (node->parent)
                file_watch_node_drop(watch, node);
        else
                file_watch_root_remove(watch, node->root);
        return 0;
}

static int take_one(ouro_file_watch *watch, const struct inotify_event *from)
{
        struct watch_node *node = file_watch_find(watch, from->wd);
        const char *name = from->len ? from->name : "";
        struct ouro_file_event event = {.mask = from->mask, .cookie = from->cookie};
        int error = 0;

        if (from->mask & IN_Q_OVERFLOW)
                return take_overflow(watch);
        if (!node) { /* of one that was given up; or of one that another task is about to add */
                watch->rescan = watch->rescan || watch->adding > 0;
                return 0;
        }
        if (from->mask & IN_IGNORED)
                return take_end(watch, node);
        if (was_told(node, from->mask, name))
                return 0;
        event.id = node->root->id;
        if (is_wanted(node->root, from->mask))
                error = file_watch_tell(watch, node, name, &event);
        if (error == 0 && node->root->tree && (from->mask & IN_ISDIR) && *name)
                error = follow_directory(watch, node, from);
        return error;
}

/* Looks at all directories of all trees again. Those that were removed or moved out, and the kernel has lost
 * the events that told it, are not found. */
static int begin_rescan(ouro_file_watch *watch)
{
        watch->turn++;
        watch->sweep = true;
        for (struct watch_root *root = watch->roots; root; root = root->next) {
                int error = root->tree && root->node
                                    ? file_watch_scan_push(&watch->scans_tail, root->node, "", SCAN_AGAIN)
                                    : 0;

                if (error < 0)
                        return error;
        }
        watch->rescan = false;
        return 0;
}

static void end_rescan(ouro_file_watch *watch)
{
        if (watch->sweep)
                file_watch_drop_unseen(watch);
        watch->sweep = false;
}

static int read_more(ouro_file_watch *watch)
{
        ssize_t n = sys_result(read(watch->fd, watch->buf, sizeof watch->buf));

        if (n < 0)
                return (int)n;
        watch->at = 0;
        watch->len = (size_t)n;
        return 1;
}

int file_watch_take_in(ouro_file_watch *watch)
{
        const struct inotify_event *from;
        int error;

        if (watch->at == watch->len) {
                error = read_more(watch);
                if (error != -EAGAIN)
                        return error;
                give_up_moved(watch);
                forget_found(watch);
                if (!watch->rescan)
                        end_rescan(watch);
                error = watch->rescan ? begin_rescan(watch) : 0;
                return error < 0 ? error : watch->scans != NULL;
        }
        from = (const struct inotify_event *)(const void *)(watch->buf + watch->at);
        error = take_one(watch, from);
        if (error < 0)
                return error;
        watch->at += sizeof *from + from->len;
        return 1;
}
