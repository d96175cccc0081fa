/* arena.c - the arena without a pool: where it lies, how its files grow and shrink, who has it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executors/arena.h"
#include "support/leaks.h"
#include "support/limits.h"

TestSuite(arena, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static const size_t mib = 1 << 20;

static void open_shared(struct arena *arena, uint64_t bytes)
{
        cr_assert(arena_open(arena, bytes, 0) == 0);
}

static char *alloc(struct arena *arena, unsigned part, size_t bytes)
{
        void *span = NULL;

        cr_assert(arena_alloc(arena, part, bytes, &span) == 0);
        return span;
}

static uint64_t size_of(int fd)
{
        struct stat now;

        cr_assert(fstat(fd, &now) == 0);
        return (uint64_t)now.st_size;
}

static uint64_t memory_of(int fd)
{
        struct stat now;

        cr_assert(fstat(fd, &now) == 0);
        return (uint64_t)now.st_blocks * 512;
}

/* ---- spans ---- */

Test(arena, spans_are_aligned_and_keep_what_is_written)
{
        static const size_t sizes[] = {1, 63, 64, 65, 4095, 4096, 4097, 100000, 3 << 20};
        enum { SIZES = sizeof sizes / sizeof *sizes };
        struct arena arena;
        char *spans[SIZES];

        open_shared(&arena, 64 * mib);
        for (size_t i = 0; i < SIZES; i++) {
                spans[i] = alloc(&arena, 0, sizes[i]);
                cr_assert((uintptr_t)spans[i] % (sizes[i] >= 4096 ? 4096 : 64) == 0);
                memset(spans[i], (int)i + 1, sizes[i]);
        }
        for (size_t i = 0; i < SIZES; i++) {
                for (size_t at = 0; at < sizes[i]; at++)
                        cr_assert(spans[i][at] == (char)(i + 1));
                cr_assert(arena_free(&arena, spans[i]) == 0);
        }
        arena_close(&arena);
}

Test(arena, a_second_mapping_of_its_file_has_the_same_bytes)
{
        struct arena arena;
        char *span, *other;

        open_shared(&arena, 16 * mib);
        span = alloc(&arena, 0, mib);
        other = mmap(NULL, arena.part_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena.part[0].fd, 0);
        cr_assert(other != MAP_FAILED);
        strcpy(span, "from here");
        cr_assert(strcmp(other + (span - arena.address), "from here") == 0);
        span = alloc(&arena, 0, 8 * mib); /* has the file grow */
        strcpy(other + (span - arena.address), "from there");
        cr_assert(strcmp(span, "from there") == 0);
        munmap(other, arena.part_bytes);
        arena_close(&arena);
}

Test(arena, full_is_told_and_passes)
{
        struct arena arena;
        void *span = &arena;
        char *first;

        open_shared(&arena, 4 * mib);
        first = alloc(&arena, 0, 2 * mib);
        alloc(&arena, 0, 2 * mib);
        cr_assert(arena_alloc(&arena, 0, 1, &span) == -ENOMEM);
        cr_assert(arena_alloc(&arena, 0, 5 * mib, &span) == -ENOMEM);
        cr_assert(arena_alloc(&arena, 0, SIZE_MAX, &span) == -ENOMEM);
        cr_assert(span == &arena, "untouched on failure");
        cr_assert(arena_free(&arena, first) == 0);
        cr_assert(alloc(&arena, 0, 2 * mib) == first);
        arena_close(&arena);
}

