/* Of ouro_close(): a number that the kernel has given out anew belongs to whoever got it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <ouro.h>

enum {
        ROUNDS = 20,
        TRIES = 10000,
        LOOKS = 1000,
};

static intptr_t close_it(void *fd)
{
        return ouro_close((int)(intptr_t)fd);
}

static int new_socket(void)
{
        int fd = ouro_socket(AF_UNIX, SOCK_DGRAM, 0);

        cr_assert_geq(fd, 0);
        return fd;
}

/* Looks for a while, so that a thread may close it while no task and no completion gets a turn. */
static bool becomes_free(int fd)
{
        for (unsigned i = 0; i < LOOKS; i++)
                if (fcntl(fd, F_GETFD) < 0)
                        return true;
        return false;
}

/* Never waits for the closer. Once the number is free, it is the lowest one. */
static intptr_t take_its_number(void *arg)
{
        int wanted = (int)(intptr_t)arg, fd;

        for (unsigned i = 0; i < TRIES && !becomes_free(wanted); i++)
                ouro_yield();
        fd = new_socket();
        cr_assert_eq(fd, wanted);
        cr_assert_gt(ouro_poll(fd, POLLOUT), 0);
        cr_assert_eq(ouro_close(fd), 0);
        return 0;
}

/* A file that has been written may be slow to close, and so another thread may do it. */
static int new_file(void)
{
        int fd = memfd_create("close_reuse", MFD_CLOEXEC);

        cr_assert_geq(fd, 0);
        return fd;
}

static intptr_t close_and_reopen(void *arg)
{
        (void)arg;
        for (unsigned i = 0; i < ROUNDS; i++) {
                int fd = new_file();
                ouro_task both[2];

                both[0] = ouro_create_task(close_it, (void *)(intptr_t)fd);
                both[1] = ouro_create_task(take_its_number, (void *)(intptr_t)fd);
                cr_assert_eq(ouro_gather(both, 2, NULL), 0);
        }
        return 0;
}

Test(close, number_of_a_closed_descriptor_can_be_used_at_once)
{
        cr_assert_eq(ouro_run(close_and_reopen, NULL), 0);
}

/* What the tasks below hand on to each other, all in one pass of the loop where a thread closes. */
struct heir {
        int file;
        int socket; /* or -1: its number was not the file's */
};

static intptr_t close_file(void *arg)
{
        return ouro_close(((struct heir *)arg)->file);
}

static intptr_t inherit_number(void *arg)
{
        struct heir *heir = arg;

        if (becomes_free(heir->file))
                heir->socket = new_socket();
        return 0;
}

static intptr_t receive(void *arg)
{
        const struct heir *heir = arg;
        char byte;

        return heir->socket < 0 ? -EBADF : ouro_recv(heir->socket, &byte, 1, 0);
}

static intptr_t close_socket(void *arg)
{
        const struct heir *heir = arg;

        return heir->socket < 0 ? 0 : ouro_close(heir->socket);
}

static intptr_t close_both(void *arg)
{
        (void)arg;
        for (unsigned i = 0; i < ROUNDS; i++) {
                struct heir heir = {.file = new_file(), .socket = -1};
                intptr_t results[4];
                ouro_task tasks[4];

                tasks[0] = ouro_create_task(close_file, &heir);
                tasks[1] = ouro_create_task(inherit_number, &heir);
                tasks[2] = ouro_create_task(receive, &heir);
                tasks[3] = ouro_create_task(close_socket, &heir);
                cr_assert_eq(ouro_gather(tasks, 4, results), -EBADF);
                cr_assert_eq(results[0], 0);
                cr_assert_eq(results[2], -EBADF);
                cr_assert_eq(results[3], 0);
        }
        return 0;
}

Test(close, completion_of_a_close_does_not_reach_the_number_s_next_owner, .timeout = 30)
{
        cr_assert_eq(ouro_run(close_both, NULL), 0);
}
