/* lane.c - the shared memory of host and worker: how it is laid out, sealed and kept. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executors/lane.h"
#include "support/leaks.h"

TestSuite(lane, .init = leaks_begin, .fini = leaks_end, .timeout = 30);

static int create(struct lane *lane, uint64_t data_bytes)
{
        int fd = -1;

        cr_assert(lane_create(lane, 3, 64, data_bytes, &fd) == 0);
        return fd;
}

Test(lane, both_sides_see_the_same)
{
        struct lane host, worker;
        int fd = create(&host, 1 << 20);

        cr_assert(lane_attach(&worker, fd) == 0);
        close(fd);
        cr_assert(host.base != worker.base && host.bytes == worker.bytes && host.mask == worker.mask);
        cr_assert(worker.head->worker == 3 && worker.head->entries == 64 && worker.mask == 63);
        atomic_store(&lane_entry(&host, 5)->state, LANE_READY);
        cr_assert(atomic_load(&lane_entry(&worker, 5 + 64)->state) == LANE_READY);
        strcpy(worker.base + lane_place(&worker, 63), "in its place");
        cr_assert(strcmp(host.base + lane_place(&host, 63), "in its place") == 0);
        host.base[host.bytes - 1] = 'x';
        cr_assert(worker.base[worker.bytes - 1] == 'x');
        lane_unmap(&host);
        lane_unmap(&worker);
}

Test(lane, its_parts_do_not_overlap)
{
        struct lane lane;
        int fd = create(&lane, 4096);
        const struct lane_head *head = lane.head;

        cr_assert(head->modules_at >= sizeof *head);
        cr_assert(head->entries_at >= head->modules_at + LANE_MODULES_MOST * sizeof(struct lane_module));
        cr_assert(head->notes_at >= head->entries_at + 64 * sizeof(struct lane_entry));
        cr_assert(head->places_at >= head->notes_at + 64 * sizeof(struct lane_note));
        cr_assert(head->data_at >= head->places_at + 64 * LANE_PLACE_BYTES);
        cr_assert(head->bytes >= head->data_at + 4096 && head->bytes == lane.bytes);
        cr_assert(head->entries_at % 64 == 0 && head->notes_at % 64 == 0 && head->data_at % 4096 == 0);
        close(fd);
        lane_unmap(&lane);
}

Test(lane, laps_make_states_of_one_entry_differ)
{
        struct lane lane;
        int fd = create(&lane, 0);

        cr_assert(lane_lap(&lane, 63) == 0 && lane_lap(&lane, 64) == LANE_LAP);
        cr_assert(lane_entry(&lane, 64) == lane_entry(&lane, 0));
        cr_assert((lane_lap(&lane, 64) & LANE_STATE_MASK) == 0);
        close(fd);
        lane_unmap(&lane);
}

Test(lane, its_length_can_never_be_changed)
{
        struct lane lane;
        int fd = create(&lane, 1 << 20);

        cr_assert(ftruncate(fd, 4096) == -1 && errno == EPERM);
        cr_assert(ftruncate(fd, 1 << 24) == -1 && errno == EPERM);
        cr_assert(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == -1);
        cr_assert(fcntl(fd, F_GETFD) == FD_CLOEXEC);
        close(fd);
        lane_unmap(&lane);
}

Test(lane, a_large_one_takes_no_memory_until_it_is_used)
{
        struct lane lane;
        struct stat stat;
        int fd = create(&lane, (uint64_t)8 << 30);

        cr_assert(fstat(fd, &stat) == 0);
        cr_assert(stat.st_size > (off_t)8 << 30);
        cr_assert(stat.st_blocks * 512 < 1 << 20, "%ld blocks", (long)stat.st_blocks);
        close(fd);
        lane_unmap(&lane);
}

Test(lane, a_forked_child_does_not_have_it)
{
        const struct rlimit none = {0, 0};
        struct lane lane;
        int fd = create(&lane, 4096), status;
        pid_t pid = fork();

        if (pid == 0) {
                setrlimit(RLIMIT_CORE, &none);
                signal(SIGSEGV, SIG_DFL);
                _exit(mincore(lane.base, 4096, &(unsigned char){0}) == -1 && errno == ENOMEM ? 17 : 1);
        }
        cr_assert(waitpid(pid, &status, 0) == pid);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 17);
        close(fd);
        lane_unmap(&lane);
}

Test(lane, something_else_is_not_attached)
{
        struct lane lane, other;
        int fd = memfd_create("something", MFD_CLOEXEC), lane_fd = create(&lane, 4096);

        cr_assert(lane_attach(&other, fd) == -EINVAL);
        cr_assert(ftruncate(fd, 1 << 20) == 0);
        cr_assert(lane_attach(&other, fd) == -EINVAL);
        cr_assert(lane_attach(&other, -1) == -EBADF);
        lane.head->places_at += 4096;
        cr_assert(lane_attach(&other, lane_fd) == -EINVAL);
        lane.head->places_at -= 4096;
        lane.head->entries = 1u << 31;
        cr_assert(lane_attach(&other, lane_fd) == -EINVAL);
        lane.head->entries = 48;
        cr_assert(lane_attach(&other, lane_fd) == -EINVAL);
        close(fd);
        close(lane_fd);
        lane_unmap(&lane);
}

Test(lane, without_descriptors_it_is_not_made)
{
        struct rlimit before, few;
        struct lane lane;
        int fd = -1;

        cr_assert(getrlimit(RLIMIT_NOFILE, &before) == 0);
        few = before;
        few.rlim_cur = 0;
        cr_assert(setrlimit(RLIMIT_NOFILE, &few) == 0);
        cr_assert(lane_create(&lane, 0, 64, 4096, &fd) == -EMFILE);
        cr_assert(setrlimit(RLIMIT_NOFILE, &before) == 0);
        cr_assert(fd == -1);
}
