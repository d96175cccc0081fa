/* floors.c - what no pool can beat: two processes that wake each other, and one copy.
 *
 *   floor_spinning ns=..   there and back by a word in shared memory, both spin
 *   floor_futex ns=..      there and back by a futex, both sleep
 *   floor_pipe ns=..       there and back by a byte in a pipe
 *   floor_memcpy ns=..     1 MiB copied to memory that is not in the cache, all pages there */
#include "bench.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        ROUNDS = 11,
        ROUND_TRIPS = 2000,
        SPAN_BYTES = 1 << 20,
        SPANS = 128,
        TOLD_TO_END = -1,
};

/* Each word is written by one of the two: the number of the trip, or TOLD_TO_END. */
static struct shared {
        _Atomic int there;
        char apart[124];
        _Atomic int back;
} * shared;

static int there_pipe[2], back_pipe[2];

enum way { SPINNING, FUTEX, PIPE };

static void say(enum way way, _Atomic int *word, const int *pipe_ends, int trip)
{
        if (way == PIPE) {
                if (write(pipe_ends[1], &trip, sizeof(trip)) != sizeof(trip))
                        bench_die("write");
                return;
        }
        atomic_store_explicit(word, trip, memory_order_release);
        if (way == FUTEX)
                syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int hear(enum way way, _Atomic int *word, const int *pipe_ends, int last)
{
        int trip = last;

        if (way == PIPE && read(pipe_ends[0], &trip, sizeof(trip)) != sizeof(trip))
                bench_die("read");
        while (way != PIPE && (trip = atomic_load_explicit(word, memory_order_acquire)) == last) {
                if (way == FUTEX)
                        syscall(SYS_futex, word, FUTEX_WAIT, last, NULL, NULL, 0);
        }
        return trip;
}

static _Noreturn void answer(enum way way)
{
        int trip = 0;

        while ((trip = hear(way, &shared->there, there_pipe, trip)) != TOLD_TO_END)
                say(way, &shared->back, back_pipe, trip);
        _exit(0);
}

static double go(enum way way, int *inout_trip)
{
        int64_t start_ns = bench_now_ns();

        for (int i = 0; i < ROUND_TRIPS; i++) {
                int last = (*inout_trip)++;

                say(way, &shared->there, there_pipe, *inout_trip);
                if (hear(way, &shared->back, back_pipe, last) != *inout_trip)
                        bench_die("the wrong answer");
        }
        return (double)(bench_now_ns() - start_ns) / ROUND_TRIPS;
}

static void print(const char *name, double *ns, int rounds)
{
        printf("%s ns=%.1f rounds=%d\n", name, bench_median(ns, (size_t)rounds), rounds);
        fflush(stdout);
}

static void measure_trips(const char *name, enum way way, int rounds)
{
        double ns[BENCH_ROUNDS_MAX];
        pid_t child, parent = getpid();
        int trip = 0;

        atomic_store(&shared->there, 0);
        atomic_store(&shared->back, 0);
        child = fork();
        if (child < 0)
                bench_die("fork");
        if (child == 0) {
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                        _exit(1);
                answer(way);
        }
        for (int i = 0; i < rounds; i++)
                ns[i] = go(way, &trip);
        say(way, &shared->there, there_pipe, TOLD_TO_END);
        if (waitpid(child, NULL, 0) < 0)
                bench_die("waitpid");
        print(name, ns, rounds);
}

static void measure_copies(int rounds)
{
        char *from = bench_map((size_t)SPANS * SPAN_BYTES), *to = bench_map((size_t)SPANS * SPAN_BYTES);
        double ns[BENCH_ROUNDS_MAX];

        memset(from, 1, (size_t)SPANS * SPAN_BYTES);
        memset(to, 2, (size_t)SPANS * SPAN_BYTES);
        for (int i = 0; i < rounds; i++) {
                int64_t start_ns = bench_now_ns();

                for (size_t at = 0; at < (size_t)SPANS * SPAN_BYTES; at += SPAN_BYTES)
                        memcpy(to + at, from + at, SPAN_BYTES);
                __asm__ volatile("" : : "r"(to) : "memory"); /* not to be left out */
                ns[i] = (double)(bench_now_ns() - start_ns) / SPANS;
        }
        print("floor_memcpy", ns, rounds);
}

int main(int argc, char **argv)
{
        struct bench_options options = {.rounds = ROUNDS};

        bench_parse(argc, argv, &options);
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED || pipe(there_pipe) < 0 || pipe(back_pipe) < 0)
                bench_die("shared memory and pipes");
        measure_trips("floor_spinning", SPINNING, options.rounds);
        measure_trips("floor_futex", FUTEX, options.rounds);
        measure_trips("floor_pipe", PIPE, options.rounds);
        measure_copies(options.rounds);
        return 0;
}
