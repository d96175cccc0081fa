/* Of lib/io/file_lock.c: locks on files, waited for on the loop's clock. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "support/in_loop.h"
#include "support/run.h"
#include "support/temp_dir.h"

TestSuite(file_lock, .init = temp_begin, .fini = temp_end);

static int opened(void)
{
        int fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

        cr_assert(fd >= 0);
        return fd;
}

IN_LOOP(file_lock, whole_files_are_shared_or_had_alone)
{
        int a = opened(), b = opened();

        EQ(ouro_lock_file(a, OURO_LOCK_SHARED), 0);
        EQ(ouro_try_lock_file(b, OURO_LOCK_SHARED), 0);
        EQ(ouro_try_lock_file(b, OURO_LOCK_EXCLUSIVE), -EAGAIN);
        EQ(ouro_unlock_file(a), 0);
        EQ(ouro_lock_file(b, OURO_LOCK_EXCLUSIVE), 0);
        EQ(ouro_try_lock_file(a, OURO_LOCK_SHARED), -EAGAIN);
        EQ(flock(a, LOCK_SH | LOCK_NB), -1); /* it is what others call by that name */
        EQ(ouro_unlock_file(b), 0);
        EQ(ouro_unlock_file(b), 0);
        close(a);
        close(b);
        return 0;
}

IN_LOOP(file_lock, ranges_exclude_each_other_where_they_overlap)
{
        int a = opened(), b = opened();

        EQ(ouro_lock_range(a, OURO_LOCK_EXCLUSIVE, 0, 100), 0);
        EQ(ouro_try_lock_range(b, OURO_LOCK_EXCLUSIVE, 100, 0), 0);
        EQ(ouro_try_lock_range(b, OURO_LOCK_SHARED, 99, 1), -EAGAIN);
        EQ(ouro_try_lock_range(a, OURO_LOCK_SHARED, 1 << 20, 1), -EAGAIN);
        EQ(ouro_unlock_range(a, 50, 50), 0);
        EQ(ouro_lock_range(b, OURO_LOCK_SHARED, 99, 1), 0);
        EQ(ouro_try_lock_range(b, OURO_LOCK_SHARED, 49, 1), -EAGAIN);
        EQ(ouro_unlock_range(b, 0, 0), 0);
        EQ(ouro_lock_range(a, OURO_LOCK_SHARED, 0, 0), 0);
        EQ(ouro_try_lock_range(b, OURO_LOCK_SHARED, 0, 0), 0);
        close(a);
        close(b);
        return 0;
}

struct wish {
        int fd, result;
        bool range;
};

static intptr_t locks(void *arg)
{
        struct wish *wish = arg;

        wish->result = 1;
        wish->result = wish->range ? ouro_lock_range(wish->fd, OURO_LOCK_EXCLUSIVE, 0, 10)
                                   : ouro_lock_file(wish->fd, OURO_LOCK_EXCLUSIVE);
        return wish->result;
}

IN_LOOP(file_lock, who_waits_gets_it_when_it_is_given_back)
{
        for (int range = 0; range < 2; range++) {
                int a = opened();
                struct wish wish = {.fd = opened(), .range = range};
                ouro_task task;

                EQ(range ? ouro_lock_range(a, OURO_LOCK_EXCLUSIVE, 5, 1)
                         : ouro_lock_file(a, OURO_LOCK_SHARED),
                   0);
                task = ouro_create_task(locks, &wish);
                ouro_sleep(OURO_MS(20));
                EQ(wish.result, 1);
                EQ(range ? ouro_unlock_range(a, 0, 0) : ouro_unlock_file(a), 0);
                EQ(ouro_await(task), 0);
                EQ(range ? ouro_try_lock_range(a, OURO_LOCK_SHARED, 5, 1)
                         : ouro_try_lock_file(a, OURO_LOCK_SHARED),
                   -EAGAIN);
                close(a);
                close(wish.fd);
        }
        return 0;
}

IN_LOOP(file_lock, the_wait_ends_with_its_scope_or_its_task_and_nothing_is_locked)
{
        int a = opened();
        struct wish wish = {.fd = opened()};
        ouro_task task;
        bool expired = false;

        EQ(ouro_lock_file(a, OURO_LOCK_EXCLUSIVE), 0);
        OURO_TIMEOUT(OURO_MS(30), &expired) {
                EQ(ouro_lock_file(wish.fd, OURO_LOCK_SHARED), -ETIME);
        }
        cr_assert(expired);
        for (int turns = 0; turns < 10; turns++) {
                task = ouro_create_task(locks, &wish);
                for (int i = 0; i < turns; i++)
                        ouro_yield();
                ouro_cancel(task);
                EQ(ouro_await(task), -ECANCELED);
        }
        EQ(ouro_unlock_file(a), 0);
        EQ(ouro_try_lock_file(a, OURO_LOCK_EXCLUSIVE), 0);
        close(a);
        close(wish.fd);
        return 0;
}

