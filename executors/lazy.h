/* lazy.h - address space that becomes memory only as it is touched, even in a program that has locked all its
 * memory: mlockall(MCL_FUTURE) would fill in gigabytes at once. */
#ifndef OURO_EXECUTORS_LAZY_H
#define OURO_EXECUTORS_LAZY_H

#include <errno.h>
#include <sys/mman.h>

#include "base/sys.h"

/* As mmap() with a place of the kernel's choice, to be read and written; NULL: no room. What cannot be
 * accessed is not filled in, and by the time it can be it is not locked any more. */
static inline void *lazy_map(size_t bytes, int flags, int fd)
{
        int saved_errno = errno;
        void *base = mmap(NULL, bytes, PROT_NONE, flags | MAP_NORESERVE, fd, 0);

        errno = saved_errno;
        if (base == MAP_FAILED)
                return NULL;
        (void)sys_result(munlock(base, bytes));
        if (sys_result(mprotect(base, bytes, PROT_READ | PROT_WRITE)) == 0)
                return base;
        (void)sys_result(munmap(base, bytes));
        return NULL;
}

#endif
