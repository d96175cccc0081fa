/* fair.c - peers of one loop: who is fast does not keep the others from being served. */
#include <errno.h>

#include <ouro.h>

#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(fair, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

enum { SLOW_PEERS = 8, ROUNDS = 300, BLOCK = 256 * 1024 };

static intptr_t floods(void *arg)
{
        static char block[BLOCK];
        const int *fd = arg;
        ssize_t sent;

        while ((sent = ouro_send(*fd, block, sizeof block, 0)) > 0)
                ;
        return sent;
}

static intptr_t swallows(void *arg)
{
        static char block[BLOCK];
        const int *fd = arg;
        ssize_t received;

        while ((received = ouro_recv(*fd, block, sizeof block, 0)) > 0)
                ;
        return received;
}

static intptr_t echoes(void *arg)
{
        const int *fd = arg;
        char byte;
        ssize_t n;

        while ((n = ouro_recv(*fd, &byte, 1, 0)) > 0)
                if ((n = ouro_send(*fd, &byte, 1, 0)) < 0)
                        break;
        return n;
}

static intptr_t asks(void *arg)
{
        const int *fd = arg;

        for (int i = 0; i < ROUNDS; i++) {
                char byte = (char)i, answer = 0;

                EQ(ouro_send(*fd, &byte, 1, 0), 1);
                EQ(ouro_recv(*fd, &answer, 1, 0), 1);
                EQ(answer, byte);
        }
        EQ(ouro_shutdown(*fd, SHUT_WR), 0);
        return 0;
}

/* The flood ends only when all others have been served: were they not, this would not end. */
static intptr_t serves_the_slow_beside_a_flood(void (*pair)(int fds[2]))
{
        int slow[SLOW_PEERS][2], fast[2];
        ouro_task tasks[2 * SLOW_PEERS], flood[2];
        intptr_t results[2 * SLOW_PEERS];

        pair(fast);
        flood[0] = ouro_create_task(swallows, &fast[0]);
        flood[1] = ouro_create_task(floods, &fast[1]);
        for (int i = 0; i < SLOW_PEERS; i++) {
                pair(slow[i]);
                tasks[2 * i] = ouro_create_task(echoes, &slow[i][0]);
                tasks[2 * i + 1] = ouro_create_task(asks, &slow[i][1]);
        }
        EQ(ouro_gather(tasks, 2 * SLOW_PEERS, results), 0);
        EQ(ouro_task_state(flood[0]) != OURO_STATE_ENDED && ouro_task_state(flood[1]) != OURO_STATE_ENDED, 1);
        for (int i = 0; i < 2; i++) {
                EQ(ouro_cancel(flood[i]), 0);
                EQ(ouro_await(flood[i]), -ECANCELED);
        }
        for (int i = 0; i < SLOW_PEERS; i++)
                close_both(slow[i]);
        close_both(fast);
        return 0;
}

IN_LOOP(fair, f37_one_fast_peer_over_tcp_does_not_starve_the_others)
{
        return serves_the_slow_beside_a_flood(tcp_pair);
}

IN_LOOP(fair, f37_one_fast_peer_over_unix_sockets_does_not_starve_the_others)
{
        return serves_the_slow_beside_a_flood(unix_pair);
}
