/* arena.c - finding a window, growing the files in it, and giving memory back. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sys.h"
#include "executors/arena.h"
#include "executors/compat.h"

enum {
        WINDOWS_TRIED = 1024,       /* next to each other, at each of the places below */
        GROWN_LEAST = 1 << 20,      /* a file grows by so much at least */
        GIVEN_BACK_AT_ONCE = 256,   /* blocks */
        GIVEN_BACK_LEAST = 1 << 16, /* free blocks smaller than this stay */
        LOOKED_EVERY = 16 << 20,    /* after so many bytes were freed it is looked again */
};

static const uint64_t window_step = 1ULL << 30;
static const uint64_t bytes_most = 1ULL << 46;

/* Where nothing is in an ordinary process, neither in one executed afresh; what comes first under a sanitizer
 * or Valgrind follows. TSan takes ranges of its own and has those it does not know mapped without access; the
 * last place exists with 39 bits of address space, too. */
static const uint64_t places[] = {0x200000000000, 0x300000000000, 0x7e8000000000, 0x550000000000,
                                  0x2000000000};

static uint64_t page_up(uint64_t bytes)
{
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

        return (bytes + page - 1) / page * page;
}

/* By the raw call: TSan ends a process that asks mmap() for a place that is not for programs. Returns
 * the address or a negated errno. */
static int64_t map_at(uint64_t address, uint64_t bytes, int prot, int flags, int fd)
{
        int64_t got = sys_result(
                syscall(SYS_mmap, address, bytes, prot, flags | MAP_FIXED_NOREPLACE, fd, (off_t)0));

        if (got >= 0 && (uint64_t)got != address) { /* before Linux 4.17: a mere wish */
                (void)sys_result(syscall(SYS_munmap, got, bytes));
                return -EEXIST;
        }
        return got;
}

static void unmap(uint64_t address, uint64_t bytes)
{
        check(sys_result(syscall(SYS_munmap, address, bytes)) == 0);
}

/* ---- opening ---- */

static int reserve_window(struct arena *arena)
{
        uint64_t step = (arena->bytes + window_step - 1) / window_step * window_step;

        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
                for (uint64_t k = 0; k < WINDOWS_TRIED; k++) {
                        int64_t got = map_at(places[i] + k * step, arena->bytes, PROT_NONE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

                        if (got >= 0) {
                                arena->address = (char *)(uintptr_t)got; /* NOLINT: an address is asked for */
                                return 0;
                        }
                        if (got != -EEXIST)
                                break; /* no address here */
                }
        }
        return -ENOMEM;
}

