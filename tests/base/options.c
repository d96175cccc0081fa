/* Options structs of older and newer headers are read, or refused where they wish for what is not known. */
#include <criterion/criterion.h>
#include <errno.h>

#include "base/options.h"

struct now {
        size_t size;
        int a, b;
};

struct older {
        size_t size;
        int a, padding;
};

struct newer {
        size_t size;
        int a, b;
        long c;
};

Test(options, of_this_header_are_copied)
{
        struct now from = {sizeof from, 1, 2}, to;

        cr_assert(options_read(&to, sizeof to, &from) == 0);
        cr_assert(to.size == sizeof to && to.a == 1 && to.b == 2);
}

Test(options, shorter_ones_leave_the_rest_at_zero)
{
        struct older from = {offsetof(struct now, b), 1, 7};
        struct now to = {0, 8, 9};

        cr_assert(options_read(&to, sizeof to, &from) == 0);
        cr_assert(to.size == sizeof to && to.a == 1 && to.b == 0);
}

Test(options, longer_ones_must_be_zero_beyond_what_is_known)
{
        struct newer from = {sizeof from, 1, 2, 0};
        struct now to = {5, 6, 7};

        cr_assert(options_read(&to, sizeof to, &from) == 0);
        cr_assert(to.size == sizeof to && to.a == 1 && to.b == 2);
        from.c = 1;
        to = (struct now){5, 6, 7};
        cr_assert(options_read(&to, sizeof to, &from) == -EINVAL);
        cr_assert(to.size == 5 && to.a == 6 && to.b == 7);
}

Test(options, a_size_that_cannot_be_one_is_refused)
{
        struct now from = {0, 1, 2}, to;

        cr_assert(options_read(&to, sizeof to, &from) == -EINVAL);
        from.size = sizeof from.size - 1;
        cr_assert(options_read(&to, sizeof to, &from) == -EINVAL);
        from.size = (size_t)-1;
        cr_assert(options_read(&to, sizeof to, &from) == -EINVAL);
}