Test(arena, wrong_spans_are_refused)
{
        struct arena arena;
        char *span, here;

        open_shared(&arena, 4 * mib);
        span = alloc(&arena, 0, 4096);
        cr_assert(arena_free(&arena, span + 64) == -EINVAL);
        cr_assert(arena_free(&arena, span + 1) == -EINVAL);
        cr_assert(arena_free(&arena, &here) == -EINVAL);
        cr_assert(arena_free(&arena, arena.address - 64) == -EINVAL);
        cr_assert(arena_free(&arena, arena.address + arena.bytes) == -EINVAL);
        cr_assert(arena_free(&arena, span) == 0);
        cr_assert(arena_free(&arena, span) == -EINVAL, "twice");
        cr_assert(arena_alloc(&arena, 0, 0, (void **)&span) == -EINVAL);
        cr_assert(arena_alloc(&arena, 1, 64, (void **)&span) == -EINVAL);
        arena_close(&arena);
        cr_assert(arena_open(&arena, 0, 0) == -EINVAL);
        cr_assert(arena_open(&arena, UINT64_MAX, 0) == -EINVAL);
        cr_assert(arena_open(&arena, 1ULL << 46, 1024) == -EINVAL);
}

Test(arena, what_lies_in_it_is_known)
{
        struct arena arena;
        unsigned worker = 77;
        char *at;

        cr_assert(arena_open(&arena, mib, 3) == 0);
        at = arena.address;
        cr_assert(arena.part_bytes == mib && arena.bytes == 3 * mib);
        cr_assert(arena_contains(&arena, at, mib, &worker) && worker == 0);
        cr_assert(arena_contains(&arena, at + 3 * mib - 1, 1, &worker) && worker == 2);
        cr_assert(arena_contains(&arena, at + mib, 0, &worker) && worker == 1);
        worker = 77;
        cr_assert(!arena_contains(&arena, at, mib + 1, &worker), "in two workers' parts");
        cr_assert(!arena_contains(&arena, at - 1, 2, &worker), "begins before it");
        cr_assert(!arena_contains(&arena, at + 3 * mib - 1, 2, &worker), "ends after it");
        cr_assert(!arena_contains(&arena, at + 3 * mib, 0, &worker));
        cr_assert(!arena_contains(&arena, at + 1, SIZE_MAX, &worker));
        cr_assert(!arena_contains(&arena, NULL, 0, &worker));
        cr_assert(!arena_contains(&arena, &worker, sizeof worker, &worker));
        cr_assert(worker == 77);
        arena_close(&arena);

        open_shared(&arena, 2 * mib);
        cr_assert(arena_contains(&arena, arena.address + mib - 1, mib, &worker) && worker == 0);
        arena_close(&arena);
}

Test(arena, each_worker_has_a_part_and_a_file_of_its_own)
{
        struct arena arena;
        unsigned worker;

        cr_assert(arena_open(&arena, mib + 1, 3) == 0);
        cr_assert(arena.part_bytes == mib + 4096, "rounded up to pages");
        for (unsigned i = 0; i < 3; i++) {
                char *span = alloc(&arena, i, 4096), seen[8];
                off_t at = span - (arena.address + i * arena.part_bytes);

                cr_assert(arena_contains(&arena, span, 4096, &worker) && worker == i);
                strcpy(span, i == 0 ? "zero" : i == 1 ? "one" : "two");
                cr_assert(pread(arena.part[i].fd, seen, sizeof seen, at) == sizeof seen);
                cr_assert(strcmp(seen, span) == 0);
        }
        arena_close(&arena);
}

/* ---- where ---- */

Test(arena, several_are_next_to_each_other)
{
        struct arena arenas[20];

        for (size_t i = 0; i < 20; i++) {
                open_shared(&arenas[i], (i % 3 + 1) * 1024 * mib);
                for (size_t j = 0; j < i; j++)
                        cr_assert(arenas[j].address + arenas[j].bytes <= arenas[i].address ||
                                  arenas[i].address + arenas[i].bytes <= arenas[j].address);
        }
        for (size_t i = 0; i < 20; i++)
                arena_close(&arenas[i]);
}

