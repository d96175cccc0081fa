/* ouro/dir.h - directories: listed, walked, made and removed. Included by ouro.h, whose conventions hold. */
#ifndef OURO_DIR_H
#define OURO_DIR_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- directories ------------------------------------------------------------------------------ */

/* The kernel has no operation that reads a directory without blocking: these calls do so in the loop's helper
 * threads, many entries at a time. Of what such a thread has begun, no call returns before it has ended.
 *
 * A directory that is open, or walked, belongs to the loop that opened it, and one task at a time uses it. */

/* ---- one directory ---- */

typedef struct ouro_dir ouro_dir;

struct ouro_dir_entry {
        const char *name; /* without its directory; valid until the next call on the directory */
        uint64_t inode;
        int type; /* DT_REG, DT_DIR, DT_LNK, ... of <dirent.h>; DT_UNKNOWN: it is gone already */
};

/**
 * ouro_dir_open - open a directory, to list it
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd; a symbolic link is followed
 * @ret_dir: to be closed by ouro_dir_close()
 *
 * Returns: 0; -EINVAL (NULL), -ENOTDIR, -EMFILE, -ENOMEM, -EPERM (outside a task), -ECANCELED, -ETIME, or an
 * errno of openat(2).
 */
OURO_API int ouro_dir_open(int dirfd, const char *path, ouro_dir **ret_dir);

/**
 * ouro_dir_next - the next entry of a directory
 * @dir: open
 * @ret_entry: filled in where 1 is returned
 *
 * "." and ".." are left out; the order is the file system's. An entry that is there from the first call to
 * the last is told once, whatever others are made or removed meanwhile; of those it is open which are told.
 *
 * Returns: 1; 0 at the end; -EINVAL (NULL), -EBUSY (another task is in a call on it), -EPERM (another
 * loop's), -ECANCELED, -ETIME, -ENOMEM, or an errno of getdents(2). No entry is lost by an error: the next
 * call goes on.
 */
OURO_API int ouro_dir_next(ouro_dir *dir, struct ouro_dir_entry *ret_entry);

/**
 * ouro_dir_rewind - begin anew, with what is in the directory now. Never waits.
 * @dir: open
 *
 * Returns: 0; -EINVAL, -EBUSY or -EPERM as ouro_dir_next().
 */
OURO_API int ouro_dir_rewind(ouro_dir *dir);

/**
 * ouro_dir_fd - the descriptor of a directory, for the calls that take one. Never waits.
 * @dir: open; the descriptor stays its own
 *
 * Returns: the descriptor; -EINVAL or -EPERM as ouro_dir_next().
 */
OURO_API int ouro_dir_fd(const ouro_dir *dir);

/**
 * ouro_dir_close - close a directory. Never waits.
 * @dir: freed; NULL does nothing
 *
 * Returns: 0; -EBUSY (another task is in a call on it, and nothing was closed), -EPERM (another loop's). Acts
 * also in a cancelled task.
 */
OURO_API int ouro_dir_close(ouro_dir *dir);

/* ---- all that is below one ---- */

typedef struct ouro_walk ouro_walk;

enum ouro_walk_flag {
        OURO_WALK_POST = 1,   /* directories are told after what is in them, not before */
        OURO_WALK_BOTH = 2,   /* they are told before and after */
        OURO_WALK_FOLLOW = 4, /* symbolic links to directories are walked into, and all have the type of what
                                 they lead to; one that leads nowhere stays DT_LNK */
        OURO_WALK_ONE_FS = 8, /* a directory of another file system is told, and not entered */
        OURO_WALK_STOP = 16,  /* errors are returned, not told as events */
};

enum ouro_walk_event {
        OURO_WALK_FILE = 1, /* anything but a directory */
        OURO_WALK_DIR,      /* a directory, before what is in it */
        OURO_WALK_DIR_END,  /* a directory, after what is in it */
        OURO_WALK_ERROR,    /* a directory that cannot be entered or read on */
};

struct ouro_walk_entry {
        enum ouro_walk_event event;
        int type;         /* DT_REG, DT_DIR, ...; DT_UNKNOWN: it is gone already */
        int error;        /* of OURO_WALK_ERROR: a negated errno */
        int dirfd;        /* the directory that holds it; not of OURO_WALK_ERROR */
        const char *name; /* in dirfd */
        const char *path; /* from where the walk began; "" for that itself. May be longer than PATH_MAX */
        size_t depth;     /* 1: in the directory where the walk began */
        uint64_t inode;   /* 0: not known. Of a link that is followed: the link's */
};

