/* file_watch.c - watches of files and trees, as tasks see them.
 *
 * Of the tasks that wait, one at a time reads; the others stand in line for that. What it does when its turn
 * comes: hand out an event, else look into a new directory, else take in what the kernel tells, else poll.
 * Each of these can be cut short, and the next one goes on where it was. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "io/file_watch.h"
#include "io/fs.h"
#include "sync/sync.h"

/* ---- opening ---- */

int ouro_file_watch_open(ouro_file_watch **ret_watch)
{
        ouro_file_watch *watch;
        int fd;

        if (!ret_watch)
                return -EINVAL;
        if (!sched_current)
                return -EPERM;
        watch = mem_calloc(sizeof *watch);
        if (!watch)
                return -ENOMEM;
        fd = fs_adopt(sys_result(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)));
        if (fd < 0) {
                mem_free(watch, sizeof *watch);
                return fd;
        }
        watch->owner = sched_current;
        watch->fd = fd;
        watch->scans_tail = &watch->scans;
        watch->events_tail = &watch->events;
        *ret_watch = watch;
        return 0;
}

static int refuse(const ouro_file_watch *watch)
{
        if (!watch)
                return -EINVAL;
        if (!sched_current || watch->owner != sched_current)
                return -EPERM;
        return watch->closed ? -EBADF : 0;
}

static void free_scans(struct watch_scan *scan)
{
        struct watch_scan *next;

        for (; scan; scan = next) {
                next = scan->next;
                file_watch_scan_free(scan);
        }
}

static void free_events(struct watch_event *event)
{
        struct watch_event *next;

        for (; event; event = next) {
                next = event->next;
                file_watch_event_free(event);
        }
}

/* Closed, and nobody is inside any more. */
static void free_watch(ouro_file_watch *watch)
{
        watch->fd = -1;
        while (watch->roots)
                file_watch_root_remove(watch, watch->roots);
        free_scans(watch->scans);
        free_events(watch->events);
        file_watch_event_free(watch->told);
        if (watch->buckets)
                mem_free(watch->buckets, watch->buckets_len * sizeof *watch->buckets);
        mem_free(watch, sizeof *watch);
}

static int leave(ouro_file_watch *watch, int result)
{
        if (watch->closed && result < 0)
                result = -EBADF;
        if (--watch->inside == 0 && watch->closed)
                free_watch(watch);
        return result;
}

int ouro_file_watch_close(ouro_file_watch *watch)
{
        int error = watch ? refuse(watch) : 0;

        if (!watch || error < 0)
                return error;
        watch->closed = true;
        watch->inside++;
        sync_wake(sched_current, &watch->waiters, SIZE_MAX, -EBADF);
        (void)op_close_fd(watch->fd);
        leave(watch, 0);
        return 0;
}

/* ---- adding and removing ---- */

enum {
        MASK_KNOWN = IN_ALL_EVENTS | IN_DONT_FOLLOW | IN_ONLYDIR | IN_EXCL_UNLINK | (int)IN_ONESHOT,
};

static int refuse_add(const ouro_file_watch *watch, const char *path, uint32_t mask, unsigned flags)
{
        int error = refuse(watch);

        if (error < 0)
                return error;
        if (!path || !(mask & IN_ALL_EVENTS) || (mask & ~(uint32_t)MASK_KNOWN) ||
            (flags & ~(unsigned)OURO_FILE_WATCH_TREE))
                return -EINVAL;
        if ((flags & OURO_FILE_WATCH_TREE) && (mask & IN_ONESHOT))
                return -EINVAL;
        return sched_current->current->interrupt;
}

/* All directories below it, one after the other. */
static int add_tree(ouro_file_watch *watch, struct watch_root *root)
{
        struct watch_scan *scans = NULL, **tail = &scans;
        int error = file_watch_scan_push(&tail, root->node, "", SCAN_ADD);

        while (error == 0 && scans)
                error = file_watch_scan_one(watch, &scans, &tail);
        free_scans(scans);
        return error;
}