Test(arena, what_is_already_mapped_is_left_alone)
{
        struct arena arena;
        char *usual, *mine;

        open_shared(&arena, 64 * mib);
        usual = arena.address;
        arena_close(&arena);
        mine = mmap(usual + 4096, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        cr_assert(mine == usual + 4096);
        mine[0] = 55;
        open_shared(&arena, 64 * mib);
        cr_assert(arena.address + arena.bytes <= mine || arena.address > mine);
        alloc(&arena, 0, mib)[0] = 1;
        cr_assert(mine[0] == 55);
        arena_close(&arena);
        munmap(mine, 4096);
}

Test(arena, the_window_counts_for_the_limit_of_address_space)
{
        struct rlimit before = limit_address_space(8ULL << 30);
        struct arena arena;

        errno = 55;
        cr_expect(arena_open(&arena, 16ULL << 30, 0) == -ENOMEM);
        cr_expect(arena_open(&arena, 3ULL << 30, 3) == -ENOMEM);
        cr_expect(arena_open(&arena, 8000ULL << 20, 1) == -ENOMEM, "the window would do, its books do not");
        cr_expect(errno == 55);
        cr_expect(arena_open(&arena, 4ULL << 30, 0) == 0);
        arena_close(&arena);
        limit_restore(before);
}

Test(arena, no_descriptor_left_is_told)
{
        struct rlimit before, limit;
        struct arena arena;
        int next = dup(0);

        close(next);
        cr_assert(getrlimit(RLIMIT_NOFILE, &before) == 0);
        limit = (struct rlimit){(rlim_t)next + 2, before.rlim_max};
        cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        cr_expect(arena_open(&arena, mib, 3) == -EMFILE, "with the third part");
        cr_expect(arena_open(&arena, mib, 2) == 0);
        arena_close(&arena);
        cr_assert(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

/* ---- files ---- */

Test(arena, its_file_grows_with_use)
{
        struct arena arena;
        uint64_t size;

        open_shared(&arena, 16ULL << 30);
        cr_assert(size_of(arena.part[0].fd) == 0);
        alloc(&arena, 0, 64)[0] = 1;
        size = size_of(arena.part[0].fd);
        cr_assert(size > 0 && size <= 4 * mib);
        cr_assert(memory_of(arena.part[0].fd) == 4096);
        alloc(&arena, 0, 8ULL << 30)[(8ULL << 30) - 1] = 1; /* its last byte is there */
        cr_assert(size_of(arena.part[0].fd) >= 16ULL << 30);
        cr_assert(memory_of(arena.part[0].fd) == 8192, "and all that was not touched is not");
        arena_close(&arena);
}

Test(arena, nobody_can_shrink_its_file_or_seal_it)
{
        struct arena arena;
        int fd;

        open_shared(&arena, 16 * mib);
        alloc(&arena, 0, mib)[0] = 1;
        fd = arena.part[0].fd;
        cr_assert(ftruncate(fd, 0) < 0 && errno == EPERM);
        cr_assert(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0 && errno == EPERM);
        cr_assert(fcntl(fd, F_GETFD) == FD_CLOEXEC);
        arena_close(&arena);
}

/* ftruncate() past this limit raises a signal that ends the process. */
Test(arena, a_limit_on_the_size_of_files_is_no_more_than_a_full_arena)
{
        struct rlimit before, limit;
        struct arena arena;
        void *span;

        open_shared(&arena, 64 * mib);
        cr_assert(getrlimit(RLIMIT_FSIZE, &before) == 0);
        limit = (struct rlimit){3 * mib, before.rlim_max};
        cr_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        cr_expect(arena_alloc(&arena, 0, 2 * mib, &span) == 0);
        cr_expect(arena_alloc(&arena, 0, mib, &span) == 0);
        cr_expect(arena_alloc(&arena, 0, mib, &span) == -ENOMEM);
        cr_expect(arena.part[0].buddy.used == 3 * mib);
        cr_assert(setrlimit(RLIMIT_FSIZE, &before) == 0);
        cr_expect(arena_alloc(&arena, 0, mib, &span) == 0);
        arena_close(&arena);
}

Test(arena, free_memory_is_given_back_beyond_what_is_kept)
{
        struct arena arena;
        char *kept, *large, *small[2048];
        int fd;

        open_shared(&arena, 16ULL << 30);
        fd = arena.part[0].fd;
        kept = alloc(&arena, 0, mib);
        memset(kept, 55, mib);
        large = alloc(&arena, 0, 128 * mib);
        memset(large, 1, 128 * mib);
        cr_assert(memory_of(fd) >= 129 * mib);
        arena_free(&arena, large);
        cr_assert(memory_of(fd) <= mib + ARENA_KEPT_BYTES);

        for (int round = 0; round < 3; round++) {
                for (size_t i = 0; i < 2048; i++) /* 128 MiB in small pieces */
                        memset(small[i] = alloc(&arena, 0, 65536), 2, 65536);
                for (size_t i = 0; i < 2048; i++)
                        arena_free(&arena, small[i * 1001 % 2048]); /* in no order */
                cr_assert(memory_of(fd) <= mib + ARENA_KEPT_BYTES + 16 * mib);
        }
        for (size_t i = 0; i < mib; i++)
                cr_assert(kept[i] == 55);
        arena_close(&arena);
}

Test(arena, what_is_used_over_and_over_stays)
{
        struct arena arena;
        struct rusage before, after;
        char *span;

        open_shared(&arena, 1024 * mib);
        memset(alloc(&arena, 0, 32 * mib), 1, 32 * mib);
        arena_free(&arena, arena.address);
        getrusage(RUSAGE_SELF, &before);
        for (int i = 0; i < 50; i++) {
                span = alloc(&arena, 0, 32 * mib);
                for (size_t at = 0; at < 32 * mib; at += 4096)
                        span[at] = (char)i;
                arena_free(&arena, span);
        }
        getrusage(RUSAGE_SELF, &after);
        cr_assert(after.ru_minflt - before.ru_minflt < 8192, "no page twice");
        arena_close(&arena);
}

/* ---- others ---- */

static struct arena shared_arena;

static void *use_it(void *arg)
{
        unsigned seed = (unsigned)(uintptr_t)arg;
        unsigned *held[64] = {NULL};

        for (unsigned i = 0; i < 20000; i++) {
                unsigned at = (unsigned)rand_r(&seed) % 64;
                size_t bytes = 4 + (size_t)rand_r(&seed) % 20000;

                if (held[at]) {
                        cr_assert(*held[at] == (unsigned)(uintptr_t)arg, "given to two");
                        cr_assert(arena_free(&shared_arena, held[at]) == 0);
                        held[at] = NULL;
                } else if (arena_alloc(&shared_arena, 0, bytes, (void **)&held[at]) == 0) {
                        *held[at] = (unsigned)(uintptr_t)arg;
                }
        }
        for (unsigned at = 0; at < 64; at++)
                if (held[at])
                        cr_assert(arena_free(&shared_arena, held[at]) == 0);
        return NULL;
}

Test(arena, threads_may_share_it)
{
        pthread_t threads[4];

        open_shared(&shared_arena, 2 * mib);
        for (uintptr_t i = 0; i < 4; i++)
                cr_assert(pthread_create(&threads[i], NULL, use_it, (void *)(i + 1)) == 0);
        for (size_t i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        cr_assert(shared_arena.part[0].buddy.used == 0);
        arena_close(&shared_arena);
}

Test(arena, a_child_of_the_host_does_not_have_it)
{
        struct arena arena;
        char *span;
        int status;
        pid_t pid;

        open_shared(&arena, 16 * mib);
        span = alloc(&arena, 0, 4096);
        span[0] = 1;
        pid = fork();
        if (pid == 0) {
                signal(SIGSEGV, SIG_DFL);
                span[0] = 2;
                _exit(0);
        }
        cr_assert(waitpid(pid, &status, 0) == pid);
        cr_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0, "it could write there");
        cr_assert(span[0] == 1);
        arena_close(&arena);
}

Test(arena, is_opened_and_closed_many_times)
{
        for (int i = 0; i < 2000; i++) {
                struct arena arena;

                cr_assert(arena_open(&arena, 16ULL << 30, i % 3 ? 0 : 3) == 0);
                alloc(&arena, 0, 100)[0] = 1;
                arena_close(&arena);
        }
}
