/* bare.c - the coroutine room alone, without a ring or a test framework: what another processor is tried with
 * first, see aarch64.sh. */
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <string.h>

#include "coro/coro.h"
#include "tsan/runner.h"

enum { MOST = 40, BUDGET = 100000 };

static struct sched sched;
static struct coro coros[MOST];
static intptr_t results[MOST];

int registers_kept(void (*fn)(void), uint64_t seed);

static void ended(struct sched *in, struct coro *coro, intptr_t result)
{
        (void)in;
        results[coro - coros] = result;
}

static const char *name(const struct coro *coro)
{
        (void)coro;
        return "bare";
}

static void begin(void)
{
        sched_init(&sched, STACK_DEFAULT_BYTES);
        sched.ended = ended;
        sched.name = name;
        sched_current = &sched;
        for (int i = 0; i < MOST; i++)
                results[i] = -1;
}

static void end(void)
{
        sched_destroy(&sched);
        expect(ouro_set_allocator(NULL) == 0);
}

static void run_all(int n, ouro_fn *fn)
{
        begin();
        for (intptr_t i = 0; i < n; i++)
                coro_create(&sched, &coros[i], fn, (void *)i, 0, NULL);
        sched_run(&sched, BUDGET);
        end();
}

static void yield(void)
{
        expect(coro_yield(&sched) == 0);
}

/* ---- what belongs to a coroutine ---- */

static intptr_t keeps_registers(void *arg)
{
        intptr_t changed = 0;

        for (int i = 0; i < 5; i++)
                changed += registers_kept(yield, (uintptr_t)arg * 0x0123456789abcdef);
        return changed;
}

CASE(callee_saved_registers_are_kept)
{
        run_all(8, keeps_registers);
        for (int i = 0; i < 8; i++)
                expect(results[i] == 0);
}

static double divide(void)
{
        volatile double one = 1, three = 3;

        return one / three;
}

static intptr_t keeps_mode_and_errno(void *arg)
{
        static const int modes[] = {FE_UPWARD, FE_TONEAREST, FE_TOWARDZERO};
        int mode = modes[(intptr_t)arg % 3], number = 100 + (int)(intptr_t)arg;
        double third;

        if (fegetround() != FE_TONEAREST || errno != 0)
                return 1;
        fesetround(mode);
        errno = number;
        third = divide();
        for (int i = 0; i < 5; i++) {
                yield();
                if (fegetround() != mode || errno != number || divide() < third || divide() > third)
                        return 2;
        }
        return 0;
}

CASE(rounding_mode_and_errno_are_kept)
{
        fesetround(FE_DOWNWARD);
        errno = 5;
        run_all(9, keeps_mode_and_errno);
        expect(fegetround() == FE_DOWNWARD && errno == 5);
        for (int i = 0; i < 9; i++)
                expect(results[i] == 0);
}

/* ---- stacks ---- */

static intptr_t depth(intptr_t left)
{
        volatile char frame[512];

        frame[0] = (char)left;
        return left == 0 ? 0 : 1 + depth(left - 1) + (frame[0] - (char)left);
}

static intptr_t goes_deep_and_yields(void *arg)
{
        intptr_t deep = depth(80 + (intptr_t)arg % 3);

        yield();
        return deep + depth(80) - 80 - (80 + (intptr_t)arg % 3);
}

CASE(many_have_stacks_of_their_own)
{
        run_all(MOST, goes_deep_and_yields);
        for (int i = 0; i < MOST; i++)
                expect(results[i] == 0);
}

static intptr_t returns_its_number(void *arg)
{
        expect((uintptr_t)__builtin_frame_address(0) % 16 == 0);
        return (intptr_t)arg;
}

CASE(short_ones_hand_one_stack_on)
{
        run_all(MOST, returns_its_number);
        for (int i = 0; i < MOST; i++)
                expect(results[i] == i);
}

static intptr_t tells_its_entry(void *arg)
{
        (void)arg;
        return coro_entry(&sched, sched.current) == tells_its_entry;
}

CASE(the_function_that_was_entered_is_known)
{
        run_all(3, tells_its_entry);
        expect(results[0] == 1 && results[2] == 1);
}

/* ---- leaving ---- */

static void no_core_no_line(enum ouro_log_level level, const char *line, void *arg)
{
        (void)level, (void)arg;
        exit(strstr(line, "task bare was left by pthread_exit()") ? 0 : 2);
}

static intptr_t exits_its_thread(void *arg)
{
        yield();
        pthread_exit(arg);
}

CASE(f60_an_unwinder_is_stopped_at_the_entry)
{
        ouro_set_log(no_core_no_line, NULL);
        run_all(2, exits_its_thread);
        expect(false); /* the thread is still here */
}
