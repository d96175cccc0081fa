/* What a worker writes is kept, up to a limit, however the worker ends, and never told twice. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "executors/output.h"
#include "support/in_loop.h"
#include "support/leaks.h"

enum { MOST = 10000 };

static int fd;

static void begin(void)
{
        leaks_begin();
        EQ(output_create(MOST, &fd), 0);
}

static void end(void)
{
        EQ(close(fd), 0);
        leaks_end();
}

TestSuite(output, .init = begin, .fini = end);

static void write_text(const char *text)
{
        EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void check_taken(const char *wanted)
{
        char *text = (char *)-1;
        size_t bytes = 77;

        EQ(output_take(fd, MOST, &text, &bytes), 0);
        if (*wanted) {
                cr_assert_str_eq(text, wanted);
                EQ(bytes, strlen(wanted));
                mem_free(text, bytes + 1);
        } else {
                cr_assert_null(text);
                EQ(bytes, 0);
        }
}

Test(output, what_was_written_is_taken_once)
{
        check_taken("");
        write_text("one\n");
        write_text("two\n");
        check_taken("one\ntwo\n");
        check_taken("");
        write_text("3");
        check_taken("3");
        write_text("nobody reads this");
        output_drop(fd, MOST);
        check_taken("");
}

Test(output, both_streams_of_a_child_keep_their_order_and_what_came_before_its_death_is_there)
{
        pid_t child = fork();
        int status;

        if (child == 0) {
                dup2(fd, 1);
                dup2(fd, 2);
                if (write(1, "a", 1) == 1 && write(2, "b", 1) == 1 && write(1, "c", 1) == 1)
                        raise(SIGKILL);
                _exit(1);
        }
        EQ(waitpid(child, &status, 0), child);
        EQ(WIFSIGNALED(status), true);
        check_taken("abc");
}

Test(output, no_more_is_kept_than_was_agreed)
{
        char buf[6000], *text;
        size_t bytes;
        struct stat stat;

        memset(buf, 'x', sizeof buf);
        EQ(write(fd, buf, sizeof buf), sizeof buf);
        EQ(write(fd, buf, 4000), 4000);
        EQ(write(fd, "y", 1), -1);
        EQ(errno, EPERM);
        EQ(pwrite(fd, "y", 1, MOST), -1);
        EQ(ftruncate(fd, MOST + 1), -1);
        EQ(fallocate(fd, 0, 0, 2 * MOST), -1);
        EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1); /* nor can it be spoiled for those to come */
        EQ(output_take(fd, MOST, &text, &bytes), 0);
        EQ(bytes, MOST);
        EQ(text[MOST - 1], 'x');
        mem_free(text, bytes + 1);
        EQ(fstat(fd, &stat), 0);
        cr_assert(stat.st_blocks * 512 <= sysconf(_SC_PAGESIZE)); /* what was taken takes no memory */
        write_text("again");
        check_taken("again");
}

Test(output, f85_a_position_that_cannot_be_is_no_harm)
{
        char *text;
        size_t bytes;

        write_text("secret of the last job");
        output_drop(fd, MOST);
        cr_assert(lseek(fd, INT64_MAX, SEEK_SET) > 0 || lseek(fd, 1l << 40, SEEK_SET) > 0);
        EQ(output_take(fd, MOST, &text, &bytes), 0);
        EQ(bytes, MOST);
        for (size_t i = 0; i < bytes; i++)
                EQ(text[i], 0);
        mem_free(text, bytes + 1);
        write_text("fine");
        check_taken("fine");
}

static void *no_memory(size_t bytes, void *arg)
{
        (void)bytes, (void)arg;
        return NULL;
}

static void release(void *ptr, size_t bytes, void *arg)
{
        (void)ptr, (void)bytes, (void)arg;
}

Test(output, without_memory_it_stays)
{
        const struct ouro_allocator allocator = {no_memory, release, NULL};
        char *text = NULL;
        size_t bytes = 7;

        write_text("kept");
        EQ(ouro_set_allocator(&allocator), 0);
        EQ(output_take(fd, MOST, &text, &bytes), -ENOMEM);
        EQ(ouro_set_allocator(NULL), 0);
        EQ(bytes, 7);
        cr_assert_null(text);
        check_taken("kept");
}
