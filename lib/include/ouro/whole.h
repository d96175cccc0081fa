/* ouro/whole.h - files as a whole: read, written, replaced; temporary files. Included by ouro.h, whose
 * conventions hold. */
#ifndef OURO_WHOLE_H
#define OURO_WHOLE_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- whole files ------------------------------------------------------------------------------ */

/**
 * ouro_read_file - read all of a file into memory
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @limit: bytes that are accepted at most
 * @ret_data: the content, to be freed by free(3); a zero that does not count stands behind it
 * @ret_len: its length in bytes; may be NULL
 *
 * What the file's size is said to be is only where it begins: files that grow or shrink while they are read,
 * and those of /proc, are read until their end comes.
 *
 * Returns: 0; -EFBIG (longer than limit), -EINVAL (NULL), -EISDIR, -EPERM (outside a task), -ECANCELED,
 * -ETIME, -ENOMEM, or an errno of openat(2) or read(2).
 */
OURO_API int ouro_read_file(int dirfd, const char *path, size_t limit, void **ret_data, size_t *ret_len);

/**
 * ouro_read_file_into - read all of a file into a buffer
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd
 * @buf: lent until the call returns
 * @len: its size in bytes
 *
 * Returns: the file's length in bytes; -EFBIG (longer than len; buf is full of its beginning), and errors as
 * ouro_read_file().
 */
OURO_API ssize_t ouro_read_file_into(int dirfd, const char *path, void *buf, size_t len);

/**
 * ouro_write_file - write all of a file in place
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd; made if it is not there, else what is in it goes first
 * @data: lent until the call returns
 * @len: in bytes
 * @mode: of a new file, less the umask
 *
 * Whoever reads it meanwhile sees a part, and so does everybody after an error: ouro_replace_file() has no
 * such moment.
 *
 * Returns: 0; -EINVAL (NULL), -ENOSPC, -EPERM (outside a task), -ECANCELED, -ETIME, or an errno of openat(2),
 * write(2) or close(2).
 */
OURO_API int ouro_write_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode);

/* ---- replaced at one stroke ---- */

enum ouro_replace_flag {
        OURO_REPLACE_KEEP_MODE = 1,  /* the permission bits of the file that is replaced, if there is one */
        OURO_REPLACE_KEEP_OWNER = 2, /* its user and group */
        OURO_REPLACE_FOLLOW = 4, /* a symbolic link stays, and the file that it leads to is replaced; else the
                                    link itself is */
        OURO_REPLACE_NEW = 8,    /* there must be nothing: -EEXIST */
        OURO_REPLACE_NO_SYNC = 16, /* at one stroke, but not durable: after a crash of the machine it may be
                                      the old one, the new one, or on some file systems empty */
};

struct ouro_replace_options {
        size_t size;    /* sizeof(struct ouro_replace_options), set by the caller */
        unsigned flags; /* enum ouro_replace_flag */
        mode_t mode;    /* of the new file, less the umask; 0: 0666 */
};

typedef struct ouro_replacement ouro_replacement;

/**
 * ouro_replace_begin - begin to write what will replace a file
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd; need not be there yet
 * @options: copied; may be NULL
 * @ret_replacement: to be ended by ouro_replace_commit() or ouro_replace_abort()
 *
 * The new file lies in the same directory. It has no name (O_TMPFILE) until ouro_replace_commit() gives it
 * one of the form ".ouro-XXXXXXXX", to rename it onto the old one at once: only a crash between the two
 * leaves that behind. Where the file system has no O_TMPFILE, it has such a name from the beginning, and any
 * crash leaves it behind.
 *
 * Returns: 0; -EINVAL (NULL, unknown flags, or path ends in a slash, "." or ".."), -EEXIST
 * (OURO_REPLACE_NEW), -EISDIR (a directory is there), -ELOOP, -EPERM (outside a task), -ECANCELED, -ETIME,
 * -ENOMEM, or an errno of openat(2) or fchown(2).
 */
