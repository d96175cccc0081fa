/* Of tools/leftovers.c: what is taken between two snapshots and not given back is named, nothing else is. */
#include "../../tools/leftovers.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct snapshot before;
static struct leftovers found;

static void look(void)
{
        cr_assert_eq(snapshot_take(&before), 0);
}

/* Waits until nothing is left over since look(). */
static void settle(void)
{
        struct snapshot after;

        cr_assert_eq(leftovers_settle(&before, 5000000000, leftovers_none, &after, &found), 0);
        snapshot_free(&after);
}

/* What was left over since look(). */
static void compare(void)
{
        struct snapshot after;

        cr_assert_eq(snapshot_take(&after), 0);
        leftovers_compare(&before, &after, &found);
        snapshot_free(&after);
}

static void forget(void)
{
        snapshot_free(&before);
}

TestSuite(leftovers, .init = look, .fini = forget);

Test(leftovers, nothing_taken_is_nothing_left)
{
        compare();
        cr_assert(leftovers_none(&found));
        cr_assert_gt(found.descriptors.before, 0);
        cr_assert_gt(found.threads.before, 0);
        cr_assert_gt(found.mappings.before, 0);
}

Test(leftovers, open_descriptor_is_named)
{
        int fd = open("/dev/null", O_RDONLY);

        compare();
        cr_assert_not(leftovers_none(&found));
        cr_assert_eq(found.descriptors.extra, 1);
        cr_assert_not_null(strstr(found.descriptors.first, "/dev/null"));
        close(fd);
        compare();
        cr_assert(leftovers_none(&found));
}

Test(leftovers, replaced_descriptor_is_seen_though_the_count_is_the_same)
{
        int kept = open("/dev/null", O_RDONLY);

        forget();
        look();
        close(kept);
        cr_assert_eq(open("/dev/zero", O_RDONLY), kept);
        compare();
        cr_assert_eq(found.descriptors.before, found.descriptors.after);
        cr_assert_eq(found.descriptors.extra, 1);
        cr_assert_not_null(strstr(found.descriptors.first, "/dev/zero"));
}

Test(leftovers, descriptor_closed_meanwhile_is_nothing_left)
{
        int fd = open("/dev/null", O_RDONLY);

        forget();
        look();
        close(fd);
        compare();
        cr_assert(leftovers_none(&found));
}

static void *wait_for_end(void *arg)
{
        sem_wait(arg);
        return NULL;
}

Test(leftovers, running_thread_is_seen_until_it_ends)
{
        pthread_t thread;
        sem_t end;

        sem_init(&end, 0, 0);
        cr_assert_eq(pthread_create(&thread, NULL, wait_for_end, &end), 0);
        compare();
        cr_assert_eq(found.threads.extra, 1);
        cr_assert_not(leftovers_none(&found));
        sem_post(&end);
        pthread_join(thread, NULL);
        settle();
        cr_assert_eq(found.threads.extra, 0);
}

Test(leftovers, child_is_seen_whatever_signal_it_ends_with)
{
        /* As clone() for a child that no wait() without __WALL sees: such a one is nobody's business but its
         * maker's, and must be given back as any other. */
        pid_t child = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);

        cr_assert_geq(child, 0);
        while (child == 0)
                pause();
        compare();
        cr_assert_eq(found.children.extra, 1);
        cr_assert_not(leftovers_none(&found));
        kill(child, SIGKILL);
        cr_assert_eq(waitpid(child, NULL, __WALL), child);
        compare();
        cr_assert(leftovers_none(&found));
}

Test(leftovers, name_in_shared_memory_is_seen)
{
        char name[64], wanted[96];
        int fd;

        snprintf(name, sizeof(name), "/ouro.%d", getpid());
        snprintf(wanted, sizeof(wanted), "/dev/shm%s", name);
        fd = shm_open(name, O_CREAT | O_RDWR, 0600);
        cr_assert_geq(fd, 0);
        close(fd);
        compare();
        shm_unlink(name);
        cr_assert_eq(found.names.extra, 1);
        cr_assert_str_eq(found.names.first, wanted);
        compare();
        cr_assert(leftovers_none(&found));
}

Test(leftovers, directory_of_somebody_at_work_is_passed_over)
{
        char name[64];

        snprintf(name, sizeof(name), "/dev/shm/ouro-at-work-%d", getpid());
        cr_assert_eq(mkdir(name, 0700), 0);
        compare();
        rmdir(name);
        cr_assert(leftovers_none(&found));
}

Test(leftovers, second_mapping_of_one_file_is_seen)
{
        int fd = memfd_create("twice", MFD_CLOEXEC);
        void *first, *second;

        cr_assert_eq(ftruncate(fd, 4096), 0);
        first = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        forget();
        look();
        second = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
        compare();
        cr_assert_eq(found.mappings.extra, 1);
        cr_assert_not_null(strstr(found.mappings.first, "memfd:twice"));
        munmap(second, 4096);
        compare();
        cr_assert(leftovers_none(&found));
        munmap(first, 4096);
        close(fd);
}

Test(leftovers, anonymous_mapping_is_seen_and_the_allocator_is_not)
{
        size_t len = 1 << 20;
        void *mapped, *volatile allocated;

        if (!before.anonymous_known)
                cr_skip_test("this allocator does not tell what it maps");
        allocated = malloc((size_t)64 << 20);
        memset(allocated, 1, (size_t)64 << 20);
        compare();
        cr_assert(leftovers_none(&found), "%ld bytes", (long)found.anonymous_after_bytes);
        mapped = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        compare();
        cr_assert_not(leftovers_none(&found));
        cr_assert_eq(found.anonymous_after_bytes - found.anonymous_before_bytes, (int64_t)len);
        munmap(mapped, len);
        free(allocated);
        compare();
        cr_assert(leftovers_none(&found));
}

static void *touch_memory(void *arg)
{
        void *volatile memory = malloc(100000);

        free(memory);
        return arg;
}

Test(leftovers, stacks_of_ended_threads_do_not_count)
{
        pthread_t threads[8];

        for (unsigned i = 0; i < 8; i++)
                cr_assert_eq(pthread_create(&threads[i], NULL, touch_memory, NULL), 0);
        for (unsigned i = 0; i < 8; i++)
                pthread_join(threads[i], NULL);
        settle();
        cr_assert(leftovers_none(&found), "%ld before, %ld after", (long)found.anonymous_before_bytes,
                  (long)found.anonymous_after_bytes);
}
