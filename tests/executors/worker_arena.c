/* worker_arena.c - where a worker process has the arena. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/leaks.h"
#include "support/played_host.h"

TestSuite(worker_arena, .init = leaks_begin, .fini = leaks_end, .timeout = 20);

static struct played_host host;

enum { ARENA_BYTES = 1 << 20 };

static const uint64_t ARENA_AT = 0x300000000000;

static intptr_t sum_in_arena(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        if ((uint64_t)(uintptr_t)in.base < ARENA_AT)
                return -EINVAL;
        (void)job;
        *(int *)out.base = ((const int *)in.base)[0] + ((const int *)in.base)[1];
        return *(int *)out.base;
}

/* The job's spans are at that address; the host has the memory somewhere else. */
static void check_arena(unsigned worker, int fd, uint64_t address)
{
        int *shared = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        struct lane_entry *entry;
        uint64_t n;

        cr_assert(shared != MAP_FAILED);
        shared[0] = 40;
        shared[1] = 2;
        entry = host_prepare(&host, worker, sum_in_arena, NULL, 0, 0);
        entry->flags = LANE_IN_ADDRESS | LANE_OUT_ADDRESS;
        entry->in = address;
        entry->in_len = 2 * sizeof(int);
        entry->out = address + 64;
        entry->out_len = sizeof(int);
        n = host_hand_over(&host, worker);
        host_await(&host, worker, n, LANE_DONE);
        cr_assert(entry->result == 42, "%ld", (long)entry->result);
        cr_assert(shared[16] == 42);
        munmap(shared, ARENA_BYTES);
}

static int arena_memory(void)
{
        int fd = memfd_create("arena", MFD_CLOEXEC);

        cr_assert(ftruncate(fd, ARENA_BYTES) == 0);
        return fd;
}

Test(worker_arena, the_arena_of_all_is_at_its_address)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        struct played_extras extras = {.arena = arena_memory(), .arena_at = ARENA_AT};

        options.arena_bytes = ARENA_BYTES;
        host_begin_with(&host, &options, extras);
        host_spawn(&host, 0);
        host_spawn(&host, 1);
        check_arena(0, extras.arena, ARENA_AT);
        check_arena(1, extras.arena, ARENA_AT);
        close(extras.arena);
        host_end(&host);
}

Test(worker_arena, an_arena_of_its_own_is_at_its_address)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        int arenas[2] = {arena_memory(), arena_memory()};

        options.arena_bytes = ARENA_BYTES;
        options.arena_per_worker = true;
        host_begin_with(&host, &options, (struct played_extras){.arena = -1, .arena_at = ARENA_AT});
        for (unsigned i = 0; i < 2; i++) {
                host_spawn_with(&host, i, arenas[i], -1);
                check_arena(i, arenas[i], ARENA_AT + i * ARENA_BYTES);
                close(arenas[i]);
        }
        host_end(&host);
}

Test(worker_arena, an_arena_whose_place_is_taken_is_refused)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        struct played_extras extras = {.arena = arena_memory()};
        void *taken = mmap(NULL, ARENA_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        extras.arena_at = (uint64_t)(uintptr_t)taken;
        options.arena_bytes = ARENA_BYTES;
        host_start_zygote(&host);
        cr_assert(host_configure(&host, &options, extras) == -EEXIST);
        munmap(taken, ARENA_BYTES);
        close(extras.arena);
        host_end(&host);
}