OURO_API int ouro_replace_begin(int dirfd, const char *path, const struct ouro_replace_options *options,
                                ouro_replacement **ret_replacement);

/**
 * ouro_replace_fd - the new file, open for reading and writing. Never waits.
 * @replacement: begun
 *
 * Returns: the descriptor, which stays the replacement's own; -EINVAL (NULL).
 */
OURO_API int ouro_replace_fd(const ouro_replacement *replacement);

/**
 * ouro_replace_commit - put the new file in the place of the old one
 * @replacement: freed, also on failure
 *
 * The content is made durable, then the name changes hands at one stroke, then the directory is made durable.
 * Readers see all of the old or all of the new. It can be cut short before the name changes; from then on it
 * comes to its end, however long the disk takes.
 *
 * Returns: 0; -EEXIST (OURO_REPLACE_NEW), -EINVAL (NULL), -ENOSPC, -EDQUOT, -EIO, -EPERM (outside a task),
 * -ECANCELED, -ETIME, or an errno of fsync(2), linkat(2) or rename(2): then the old file is there as it was,
 * and nothing else. An error of the directory's fsync is returned, too, when the new one has its place
 * already.
 */
OURO_API int ouro_replace_commit(ouro_replacement *replacement);

/**
 * ouro_replace_abort - leave the old file where it is
 * @replacement: freed; NULL does nothing
 *
 * Acts also in a cancelled task.
 *
 * Returns: 0; -EPERM (another loop's, and nothing was done).
 */
OURO_API int ouro_replace_abort(ouro_replacement *replacement);

/**
 * ouro_replace_file - replace all of a file by what is in memory, at one stroke and durably
 * @dirfd: a directory, or AT_FDCWD
 * @path: relative to dirfd; need not be there yet
 * @data: lent until the call returns
 * @len: in bytes
 * @options: copied; may be NULL
 *
 * ouro_replace_begin(), writing, and ouro_replace_commit() in one: after any error, a cancellation or a full
 * disk the old file is there as it was, and nothing else.
 *
 * Returns: 0, and errors as those three and write(2).
 */
OURO_API int ouro_replace_file(int dirfd, const char *path, const void *data, size_t len,
                               const struct ouro_replace_options *options);

/* ---- temporary files -------------------------------------------------------------------------- */

/**
 * ouro_temp_file - a file without a name, that is gone when its last descriptor is closed
 * @dir: the directory whose file system it lies in; NULL: the environment's TMPDIR, else "/tmp"
 *
 * Made by O_TMPFILE; where the file system cannot do that, by a name that is removed at once.
 *
 * Returns: a descriptor, open for reading and writing; -EPERM (outside a task), -ECANCELED, -ETIME, or an
 * errno of openat(2).
 */
OURO_API int ouro_temp_file(const char *dir);

/**
 * ouro_temp_named - a new file with a name that nothing else has
 * @dirfd: a directory, or AT_FDCWD
 * @inout_path: relative to dirfd; its last six bytes are "XXXXXX", and become the name's
 * @mode: less the umask; 0: 0600
 *
 * To be removed by the caller. On failure inout_path is as it was.
 *
 * Returns: a descriptor, open for reading and writing; -EINVAL (NULL, or other last six bytes), -EEXIST (no
 * free name in 100 tries), and errors as ouro_temp_file().
 */
OURO_API int ouro_temp_named(int dirfd, char *inout_path, mode_t mode);

/**
 * ouro_temp_dir - a new directory with a name that nothing else has
 * @dirfd: a directory, or AT_FDCWD
 * @inout_path: relative to dirfd; its last six bytes are "XXXXXX", and become the name's
 *
 * Only its owner may enter it. To be removed by the caller, as by ouro_remove_tree().
 *
 * Returns: 0, and errors as ouro_temp_named().
 */
OURO_API int ouro_temp_dir(int dirfd, char *inout_path);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
