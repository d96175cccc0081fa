/* thrower.h - what of the tests must be C++: throwing, catching, and exceptions kept across a switch. */
#ifndef OURO_TESTS_CORO_THROWER_H
#define OURO_TESTS_CORO_THROWER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Throws an int; nobody catches it. */
intptr_t throws(void *arg);

/* Catches within the task what a callee of it throws. Returns 0. */
intptr_t throws_and_catches(void *arg);

/* Task number arg: throws its number, and while it handles that, others throw, catch and rethrow theirs.
 * Returns 0 if what `throw;` throws again, what std::uncaught_exceptions() counts and what
 * std::current_exception() holds are its own all the time. */
intptr_t keeps_its_exception(void *arg);

/* Suspends in a destructor that runs because of an exception in flight. Returns 0 if the count of uncaught
 * exceptions is 1 there before and after, and the exception arrives. */
intptr_t suspends_in_flight(void *arg);

#ifdef __cplusplus
}
#endif

#endif
