/* Of lib/sync/select.c: whose turn it is where several cases can be done. */
#include <string.h>

#include "support/leaks.h"
#include "support/run.h"

TestSuite(select_turns, .init = leaks_begin, .fini = leaks_end);

enum { CASES = 3, PLACES = 1024, CALLS = 2000 };

static struct ouro_event set = {.is_set = true};

/* All of them could be done. */
static struct ouro_case *ready_cases(void *memory, size_t n)
{
        struct ouro_case *cases = memory;

        for (size_t i = 0; i < n; i++)
                cases[i] = OURO_CASE_EVENT(&set);
        return cases;
}

RUN(select_turns, as_many_calls_as_are_remembered_have_turns_of_their_own)
{
        enum { CALLERS = 64, ROUNDS = 30 };
        static struct ouro_case cases[CALLERS][CASES];
        unsigned done[CALLERS][CASES] = {{0}};

        for (int round = 0; round < ROUNDS * CASES; round++)
                for (int i = 0; i < CALLERS; i++)
                        done[i][ouro_select(ready_cases(cases[i], CASES), CASES)]++;
        for (int i = 0; i < CALLERS; i++)
                for (int k = 0; k < CASES; k++)
                        cr_assert_eq(done[i][k], ROUNDS, "caller %d, case %d: %u", i, k, done[i][k]);
}

/* So many that each has been forgotten when it comes again. The numbers are such that a plain sequence would
 * come to the same place each time. */
RUN(select_turns, calls_beyond_those_starve_no_case)
{
        static const int counts[] = {65, 89, 233, 256, 610, 987};
        static struct ouro_case cases[987][2];

        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
                static unsigned done[987][2];

                memset(done, 0, sizeof done);
                for (int round = 0; round < 200; round++)
                        for (int i = 0; i < counts[c]; i++)
                                done[i][ouro_select(ready_cases(cases[i], 2), 2)]++;
                for (int i = 0; i < counts[c]; i++)
                        cr_assert(done[i][0] > 50 && done[i][1] > 50, "%d: %u and %u", i, done[i][0],
                                  done[i][1]);
        }
}

/* Arrays lie at random places of a block, the same sequence of arrays each time. */
struct layout {
        struct ouro_case *places[150];
        char chosen[CALLS + 1];
};

static intptr_t chooses(void *arg)
{
        struct layout *layout = arg;
        unsigned state = 1;

        for (int i = 0; i < CALLS; i++) {
                size_t n = 2 + (unsigned)i % (CASES - 1);
                struct ouro_case *cases;

                state = state * 1103515245u + 12345u;
                cases = layout->places[(state >> 16) % (i < CALLS / 2 ? 50 : 150)];
                layout->chosen[i] = (char)('0' + ouro_select(ready_cases(cases, n), n));
        }
        return 0;
}

static void lay_out(struct layout *layout, struct ouro_case (*block)[CASES], unsigned seed)
{
        bool taken[PLACES] = {false};

        for (int i = 0; i < 150; i++) {
                unsigned at;

                do {
                        seed = seed * 1103515245u + 12345u;
                        at = (seed >> 16) % PLACES;
                } while (taken[at]);
                taken[at] = true;
                layout->places[i] = block[at];
        }
}

Test(select_turns, do_not_depend_on_where_things_lie)
{
        static struct ouro_case block[PLACES][CASES];
        static struct layout first, other;

        lay_out(&first, block, 1);
        cr_assert_eq(ouro_run(chooses, &first), 0);
        for (unsigned seed = 2; seed < 10; seed++) {
                lay_out(&other, block, seed);
                cr_assert_eq(ouro_run(chooses, &other), 0);
                cr_assert_str_eq(other.chosen, first.chosen);
        }
}
