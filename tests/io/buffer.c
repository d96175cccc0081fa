/* Of lib/io/buffer.c and lib/ring/fixed.c: registered memory gives the same results. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(buffer, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

enum { LEN = 64 * 1024 };

static char *map(size_t len)
{
        char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        cr_assert_neq(memory, MAP_FAILED);
        return memory;
}

/* Inside, at both ends, and across the end, where it is not registered memory any more. */
static void expect_same_io(char *memory)
{
        int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), pipe_ends[2];

        fill(memory, LEN, 0);
        EQ(ouro_pwrite(file, memory, LEN, 0), LEN);
        memset(memory, 0, LEN);
        EQ(ouro_pread(file, memory, 100, 5), 100);
        cr_assert(filled(memory, 100, 5));
        EQ(ouro_pread(file, memory + LEN - 10, 10, 7), 10);
        cr_assert(filled(memory + LEN - 10, 10, 7));
        EQ(ouro_pread(file, memory + LEN - 10, 20, 9), 20);
        cr_assert(filled(memory + LEN - 10, 20, 9));
        EQ(ouro_read(file, memory, LEN), LEN);
        cr_assert(filled(memory, LEN, 0));
        EQ(ouro_pread(file, memory, 1, LEN), 0);
        EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
        EQ(ouro_write(pipe_ends[1], memory, 1000), 1000);
        EQ(ouro_read(pipe_ends[0], memory + 2000, LEN - 2000), 1000);
        cr_assert(filled(memory + 2000, 1000, 0));
        close(pipe_ends[0]);
        EQ(ouro_write(pipe_ends[1], memory, 1000), -EPIPE);
        close(pipe_ends[1]);
        close(file);
}

static intptr_t same(void *arg)
{
        char *memory = map(2 * LEN);
        int registered = ouro_buffer_register(memory, LEN);

        (void)arg;
        cr_assert(registered == 0 || registered == 1);
        expect_same_io(memory);
        EQ(ouro_buffer_unregister(memory), registered ? 0 : -ENOENT);
        EQ(ouro_buffer_unregister(memory), -ENOENT);
        expect_same_io(memory);
        munmap(memory, 2 * LEN);
        return registered;
}

Test(buffer, registered_memory_gives_the_same_results)
{
        cr_assert(ouro_run(same, NULL) >= 0);
}

Test(buffer, switched_off_nothing_is_registered)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.without = OURO_WITHOUT_FIXED;
        EQ(ouro_run_with(&options, same, NULL), 0);
}

/* One who may lock any amount is not bound by it. */
Test(buffer, f47_little_locked_memory_gives_the_same_results)
{
        const struct rlimit none = {0, 0};

        EQ(setrlimit(RLIMIT_MEMLOCK, &none), 0);
        cr_assert(ouro_run(same, NULL) >= 0);
}

IN_LOOP(buffer, as_many_as_there_are_places_and_more)
{
        enum { MANY = 70 };
        char *memory = map(MANY * 4096);
        int registered = 0;

        for (int i = 0; i < MANY; i++)
                registered += ouro_buffer_register(memory + i * 4096, 4096);
        cr_assert(registered == 64 || registered == 0);
        for (int i = 0; i < MANY; i++)
                registered -= ouro_buffer_unregister(memory + i * 4096) == 0;
        EQ(registered, 0);
        munmap(memory, MANY * 4096);
        return 0;
}

IN_LOOP(buffer, misuse_is_told)
{
        char *memory = map(2 * LEN);

        EQ(ouro_buffer_register(NULL, LEN), -EINVAL);
        EQ(ouro_buffer_register(memory, 0), -EINVAL);
        EQ(ouro_buffer_register(memory, (size_t)2 << 30), -EINVAL);
        EQ(ouro_buffer_unregister(memory), -ENOENT);
        EQ(ouro_buffer_unregister(NULL), -ENOENT);
        if (ouro_buffer_register(memory, LEN) == 1) {
                EQ(ouro_buffer_register(memory + LEN - 1, 2), -EINVAL);
                EQ(munmap(memory + LEN, LEN), 0);
                EQ(ouro_buffer_register(memory + LEN, LEN), -EFAULT);
                EQ(munmap(memory, LEN), 0); /* still registered: the run's end forgets it */
                return 0;
        }
        munmap(memory, 2 * LEN);
        return 0;
}

Test(buffer, outside_a_loop_is_refused)
{
        char byte;

        EQ(ouro_buffer_register(&byte, 1), -EPERM);
        EQ(ouro_buffer_unregister(&byte), -EPERM);
}