static int add(ouro_file_watch *watch, struct watch_root *root, int dirfd, const char *path)
{
        int error = file_watch_add_root(watch, root, dirfd, path);

        if (error >= 0 && root->tree)
                error = add_tree(watch, root);
        return error < 0 ? error : root->id;
}

int ouro_file_watch_add(ouro_file_watch *watch, int dirfd, const char *path, uint32_t mask, unsigned flags)
{
        struct watch_root *root;
        int result = refuse_add(watch, path, mask, flags);

        if (result < 0)
                return result;
        root = mem_calloc(sizeof *root);
        if (!root)
                return -ENOMEM;
        root->id = watch->next_id++;
        root->mask = mask;
        root->tree = flags & OURO_FILE_WATCH_TREE;
        root->users = 1;
        root->next = watch->roots;
        watch->roots = root;
        watch->inside++;
        watch->adding++;
        result = add(watch, root, dirfd, path);
        watch->adding--;
        if (result < 0 && !root->removed)
                file_watch_root_remove(watch, root);
        file_watch_root_release(root);
        return leave(watch, result);
}

/* What it has done is of no interest any more. */
static void drop_events(ouro_file_watch *watch, int id)
{
        struct watch_event **at = &watch->events, *event;

        while ((event = *at)) {
                if (event->event.id != id) {
                        at = &event->next;
                        continue;
                }
                *at = event->next;
                file_watch_event_free(event);
        }
        watch->events_tail = at;
}

int ouro_file_watch_remove(ouro_file_watch *watch, int id)
{
        int error = refuse(watch);

        if (error < 0)
                return error;
        for (struct watch_root *root = watch->roots; root; root = root->next) {
                if (root->id != id)
                        continue;
                drop_events(watch, id);
                file_watch_root_remove(watch, root);
                return 0;
        }
        return -ENOENT;
}

/* ---- waiting ---- */

static void tell_target(const struct coro *coro, struct wait_target *target)
{
        const ouro_file_watch *watch = container_of(coro->waiter.what, struct ouro_file_watch, waiters);

        target->object = watch;
        target->fd = watch->fd;
}

static const struct wait_kind waits_for_turn = {.name = "file watch", .cut = sync_cut, .target = tell_target};

static int begin_turn(struct sched *sched, ouro_file_watch *watch)
{
        if (watch->taken)
                return sync_wait(sched, &watch->waiters, &waits_for_turn);
        watch->taken = true;
        return 0;
}

static void end_turn(struct sched *sched, ouro_file_watch *watch)
{
        watch->taken = sync_wake_one(sched, &watch->waiters, 0);
}

static void hand_out(ouro_file_watch *watch, struct ouro_file_event *ret_event)
{
        struct watch_event *event = watch->events;

        watch->events = event->next;
        if (!watch->events)
                watch->events_tail = &watch->events;
        file_watch_event_free(watch->told);
        watch->told = event;
        *ret_event = event->event;
}

/* For the task whose turn it is. */
static int await_event(ouro_file_watch *watch, struct ouro_file_event *ret_event)
{
        int result = 0;

        while (result >= 0 && !watch->closed) {
                if (watch->events) {
                        hand_out(watch, ret_event);
                        return 0;
                }
                if (watch->scans) {
                        result = file_watch_scan_one(watch, &watch->scans, &watch->scans_tail);
                        continue;
                }
                result = file_watch_take_in(watch);
                if (result == 0)
                        result = ouro_poll(watch->fd, POLLIN);
        }
        return watch->closed ? -EBADF : result;
}

int ouro_file_watch_next(ouro_file_watch *watch, struct ouro_file_event *ret_event)
{
        struct sched *sched = sched_current;
        int result = ret_event ? refuse(watch) : -EINVAL;

        if (result < 0)
                return result;
        if (sched->current->interrupt)
                return sched->current->interrupt;
        watch->inside++;
        result = begin_turn(sched, watch);
        if (result == 0) {
                result = await_event(watch, ret_event);
                if (result == 0)
                        result = coro_spend_int(sched, 0);
                end_turn(sched, watch);
        }
        return leave(watch, result);
}