/* Executable memory is not wanted, and where the system insists on that, it must be said. */
static int make_file(void)
{
        int fd = sys_result(memfd_create("ouro-arena", MFD_CLOEXEC | MFD_NOEXEC_SEAL));

        if (fd == -EINVAL)
                fd = sys_result(memfd_create("ouro-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
        return fd;
}

static int open_part(struct arena *arena, unsigned i)
{
        struct arena_part *part = &arena->part[i];
        char *base = arena->address + i * arena->part_bytes;
        void *mapped;
        int saved_errno = errno;
        int r;

        part->fd = make_file();
        if (part->fd < 0)
                return part->fd;
        r = sys_result(fcntl(part->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL));
        if (r == 0)
                r = buddy_init(&part->buddy, arena->part_bytes, ARENA_ALIGNMENT);
        if (r < 0)
                goto close_file;
        mapped = mmap(base, arena->part_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, part->fd, 0);
        errno = saved_errno;
        (void)sys_result(munlock(base, arena->part_bytes)); /* spans are locked by who wants that */
        r = mapped == MAP_FAILED ? -ENOMEM : sys_result(madvise(base, arena->part_bytes, MADV_DONTFORK));
        if (r == 0)
                return 0;
        buddy_fini(&part->buddy);
close_file:
        (void)sys_result(close(part->fd));
        return r;
}

static void close_parts(struct arena *arena, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                buddy_fini(&arena->part[i].buddy);
                (void)sys_result(close(arena->part[i].fd));
        }
        unmap((uintptr_t)arena->address, arena->bytes);
        mem_free(arena->part, arena->parts * sizeof *arena->part);
}

int arena_open(struct arena *arena, uint64_t bytes, unsigned workers)
{
        unsigned parts = workers ? workers : 1;
        int r;

        if (bytes == 0 || bytes > bytes_most / parts)
                return -EINVAL;
        *arena = (struct arena){.part_bytes = page_up(bytes), .parts = parts, .per_worker = workers > 0};
        arena->bytes = arena->part_bytes * parts;
        arena->part = mem_calloc(parts * sizeof *arena->part);
        if (!arena->part)
                return -ENOMEM;
        r = reserve_window(arena);
        if (r < 0) {
                mem_free(arena->part, parts * sizeof *arena->part);
                return r;
        }
        for (unsigned i = 0; i < parts; i++) {
                r = open_part(arena, i);
                if (r < 0) {
                        close_parts(arena, i);
                        return r;
                }
        }
        check(pthread_mutex_init(&arena->lock, NULL) == 0);
        return 0;
}

void arena_close(struct arena *arena)
{
        check(pthread_mutex_destroy(&arena->lock) == 0);
        close_parts(arena, arena->parts);
}

/* ---- spans ---- */

/* Has the file reach up to end. */
static int grow(struct arena *arena, struct arena_part *part, uint64_t end)
{
        uint64_t size = part->size * 2 > GROWN_LEAST ? part->size * 2 : GROWN_LEAST;
        struct rlimit most;

        if (end <= part->size)
                return 0;
        if (size < end)
                size = page_up(end);
        if (size > arena->part_bytes)
                size = arena->part_bytes;
        /* Past the limit ftruncate() would end the process by SIGXFSZ. */
        if (getrlimit(RLIMIT_FSIZE, &most) == 0 && size > most.rlim_cur)
                size = most.rlim_cur;
        if (size < end || sys_result(ftruncate(part->fd, (off_t)size)) < 0)
                return -ENOMEM;
        part->size = size;
        part->given_back_from = size;
        return 0;
}

int arena_alloc(struct arena *arena, unsigned i, size_t bytes, void **ret_span)
{
        struct arena_part *part;
        int64_t offset;

        if (i >= arena->parts || bytes == 0)
                return -EINVAL;
        part = &arena->part[i];
        pthread_mutex_lock(&arena->lock);
        offset = buddy_alloc(&part->buddy, bytes);
        if (offset >= 0 && grow(arena, part, (uint64_t)offset + bytes) < 0) {
                buddy_free(&part->buddy, (uint64_t)offset);
                offset = -ENOMEM;
        }
        pthread_mutex_unlock(&arena->lock);
        if (offset < 0)
                return (int)offset;
        *ret_span = arena->address + i * arena->part_bytes + offset;
        return 0;
}

/* Memory of the part's file beyond what its spans may take and what is kept. */
static bool has_too_much(const struct arena_part *part)
{
        struct stat now;

        return sys_result(fstat(part->fd, &now)) == 0 &&
               (uint64_t)now.st_blocks * 512 > part->buddy.used + ARENA_KEPT_BYTES;
}

/* Gives back the free block that lies nearest below *inout_offset. */
static bool punch_below(const struct arena_part *part, uint64_t *inout_offset)
{
        uint64_t bytes = buddy_free_below(&part->buddy, inout_offset, GIVEN_BACK_LEAST);

        return bytes > 0 && sys_result(fallocate(part->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                                 (off_t)*inout_offset, (off_t)bytes)) == 0;
}

/* What was freed last, then from the end of the part downwards, as new spans are rather put at its beginning.
 * Only some at a time, and the next time further down: others wait for the lock. */
static void give_back(struct arena_part *part, uint64_t freed_end)
{
        if (!has_too_much(part))
                return;
        punch_below(part, &freed_end);
        for (unsigned i = 0; i < GIVEN_BACK_AT_ONCE && has_too_much(part); i++) {
                if (punch_below(part, &part->given_back_from))
                        continue;
                part->given_back_from = part->size;
                return;
        }
}

int arena_free(struct arena *arena, void *span)
{
        struct arena_part *part;
        int64_t bytes;
        unsigned i;
        uint64_t at = (uint64_t)(uintptr_t)span - (uint64_t)(uintptr_t)arena->address;

        if (at >= arena->bytes)
                return -EINVAL;
        i = (unsigned)(at / arena->part_bytes);
        part = &arena->part[i];
        pthread_mutex_lock(&arena->lock);
        bytes = buddy_free(&part->buddy, at - i * arena->part_bytes);
        if (bytes > 0) {
                part->freed += (uint64_t)bytes;
                if (part->freed >= LOOKED_EVERY) {
                        part->freed = 0;
                        give_back(part, at % arena->part_bytes + (uint64_t)bytes);
                }
        }
        pthread_mutex_unlock(&arena->lock);
        return bytes < 0 ? (int)bytes : 0;
}
