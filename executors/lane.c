/* lane.c - making and mapping the shared memory of the host and one worker.
 *
 * Nobody can change its length once it is made: an index that was checked against it stays good, and no
 * touch of it ends in SIGBUS. Its pages come into being as they are touched, so data may be large.
 *
 * It is not inherited over fork: a job's children cannot write into it. Its data is not in core files, which
 * would make every page of it real. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/sys.h"
#include "executors/compat.h"
#include "executors/lane.h"
#include "executors/lazy.h"

enum { LANE_PAGE = 4096 };

static uint64_t page_up(uint64_t bytes)
{
        return (bytes + LANE_PAGE - 1) / LANE_PAGE * LANE_PAGE;
}

/* Everything before data is small: entries is at most some thousands. */
static struct lane_head lay_out(uint32_t worker, uint32_t entries, uint64_t data_bytes)
{
        struct lane_head head = {.entries = entries, .worker = worker};

        head.modules_at = page_up(sizeof head);
        head.entries_at = page_up(head.modules_at + LANE_MODULES_MOST * sizeof(struct lane_module));
        head.notes_at = page_up(head.entries_at + (uint64_t)entries * sizeof(struct lane_entry));
        head.places_at = page_up(head.notes_at + (uint64_t)entries * sizeof(struct lane_note));
        head.data_at = page_up(head.places_at + (uint64_t)entries * LANE_PLACE_BYTES);
        head.bytes = head.data_at + page_up(data_bytes);
        return head;
}

static int make_memory(uint64_t bytes)
{
        const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
        int fd = sys_result(memfd_create("ouro-lane", flags | MFD_NOEXEC_SEAL));
        int error;

        if (fd == -EINVAL) /* a kernel that does not know of it */
                fd = sys_result(memfd_create("ouro-lane", flags));
        if (fd < 0)
                return fd;
        error = sys_result(ftruncate(fd, (off_t)bytes));
        if (error == 0)
                error = sys_result(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
        if (error < 0) {
                close(fd);
                return error;
        }
        return fd;
}

static void set_places(struct lane *lane, char *base, const struct lane_head *head)
{
        lane->base = base;
        lane->head = (struct lane_head *)base;
        lane->modules = (struct lane_module *)(base + head->modules_at);
        lane->entries = (struct lane_entry *)(base + head->entries_at);
        lane->notes = (struct lane_note *)(base + head->notes_at);
        lane->places = base + head->places_at;
        lane->bytes = head->bytes;
        lane->mask = head->entries - 1;
}

static int map_memory(int fd, uint64_t bytes, char **ret_base)
{
        void *base = lazy_map(bytes, MAP_SHARED, fd);
        int error;

        if (!base)
                return -ENOMEM;
        error = sys_result(madvise(base, bytes, MADV_DONTFORK));
        if (error < 0) {
                munmap(base, bytes);
                return error;
        }
        *ret_base = base;
        return 0;
}

static void keep_out_of_cores(const struct lane *lane)
{
        uint64_t data_at = lane->head->data_at;

        if (lane->bytes > data_at)
                sys_result(madvise(lane->base + data_at, lane->bytes - data_at, MADV_DONTDUMP));
}

int lane_create(struct lane *lane, uint32_t worker, uint32_t entries, uint64_t data_bytes, int *ret_fd)
{
        const struct lane_head head = lay_out(worker, entries, data_bytes);
        int saved_errno = errno, fd, error;
        char *base;

        check(entries > 0 && (entries & (entries - 1)) == 0);
        fd = make_memory(head.bytes);
        if (fd < 0)
                return fd;
        error = map_memory(fd, head.bytes, &base);
        errno = saved_errno;
        if (error < 0) {
                close(fd);
                return error;
        }
        *(struct lane_head *)base = head;
        set_places(lane, base, &head);
        keep_out_of_cores(lane);
        *ret_fd = fd;
        return 0;
}

/* The worker may trust its host, but not a descriptor that is something else. */
static int check_head(const struct lane_head *head, uint64_t bytes)
{
        const uint64_t entries = head->entries;
        struct lane_head expected;

        if (entries == 0 || (entries & (entries - 1)) != 0 || head->data_at > bytes)
                return -EINVAL;
        expected = lay_out(head->worker, head->entries, bytes - head->data_at);
        if (head->bytes != bytes || expected.bytes != bytes || head->modules_at != expected.modules_at ||
            head->entries_at != expected.entries_at || head->notes_at != expected.notes_at ||
            head->places_at != expected.places_at || head->data_at != expected.data_at)
                return -EINVAL;
        return 0;
}

int lane_attach(struct lane *lane, int fd)
{
        struct stat stat;
        char *base;
        int error = sys_result(fstat(fd, &stat));

        if (error < 0)
                return error;
        if ((size_t)stat.st_size < sizeof(struct lane_head))
                return -EINVAL;
        error = map_memory(fd, (uint64_t)stat.st_size, &base);
        if (error < 0)
                return error;
        error = check_head((struct lane_head *)base, (uint64_t)stat.st_size);
        if (error < 0) {
                munmap(base, (size_t)stat.st_size);
                return error;
        }
        set_places(lane, base, (struct lane_head *)base);
        keep_out_of_cores(lane);
        return 0;
}

void lane_unmap(struct lane *lane)
{
        munmap(lane->base, lane->bytes);
        *lane = (struct lane){.base = NULL};
}
