#include "coro/thrower.h"

#include <cerrno>
#include <exception>

#include <ouro.h>

namespace
{

__attribute__((noinline)) void throw_number(intptr_t number)
{
        throw number;
}

void yield_twice()
{
        ouro_yield();
        ouro_yield();
}

/* An inner handler within the outer one, so that the stack of caught exceptions is two deep. */
bool inner_is_own(intptr_t number)
{
        try {
                throw_number(number + 1000);
        } catch (intptr_t caught) {
                yield_twice();
                try {
                        throw;
                } catch (intptr_t again) {
                        yield_twice();
                        return caught == number + 1000 && again == caught;
                }
        }
        return false;
}

bool outer_is_own(intptr_t number)
{
        try {
                throw_number(number);
        } catch (intptr_t) {
                yield_twice();
                if (!inner_is_own(number) || std::uncaught_exceptions() != 0)
                        return false;
                yield_twice();
                try {
                        std::rethrow_exception(std::current_exception());
                } catch (intptr_t again) {
                        if (again != number)
                                return false;
                }
                try {
                        throw;
                } catch (intptr_t again) {
                        return again == number;
                }
        }
        return false;
}

struct yields_when_destroyed {
        bool *one_in_flight;

        ~yields_when_destroyed()
        {
                *one_in_flight = std::uncaught_exceptions() == 1;
                yield_twice();
                *one_in_flight = *one_in_flight && std::uncaught_exceptions() == 1;
        }
};

} // namespace

intptr_t throws(void *)
{
        ouro_yield();
        throw_number(4711);
        return 0;
}

intptr_t throws_and_catches(void *)
{
        try {
                throw_number(1);
        } catch (intptr_t caught) {
                return caught - 1;
        }
        return -EINVAL;
}

intptr_t keeps_its_exception(void *arg)
{
        for (int i = 0; i < 10; i++)
                if (std::current_exception() || !outer_is_own(reinterpret_cast<intptr_t>(arg)))
                        return -EINVAL;
        return 0;
}

intptr_t suspends_in_flight(void *arg)
{
        intptr_t number = reinterpret_cast<intptr_t>(arg);
        bool one_in_flight = false;

        try {
                yields_when_destroyed object = {&one_in_flight};

                throw_number(number);
        } catch (intptr_t caught) {
                return one_in_flight && caught == number && std::uncaught_exceptions() == 0 ? 0 : -EINVAL;
        }
        return -EINVAL;
}
