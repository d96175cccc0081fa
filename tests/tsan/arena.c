/* arena.c - spans of a process pool's arena, taken, given to jobs and freed by several loops at a time. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <ouro.h>

#include "tsan/runner.h"

enum { LOOPS = 3, ROUNDS = 60, SPANS = 8, WORKERS = 2 };

static ouro_executor *pool;
static bool per_worker;

static void open_pool(size_t arena_bytes)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;

        options.workers = WORKERS;
        options.arena_bytes = arena_bytes;
        options.arena_per_worker = per_worker;
        options.message_bytes = 1 << 20;
        expect(ouro_process_pool_open(&options, &pool) == 0);
}

/* In place; neither the job nor its result says where. */
static intptr_t negate(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        unsigned char *bytes = out.base;

        (void)job, (void)in;
        for (size_t i = 0; i < out.len; i++)
                bytes[i] = (unsigned char)~bytes[i];
        return 0;
}

static int take(unsigned i, size_t bytes, void **ret_span)
{
        return per_worker ? ouro_arena_alloc_for(pool, i % WORKERS, bytes, ret_span)
                          : ouro_arena_alloc(pool, bytes, ret_span);
}

static intptr_t edits_in_place(void *arg)
{
        ouro_task tasks[SPANS];
        void *spans[SPANS];

        for (unsigned round = 0; round < ROUNDS; round++) {
                size_t len = 1 + (size_t)round * 997 % 20000;

                for (unsigned i = 0; i < SPANS; i++) {
                        expect(take(i, len, &spans[i]) == 0);
                        memset(spans[i], (int)(round + i), len);
                        tasks[i] = ouro_submit(pool, negate, OURO_NO_IN, ouro_out(spans[i], len));
                }
                expect(ouro_gather(tasks, SPANS, NULL) == 0);
                for (unsigned i = 0; i < SPANS; i++) {
                        const unsigned char *bytes = spans[i];

                        expect(bytes[0] == (unsigned char)~(round + i) && bytes[len - 1] == bytes[0]);
                        expect(ouro_arena_free(pool, spans[i]) == 0);
                }
        }
        return arg != NULL;
}

static void *run_one_loop(void *unused)
{
        return (void *)ouro_run(edits_in_place, unused);
}

static void run_loops(void)
{
        pthread_t threads[LOOPS];
        void *result;

        for (int i = 0; i < LOOPS; i++)
                expect(pthread_create(&threads[i], NULL, run_one_loop, NULL) == 0);
        for (int i = 0; i < LOOPS; i++)
                expect(pthread_join(threads[i], &result) == 0 && !result);
        expect(ouro_executor_close(pool) == 0);
}

CASE(loops_share_an_arena)
{
        open_pool(64 << 20);
        run_loops();
}

CASE(loops_share_arenas_of_single_workers)
{
        per_worker = true;
        open_pool(16 << 20);
        run_loops();
}

/* At the addresses that a pool had, another one's memory is no older one's. */
CASE(pools_come_and_go_at_one_address)
{
        for (int i = 0; i < 3; i++) {
                open_pool(0);
                run_loops();
        }
}
