/* Of lib/sync/select_wait.c: descriptors among the cases. Their polls are over when select returns. */
#include "support/in_loop.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(select_ready, .init = leaks_begin, .fini = leaks_end);

static int fds[2];

static intptr_t writes_later(void *unused)
{
        (void)unused;
        EQ(ouro_sleep(OURO_MS(1)), 0);
        EQ(write(fds[1], "x", 1), 1);
        return 0;
}

IN_LOOP(select_ready, descriptor_that_is_ready_is_done_at_once)
{
        struct ouro_case cases[] = {OURO_CASE_READY(0, POLLIN), OURO_CASE_AFTER(OURO_SEC(100))};

        unix_pair(fds);
        cases[0] = OURO_CASE_READY(fds[0], POLLIN | POLLOUT);
        EQ(ouro_select(cases, 2), 0);
        EQ(cases[0].result & (POLLIN | POLLOUT), POLLOUT);
        EQ(write(fds[1], "x", 1), 1);
        EQ(ouro_try_select(cases, 2), 0);
        EQ(cases[0].result & (POLLIN | POLLOUT), POLLIN | POLLOUT);
        cases[0] = OURO_CASE_READY(fds[0], POLLIN);
        EQ(read(fds[0], &(char){0}, 1), 1);
        EQ(ouro_try_select(cases, 2), -EAGAIN);
        close_both(fds);
        return 0;
}

IN_LOOP(select_ready, waits_for_a_descriptor)
{
        int quiet[2];

        unix_pair(fds);
        unix_pair(quiet);

        struct ouro_case cases[] = {OURO_CASE_READY(quiet[0], POLLIN), OURO_CASE_READY(fds[0], POLLIN),
                                    OURO_CASE_READY(quiet[1], POLLIN), OURO_CASE_AFTER(OURO_SEC(100))};

        for (int i = 0; i < 50; i++) {
                ouro_task task = ouro_create_task(writes_later, NULL);
                char item;

                EQ(ouro_select(cases, 4), 1);
                cr_assert(cases[1].result & POLLIN);
                EQ(ouro_recv(fds[0], &item, 1, 0), 1);
                EQ(ouro_await(task), 0);
        }
        /* The polls of the losers are gone: nothing of them is in the way. */
        EQ(write(quiet[1], "q", 1), 1);
        EQ(ouro_select(cases, 4), 0);
        EQ(ouro_close(quiet[0]), 0);
        EQ(ouro_close(quiet[1]), 0);
        close_both(fds);
        return 0;
}

IN_LOOP(select_ready, descriptor_that_lost_keeps_its_data)
{
        ouro_chan *chan = ouro_chan_new(1, 0);
        char item = '-';

        unix_pair(fds);
        for (int i = 0; i < 50; i++) {
                struct ouro_case cases[] = {OURO_CASE_READY(fds[0], POLLIN), OURO_CASE_RECV(chan, &item),
                                            OURO_CASE_AFTER(OURO_US(i))};
                ssize_t done = ouro_select(cases, 3);

                cr_assert(done == 2);
                EQ(write(fds[1], "x", 1), 1);
                EQ(ouro_select(cases, 2), 0);
                EQ(ouro_recv(fds[0], &item, 1, 0), 1);
        }
        EQ(ouro_chan_free(chan), 0);
        close_both(fds);
        return 0;
}

static intptr_t selects(void *chan)
{
        char item;
        struct ouro_case cases[] = {OURO_CASE_RECV(chan, &item), OURO_CASE_READY(fds[0], POLLIN),
                                    OURO_CASE_READY(fds[0], POLLIN | POLLPRI)};
        ssize_t i = ouro_select(cases, 3);

        return i < 0 ? i : i == 0 ? 0 : cases[i].result;
}

static ouro_task waiting(ouro_chan *chan)
{
        ouro_task task = ouro_create_task(selects, chan);

        EQ(ouro_yield(), 0);
        EQ(ouro_task_state(task), OURO_STATE_WAITING);
        return task;
}

IN_LOOP(select_ready, cancelled_it_returns_after_its_polls_have_ended)
{
        ouro_chan *chan = ouro_chan_new(1, 0);

        unix_pair(fds);
        for (int i = 0; i < 50; i++) {
                ouro_task task = waiting(chan);

                if (i % 2)
                        EQ(ouro_sleep(OURO_US(10)), 0); /* the kernel has them by now */
                EQ(ouro_cancel(task), 0);
                EQ(ouro_await(task), -ECANCELED);
        }
        EQ(ouro_chan_free(chan), 0);
        close_both(fds);
        return 0;
}

IN_LOOP(select_ready, item_beats_the_descriptor_and_the_cancel)
{
        ouro_chan *chan = ouro_chan_new(1, 0);

        unix_pair(fds);
        for (int i = 0; i < 50; i++) {
                ouro_task task = waiting(chan);

                if (i % 2)
                        EQ(ouro_sleep(OURO_US(10)), 0);
                EQ(ouro_chan_try_send(chan, "x"), 0);
                EQ(write(fds[1], "x", 1), 1);
                EQ(ouro_cancel(task), 0);
                EQ(ouro_await(task), 0);
                EQ(read(fds[0], &(char){0}, 1), 1);
        }
        EQ(ouro_chan_free(chan), 0);
        close_both(fds);
        return 0;
}

IN_LOOP(select_ready, closing_the_descriptor_ends_the_case)
{
        ouro_chan *chan = ouro_chan_new(1, 0);
        ouro_task task;

        unix_pair(fds);
        task = waiting(chan);
        EQ(ouro_sleep(OURO_US(10)), 0);
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_await(task), -EBADF);
        EQ(ouro_chan_free(chan), 0);
        close(fds[1]);
        return 0;
}

IN_LOOP(select_ready, no_such_descriptor_is_a_case_that_failed)
{
        struct ouro_case cases[] = {OURO_CASE_READY(no_such_fd(), POLLIN)};

        EQ(ouro_select(cases, 1), 0);
        EQ(cases[0].result, -EBADF);
        return 0;
}

IN_LOOP(select_ready, hangup_is_told)
{
        struct ouro_case cases[2];

        unix_pair(fds);
        cases[0] = OURO_CASE_READY(fds[0], POLLIN);
        cases[1] = OURO_CASE_AFTER(OURO_SEC(100));
        close(fds[1]);
        EQ(ouro_select(cases, 2), 0);
        cr_assert(cases[0].result & POLLHUP);
        close(fds[0]);
        return 0;
}

IN_LOOP(select_ready, many_at_once)
{
        enum { MANY = 100 };
        struct ouro_case cases[MANY];
        int pairs[MANY][2];

        for (int i = 0; i < MANY; i++) {
                unix_pair(pairs[i]);
                cases[i] = OURO_CASE_READY(pairs[i][0], POLLIN);
        }
        for (int i = 0; i < MANY; i += 7) {
                char item;

                memcpy(fds, pairs[i], sizeof fds);
                ouro_go(writes_later, NULL);
                EQ(ouro_select(cases, MANY), i);
                EQ(read(pairs[i][0], &item, 1), 1);
        }
        for (int i = 0; i < MANY; i++)
                close_both(pairs[i]);
        return 0;
}