IN_LOOP(file_lock, f19_closing_the_descriptor_ends_the_wait_whatever_gets_its_number)
{
        int a = opened(), other;
        struct wish wish = {.fd = opened()};
        ouro_task task;

        EQ(ouro_lock_file(a, OURO_LOCK_EXCLUSIVE), 0);
        task = ouro_create_task(locks, &wish);
        ouro_sleep(OURO_MS(5));
        EQ(ouro_close(wish.fd), 0);
        other = open("other", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        EQ(ouro_await(task), -EBADF);
        EQ(ouro_unlock_file(a), 0);
        EQ(ouro_try_lock_file(a, OURO_LOCK_EXCLUSIVE), 0);
        close(a);
        close(other);
        return 0;
}

IN_LOOP(file_lock, forty_who_wait_hold_no_threads_and_all_get_their_turn)
{
        enum { WAITERS = 40 };
        struct wish wishes[WAITERS];
        ouro_task tasks[WAITERS];
        int a = opened();

        EQ(ouro_lock_file(a, OURO_LOCK_EXCLUSIVE), 0);
        for (int i = 0; i < WAITERS; i++) {
                wishes[i] = (struct wish){.fd = opened()};
                tasks[i] = ouro_create_task(locks, &wishes[i]);
        }
        ouro_sleep(OURO_MS(10));
        EQ(ouro_unlock_file(a), 0);
        for (int left = WAITERS; left > 0;) {
                for (int i = 0; i < WAITERS; i++)
                        if (wishes[i].fd >= 0 && wishes[i].result == 0) {
                                EQ(ouro_await(tasks[i]), 0);
                                close(wishes[i].fd);
                                wishes[i].fd = -1;
                                left--;
                        }
                ouro_sleep(OURO_MS(1));
        }
        close(a);
        return 0;
}

RUN_VIRTUAL(file_lock, waiting_takes_the_loops_time)
{
        int a = opened(), b = opened();
        int64_t before = ouro_now();

        EQ(ouro_lock_file(a, OURO_LOCK_EXCLUSIVE), 0);
        OURO_TIMEOUT(OURO_SEC(60)) {
                EQ(ouro_lock_file(b, OURO_LOCK_EXCLUSIVE), -ETIME);
        }
        cr_assert(ouro_now() - before >= OURO_SEC(60));
        close(a);
        close(b);
}

IN_LOOP(file_lock, mistakes_have_their_errno)
{
        int fd = opened(), reader = open("f", O_RDONLY | O_CLOEXEC);

        EQ(ouro_lock_file(fd, 0), -EINVAL);
        EQ(ouro_lock_file(fd, 3), -EINVAL);
        EQ(ouro_lock_file(-1, OURO_LOCK_SHARED), -EBADF);
        EQ(ouro_lock_file(no_such_fd(), OURO_LOCK_SHARED), -EBADF);
        EQ(ouro_unlock_file(no_such_fd()), -EBADF);
        EQ(ouro_lock_range(fd, OURO_LOCK_SHARED, -1, 1), -EINVAL);
        EQ(ouro_lock_range(fd, OURO_LOCK_SHARED, 1, -1), -EINVAL);
        EQ(ouro_try_lock_range(fd, 9, 0, 1), -EINVAL);
        EQ(ouro_unlock_range(fd, -1, 1), -EINVAL);
        EQ(ouro_lock_range(reader, OURO_LOCK_EXCLUSIVE, 0, 1), -EBADF);
        close(fd);
        close(reader);
        return 0;
}

Test(file_lock, outside_a_loop_only_what_does_not_wait_is_allowed)
{
        int fd = opened();

        EQ(ouro_lock_file(fd, OURO_LOCK_SHARED), -EPERM);
        EQ(ouro_lock_range(fd, OURO_LOCK_SHARED, 0, 1), -EPERM);
        EQ(ouro_try_lock_file(fd, OURO_LOCK_SHARED), 0);
        EQ(ouro_unlock_file(fd), 0);
        close(fd);
}
