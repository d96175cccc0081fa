/* switch.c - what belongs to a task stays its own across a switch: registers, floating-point modes, errno. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fenv.h>
#include <float.h>

#include <ouro.h>

int registers_kept(void (*fn)(void), uint64_t seed);

static void yield_often(void)
{
        for (int i = 0; i < 10; i++)
                cr_assert(ouro_yield() == 0);
}

static intptr_t sleeps(void *arg)
{
        (void)arg;
        return ouro_sleep(OURO_US(1));
}

static void start_others_and_await(void)
{
        intptr_t results[2];
        ouro_task tasks[2];

        for (int i = 0; i < 2; i++)
                tasks[i] = ouro_create_task(sleeps, NULL);
        cr_assert(ouro_gather(tasks, 2, results) == 0);
}

static intptr_t keeps_registers(void *arg)
{
        uint64_t seed = (uintptr_t)arg;

        return registers_kept(yield_often, seed) + registers_kept(start_others_and_await, ~seed);
}

static intptr_t many_keep_registers(void *arg)
{
        intptr_t results[7], changed = 0;
        ouro_task tasks[7];

        (void)arg;
        for (uintptr_t i = 0; i < 7; i++)
                tasks[i] = ouro_create_task(keeps_registers, (void *)(i * 0x0101010101010101));
        cr_assert(ouro_gather(tasks, 7, results) == 0);
        for (int i = 0; i < 7; i++)
                changed += results[i];
        return changed;
}

Test(switch, keeps_callee_saved_registers)
{
        cr_assert(ouro_run(many_keep_registers, NULL) == 0);
}

/* ---- floating point ---- */

struct rounded {
        double sse;        /* MXCSR decides */
        long double x87;   /* the x87 control word does; elsewhere both are FPCR's */
        double minus_zero; /* 0 - 0: -0 only when rounding down */
};

static __attribute__((noinline)) struct rounded divide(void)
{
        volatile double one = 1, three = 3;
        volatile long double long_one = 1, long_three = 3;

        return (struct rounded){one / three, long_one / long_three, one - one};
}

static bool same(struct rounded a, struct rounded b)
{
        return a.sse == b.sse && a.x87 == b.x87 &&
               !__builtin_signbit(a.minus_zero) == !__builtin_signbit(b.minus_zero);
}

static intptr_t keeps_mode(void *arg)
{
        static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST};
        int mode = modes[(intptr_t)arg % 4];
        struct rounded fresh = divide(), mine;

        if (fegetround() != FE_TONEAREST)
                return -ERANGE; /* a new task begins with the default, whoever created it */
        fesetround(mode);
        mine = divide();
        if (same(fresh, mine) != (mode == FE_TONEAREST))
                return -EDOM; /* the modes would not show */
        for (int i = 0; i < 5; i++) {
                ouro_yield();
                if (fegetround() != mode || !same(divide(), mine))
                        return -EINVAL;
        }
        return 0;
}

static intptr_t many_keep_modes(void *arg)
{
        intptr_t results[8];
        ouro_task tasks[8];
        int error;

        (void)arg;
        cr_assert(fegetround() == FE_TONEAREST);
        fesetround(FE_UPWARD);
        for (intptr_t i = 0; i < 8; i++)
                tasks[i] = ouro_create_task(keeps_mode, (void *)i);
        error = ouro_gather(tasks, 8, results);
        cr_assert(fegetround() == FE_UPWARD);
        return error;
}

Test(switch, f59_rounding_mode_belongs_to_the_task)
{
        fesetround(FE_TOWARDZERO);
        cr_assert(ouro_run(many_keep_modes, NULL) == 0);
        cr_assert(fegetround() == FE_TOWARDZERO, "the thread's own mode is back after the run");
}

/* ---- errno ---- */

static intptr_t keeps_errno(void *arg)
{
        if (errno != 0)
                return -EINVAL;
        errno = (int)(intptr_t)arg;
        for (int i = 0; i < 5; i++) {
                ouro_yield();
                if (errno != (int)(intptr_t)arg)
                        return -EINVAL;
        }
        ouro_close(-1); /* fails, and says so by its result alone */
        return errno == (int)(intptr_t)arg ? 0 : -EINVAL;
}

static intptr_t many_keep_errno(void *arg)
{
        intptr_t results[8];
        ouro_task tasks[8];
        int error;

        (void)arg;
        errno = 99;
        for (intptr_t i = 0; i < 8; i++)
                tasks[i] = ouro_create_task(keeps_errno, (void *)(i + 1));
        error = ouro_gather(tasks, 8, results);
        cr_assert(errno == 99);
        return error;
}

Test(switch, f59_errno_belongs_to_the_task)
{
        errno = 77;
        cr_assert(ouro_run(many_keep_errno, NULL) == 0);
        cr_assert(errno == 77, "the thread's own errno is back after the run");
}
