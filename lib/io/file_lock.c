/* file_lock.c - locks on files: tried, and tried again after a while.
 *
 * A wait is many short tries in helpers, and sleeps between them. While it sleeps nothing is under way on the
 * descriptor, so ouro_close() has nobody to tell: its number may mean another file when it is tried again. So
 * the wait holds a copy, which shares the lock's owner, the open file, and looks in the end whether the
 * number still means that. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "io/fs.h"
#include "ouro.h"

static const int64_t first_pause_ns = OURO_MS(1), longest_pause_ns = OURO_MS(64);

struct lock {
        int fd;
        int kind;     /* enum ouro_lock; 0: to be given back */
        bool is_file; /* all of it, by flock() */
        off_t offset, len;
};

static int flock_once(const struct lock *lock)
{
        static const int operations[] = {LOCK_UN, LOCK_SH, LOCK_EX};

        return sys_result(flock(lock->fd, operations[lock->kind] | LOCK_NB));
}

static int range_once(const struct lock *lock)
{
        static const short types[] = {F_UNLCK, F_RDLCK, F_WRLCK};
        struct flock range = {.l_type = types[lock->kind],
                              .l_whence = SEEK_SET,
                              .l_start = lock->offset,
                              .l_len = lock->len};
        int error = sys_result(fcntl(lock->fd, F_OFD_SETLK, &range));

        return error == -EACCES ? -EAGAIN : error;
}

static int try_once(const struct lock *lock)
{
        int error;

        do
                error = lock->is_file ? flock_once(lock) : range_once(lock);
        while (error == -EINTR);
        return error;
}

static intptr_t try_call(void *lock)
{
        return try_once(lock);
}

static int refuse(const struct lock *lock)
{
        if (lock->fd < 0)
                return -EBADF;
        if (lock->kind != OURO_LOCK_SHARED && lock->kind != OURO_LOCK_EXCLUSIVE)
                return -EINVAL;
        return lock->offset < 0 || lock->len < 0 ? -EINVAL : 0;
}

/* ---- waiting ---- */

/* Do both numbers mean the same open file? Where that cannot be asked: at least the same file? */
static bool is_same_open(int a, int b)
{
        pid_t self = getpid();
        long order = sys_result(syscall(SYS_kcmp, self, self, KCMP_FILE, (unsigned long)a, (unsigned long)b));
        struct stat of_a, of_b;

        if (order >= 0 || order == -EBADF)
                return order == 0;
        return sys_result(fstat(a, &of_a)) == 0 && sys_result(fstat(b, &of_b)) == 0 &&
               of_a.st_ino == of_b.st_ino && of_a.st_dev == of_b.st_dev;
}

/* fd is the caller's, lock->fd the copy. */
static int keep_trying(struct lock *lock, int fd)
{
        int64_t pause_ns = first_pause_ns;
        int error;

        do {
                error = ouro_sleep(pause_ns);
                if (error < 0)
                        return error;
                if (!is_same_open(fd, lock->fd))
                        return -EBADF;
                pause_ns = pause_ns < longest_pause_ns ? 2 * pause_ns : longest_pause_ns;
                error = (int)op_call(try_call, lock);
        } while (error == -EAGAIN);
        return error;
}

static int wait_for(struct lock *lock)
{
        int fd = lock->fd, error;

        lock->fd = fs_adopt(sys_result(fcntl(fd, F_DUPFD_CLOEXEC, 0)));
        if (lock->fd < 0)
                return lock->fd;
        error = keep_trying(lock, fd);
        if (error == 0 && !is_same_open(fd, lock->fd))
                error = -EBADF; /* and the lock goes with the copy */
        fs_close(lock->fd);
        return error;
}

static int lock_it(struct lock lock)
{
        int error = refuse(&lock);

        if (error == 0)
                error = (int)op_call_on(lock.fd, "lock", try_call, &lock);
        return error == -EAGAIN ? wait_for(&lock) : error;
}

/* ---- the calls ---- */

int ouro_lock_file(int fd, int kind)
{
        return lock_it((struct lock){.fd = fd, .kind = kind, .is_file = true});
}

int ouro_try_lock_file(int fd, int kind)
{
        const struct lock lock = {.fd = fd, .kind = kind, .is_file = true};
        int error = refuse(&lock);

        return error < 0 ? error : try_once(&lock);
}

int ouro_unlock_file(int fd)
{
        return try_once(&(struct lock){.fd = fd, .is_file = true});
}

int ouro_lock_range(int fd, int kind, off_t offset, off_t len)
{
        return lock_it((struct lock){.fd = fd, .kind = kind, .offset = offset, .len = len});
}

int ouro_try_lock_range(int fd, int kind, off_t offset, off_t len)
{
        const struct lock lock = {.fd = fd, .kind = kind, .offset = offset, .len = len};
        int error = refuse(&lock);

        return error < 0 ? error : try_once(&lock);
}

int ouro_unlock_range(int fd, off_t offset, off_t len)
{
        if (offset < 0 || len < 0)
                return -EINVAL;
        return try_once(&(struct lock){.fd = fd, .offset = offset, .len = len});
}
