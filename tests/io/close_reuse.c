/* Of ouro_close(): a number that the kernel has given out anew belongs to whoever got it. */
#include <criterion/criterion.h>
#include <poll.h>
#include <sys/socket.h>

#include <ouro.h>

enum {
        ROUNDS = 200,
        TRIES = 100,
};

static intptr_t close_it(void *fd)
{
        return ouro_close((int)(intptr_t)fd);
}

/* Opens descriptors, without waiting for the other task, until one has the number of the closed one. */
static intptr_t take_its_number(void *arg)
{
        int wanted = (int)(intptr_t)arg;

        for (unsigned i = 0; i < TRIES; i++) {
                int fd = ouro_socket(AF_UNIX, SOCK_DGRAM, 0);

                cr_assert_geq(fd, 0);
                if (fd == wanted)
                        cr_assert_gt(ouro_poll(fd, POLLOUT), 0);
                cr_assert_eq(ouro_close(fd), 0);
                if (fd == wanted)
                        return 1;
                ouro_yield();
        }
        return 0;
}

static intptr_t close_and_reopen(void *arg)
{
        unsigned taken = 0;

        (void)arg;
        for (unsigned i = 0; i < ROUNDS; i++) {
                int fd = ouro_socket(AF_UNIX, SOCK_DGRAM, 0);
                intptr_t results[2];
                ouro_task both[2];

                both[0] = ouro_create_task(take_its_number, (void *)(intptr_t)fd);
                both[1] = ouro_create_task(close_it, (void *)(intptr_t)fd);
                cr_assert_eq(ouro_gather(both, 2, results), 0);
                taken += results[0] == 1;
        }
        return taken;
}

Test(close, number_of_a_closed_descriptor_can_be_used_at_once)
{
        cr_assert_eq(ouro_run(close_and_reopen, NULL), ROUNDS);
}
