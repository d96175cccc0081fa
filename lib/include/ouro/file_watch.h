/* ouro/file_watch.h - being told of changes to files and trees. Included by ouro.h, whose conventions hold.
 */
#ifndef OURO_FILE_WATCH_H
#define OURO_FILE_WATCH_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- files and trees that are watched ----------------------------------------------------------- */

/* By inotify(7): what other machines do on a network file system is not seen, nor what is done by way of a
 * mapping. Which events there are is told by the IN_... bits of <sys/inotify.h>. A watch belongs to the loop
 * that opened it. */
typedef struct ouro_file_watch ouro_file_watch;

enum ouro_file_watch_flag {
        OURO_FILE_WATCH_TREE = 1, /* the directory, and all directories below it, also those to come */
};

struct ouro_file_event {
        int id;           /* of the path that was added; -1: IN_Q_OVERFLOW */
        int error;        /* 0; else mask is 0: a new directory of a tree cannot be watched, and why */
        uint32_t mask;    /* IN_... bits of what has happened; IN_ISDIR: to a directory */
        uint32_t cookie;  /* the same in IN_MOVED_FROM and the IN_MOVED_TO that belongs to it; else 0 */
        bool found;       /* in a new directory of a tree, whose beginning nobody has watched: see below */
        const char *path; /* from the path that was added; "": that itself. Valid until a task calls
                             ouro_file_watch_next() again, or closes the watch */
};

/**
 * ouro_file_watch_open - begin to watch files
 * @ret_watch: to be closed by ouro_file_watch_close()
 *
 * Returns: 0; -EINVAL (NULL), -EMFILE (descriptors, or fs.inotify.max_user_instances), -ENFILE, -ENOMEM,
 * -EPERM (outside a task). Never waits.
 */
OURO_API int ouro_file_watch_open(ouro_file_watch **ret_watch);

/**
 * ouro_file_watch_add - watch a path too
 * @watch: open
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd: a file, or a directory with all that is in it
 * @mask: the IN_... events that are wanted; IN_DONT_FOLLOW, IN_ONLYDIR, IN_EXCL_UNLINK and, without
 * OURO_FILE_WATCH_TREE, IN_ONESHOT may be added
 * @flags: 0 or OURO_FILE_WATCH_TREE; the latter costs one of the kernel's fs.inotify.max_user_watches for
 * each directory. Symbolic links in a tree are not followed
 *
 * What happens from the return on is told. Directories of a tree that this process may not read are left out.
 * A directory that comes into a tree is watched as soon as ouro_file_watch_next() has seen it; what is in it
 * by then is told by events that have found set: with IN_CREATE, IN_MODIFY and IN_CLOSE_WRITE as far as they
 * are wanted, and IN_ISDIR too where it is a directory. A file that is still being written then may be told
 * once more, when it is really closed. A directory that is moved within the tree keeps being watched under
 * its new path, one that is moved out is not. When the directory that was added, or one above it, is moved
 * itself, all that is watched stays so, and new directories are told with -ESTALE.
 *
 * Returns: an id, zero or more; -EINVAL (NULL, no or unknown events, unknown flags), -ENOSPC (the watch
 * limit), -EEXIST (a directory of it is watched here already: open a watch of its own), -EBADF (closed
 * meanwhile), -EPERM (another loop's), -ECANCELED, -ETIME, -ENOMEM, or an errno of openat(2). After an error
 * nothing of it is watched.
 */
OURO_API int ouro_file_watch_add(ouro_file_watch *watch, int dirfd, const char *path, uint32_t mask,
                                 unsigned flags);

/**
 * ouro_file_watch_remove - do not watch a path any longer. Never waits.
 * @watch: open
 * @id: of ouro_file_watch_add()
 *
 * Of what has happened to it nothing more is told. Acts also in a cancelled task.
 *
 * Returns: 0; -ENOENT (no such id), -EINVAL (NULL), -EPERM (another loop's).
 */
OURO_API int ouro_file_watch_remove(ouro_file_watch *watch, int id);

/**
 * ouro_file_watch_next - wait until something happens
 * @watch: open
 * @ret_event: filled in where 0 is returned
 *
 * Events come in their order. Several tasks may wait: the one that has waited longest gets the next.
 *
 * IN_Q_OVERFLOW: more has happened than the kernel could keep (fs.inotify.max_queued_events), and some of it
 * is lost: look at the files again. Directories that have come into trees unseen are found by themselves, and
 * what is in them is told. IN_IGNORED: what was added is gone (or has been told of once, with IN_ONESHOT),
 * and its id ends.
 *
 * Returns: 0; -EBADF (it was closed while the task waited), -EINVAL (NULL), -EPERM (another loop's),
 * -ECANCELED, -ETIME, -ENOMEM. No event is lost by an error.
 */
OURO_API int ouro_file_watch_next(ouro_file_watch *watch, struct ouro_file_event *ret_event);

/**
 * ouro_file_watch_close - end a watch
 * @watch: freed; NULL does nothing
 *
 * Tasks that wait for it get -EBADF. Never cut short: it acts also in a cancelled task.
 *
 * Returns: 0; -EPERM (another loop's).
 */
OURO_API int ouro_file_watch_close(ouro_file_watch *watch);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