struct ouro_walk_options {
        size_t size;      /* sizeof(struct ouro_walk_options), set by the caller */
        unsigned flags;   /* enum ouro_walk_flag; none: directories are told before what is in them */
        size_t max_depth; /* nothing deeper is told; 0: no limit */
};

/**
 * ouro_walk_open - begin to walk through all that is below a directory
 * @dirfd: a directory, or AT_FDCWD
 * @path: the directory, relative to dirfd; a symbolic link is followed
 * @options: copied; may be NULL
 * @ret_walk: to be closed by ouro_walk_close()
 *
 * The directory where it begins is not told itself. Directories are entered by descriptors, each from the one
 * that holds it: one that is renamed or replaced while it is walked leads nowhere else, except by
 * OURO_WALK_FOLLOW. A walk holds at most 26 descriptors however deep it goes, and gets by with four where no
 * more can be had; what it knows of the rest is in memory.
 *
 * Returns: as ouro_dir_open(); -EINVAL also for unknown flags, or OURO_WALK_POST together with
 * OURO_WALK_BOTH.
 */
OURO_API int ouro_walk_open(int dirfd, const char *path, const struct ouro_walk_options *options,
                            ouro_walk **ret_walk);

/**
 * ouro_walk_next - the next that is found
 * @walk: open
 * @ret_entry: filled in where 1 is returned; its texts and its dirfd are valid until the next call on the
 * walk
 *
 * Entries that are there all the time are told once each. An entry told may be gone when it is looked at.
 *
 * Errors of a directory are told as OURO_WALK_ERROR, and the walk goes on: -EACCES, -EMFILE and other errnos
 * of openat(2) (it has been told as OURO_WALK_DIR, and will be as OURO_WALK_DIR_END if that was asked for),
 * -ELOOP (a link that is followed leads to a directory that it is in), an errno of getdents(2) (the rest of
 * it stays untold), -ESTALE and -ENOENT (it was moved away while what is below it was walked, and cannot be
 * found any more: neither its rest nor its end are told).
 *
 * Returns: 1; 0 at the end; with OURO_WALK_STOP an error of a directory; -EINVAL (NULL), -EBUSY (another task
 * is in a call on it), -EPERM (another loop's), -ECANCELED, -ETIME, -ENOMEM. No entry is lost by an error:
 * the next call goes on.
 */
OURO_API int ouro_walk_next(ouro_walk *walk, struct ouro_walk_entry *ret_entry);

/**
 * ouro_walk_skip - do not enter the directory that was told last. Never waits.
 * @walk: its last event was OURO_WALK_DIR
 *
 * The directory's end is not told either.
 *
 * Returns: 0; -EINVAL (NULL, or the last event was another), -EBUSY, -EPERM.
 */
OURO_API int ouro_walk_skip(ouro_walk *walk);

/**
 * ouro_walk_close - end a walk. Never waits.
 * @walk: freed; NULL does nothing
 *
 * Returns: 0; -EBUSY (another task is in a call on it, and nothing was closed), -EPERM (another loop's). Acts
 * also in a cancelled task.
 */
OURO_API int ouro_walk_close(ouro_walk *walk);

/* ---- made and removed ---- */

/**
 * ouro_make_dirs - make a directory, and those on the way to it that are missing
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @mode: of those that are made, less the umask; those on the way can also be written and searched by the
 * owner
 *
 * Two that make the same at the same time both succeed. What was made before an error stays.
 *
 * Returns: 0, also if it is there already; -EINVAL (NULL), -EEXIST or -ENOTDIR (something else is there),
 * -ENAMETOOLONG, -EPERM (outside a task), -ECANCELED, -ETIME, or an errno of mkdir(2).
 */
OURO_API int ouro_make_dirs(int dirfd, const char *path, mode_t mode);

/**
 * ouro_remove_tree - remove a file, or a directory with all that is in it
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd; of a symbolic link the link itself is removed, and none is ever followed
 *
 * It goes on past what cannot be removed. What is removed meanwhile by others is no error. Cut short, it
 * leaves what it has not come to: within 256 entries of the cancellation it ends.
 *
 * Returns: 0; the first error of unlink(2), rmdir(2), or of a directory that could not be read; -ENOENT (path
 * is not there), -EINVAL (NULL, empty, or its last part is "." or ".."), -EPERM (outside a task), -ECANCELED,
 * -ETIME, -ENOMEM.
 */
OURO_API int ouro_remove_tree(int dirfd, const char *path);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
