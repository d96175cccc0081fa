/* overflow.c - the end of a stack: what reaches the guard page is reported, what must fit does fit. */
#include <criterion/criterion.h>
#include <errno.h>
#include <float.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <ouro.h>

#include "coro/child.h"

/* ---- the report ---- */

static __attribute__((noinline)) int digs(volatile char *above, int depth)
{
        volatile char frame[512];

        frame[0] = above[0];
        return depth == 0 ? frame[0] : digs(frame, depth - 1) + frame[0];
}

static intptr_t digs_too_deep(void *arg)
{
        volatile char top = 0;

        (void)arg;
        return digs(&top, 1 << 20);
}

/* Its one frame is larger than the guard, and than the stack below that: without probes of each page its end
 * would lie in other memory. */
static intptr_t has_a_giant_frame(void *arg)
{
        volatile char frame[200 * 1024];

        (void)arg;
        __asm__ volatile("" : : "r"(frame) : "memory"); /* all of it may be looked at: it stays this large */
        frame[0] = 1;
        return frame[0] - 1;
}

static intptr_t has_a_frame_over_the_guard(void *arg)
{
        volatile char frame[62 * 1024];

        (void)arg;
        __asm__ volatile("" : : "r"(frame) : "memory");
        frame[0] = 1;
        return frame[0] - 1;
}

static size_t own_bytes;

static intptr_t runs_one(void *arg)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;

        options.name = "the_digger";
        options.stack_bytes = own_bytes;
        return ouro_await(ouro_create_task_with(&options, (ouro_fn *)arg, NULL));
}

static int run_reporting(ouro_fn *fn)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.report_stack_overflow = true;
        return (int)ouro_run_with(&options, runs_one, (void *)fn);
}

static int digs_in_a_default_stack(void)
{
        return run_reporting(digs_too_deep);
}

static int digs_in_its_own_size(void)
{
        own_bytes = 256 * 1024;
        return run_reporting(digs_too_deep);
}

static int enters_a_giant_frame(void)
{
        return run_reporting(has_a_giant_frame);
}

static int enters_a_frame_over_the_guard(void)
{
        return run_reporting(has_a_frame_over_the_guard);
}

static void *runs_in_a_thread(void *arg)
{
        (void)arg;
        return (void *)(intptr_t)digs_in_a_default_stack();
}

static void must_fault(int (*fn)(void), const char *line)
{
        struct child_end end = child_run(fn);

        cr_assert(end.signal == SIGSEGV, "signal %d, status %d, said: %s", end.signal, end.status, end.said);
        cr_assert_str_eq(end.said, line);
}

/* The report on said, or where it is not as it must be, a test that fails. Static functions have no name at
 * run time: the file and the place in it, which addr2line knows. */
static void must_be_report(const char *said, const char *stack)
{
        char program[256] = "", expected[512];
        unsigned long offset = 0;

        cr_assert(sscanf(said, "ouro: task the_digger, function %255[^+]+0x%lx, overflowed", program,
                         &offset) == 2,
                  "%s", said);
        cr_assert(offset > 0, "%s", said);
        snprintf(expected, sizeof expected,
                 "ouro: task the_digger, function %s+0x%lx, overflowed its stack of %s bytes (guard page "
                 "included)\n",
                 program, offset, stack);
        cr_assert(strncmp(said, expected, strlen(expected)) == 0, "%s", said);
}

static void must_overflow(int (*fn)(void), const char *stack)
{
        struct child_end end = child_run(fn);

        cr_assert(end.signal == SIGSEGV, "signal %d, status %d, said: %s", end.signal, end.status, end.said);
        must_be_report(end.said, stack);
}

Test(overflow, f55_is_reported_with_task_function_and_stack_size, .disabled = SANITIZED)
{
        must_overflow(digs_in_a_default_stack, "65536");
}

Test(overflow, f55_tells_the_tasks_own_stack_size, .disabled = SANITIZED)
{
        must_overflow(digs_in_its_own_size, "262144");
}

static int digs_in_another_thread(void)
{
        pthread_t thread;

        pthread_create(&thread, NULL, runs_in_a_thread, NULL);
        pthread_join(thread, NULL);
        return 0;
}

Test(overflow, f55_is_reported_from_a_loop_on_another_thread, .disabled = SANITIZED)
{
        must_overflow(digs_in_another_thread, "65536");
}

Test(overflow, f56_a_frame_larger_than_the_guard_does_not_step_over_it, .disabled = SANITIZED)
{
        must_overflow(enters_a_giant_frame, "65536");
        must_overflow(enters_a_frame_over_the_guard, "65536");
}

static void on_old_handler(int number)
{
        static const char line[] = "the program's own handler\n";

        (void)!write(2, line, sizeof line - 1);
        _exit(number == SIGSEGV ? 42 : 1);
}

static int digs_with_a_handler_of_its_own(void)
{
        struct sigaction action = {.sa_handler = on_old_handler, .sa_flags = SA_ONSTACK};

        sigaction(SIGSEGV, &action, NULL);
        return run_reporting(digs_too_deep);
}

Test(overflow, f55_the_programs_own_handler_comes_next, .disabled = SANITIZED)
{
        struct child_end end = child_run(digs_with_a_handler_of_its_own);

        cr_assert(end.status == 42);
        must_be_report(end.said, "65536");
        cr_assert(strstr(end.said, "the program's own handler\n"));
}

static intptr_t is_sent_the_signal(void *arg)
{
        raise(SIGSEGV);
        return (intptr_t)arg;
}

static int is_sent_the_signal_with_a_handler_of_its_own(void)
{
        struct sigaction action = {.sa_handler = on_old_handler};

        sigaction(SIGSEGV, &action, NULL);
        return run_reporting(is_sent_the_signal);
}

/* Unlike a fault it does not come again when the old handler is back. */
Test(overflow, signal_that_somebody_sends_reaches_the_programs_own_handler, .disabled = SANITIZED)
{
        struct child_end end = child_run(is_sent_the_signal_with_a_handler_of_its_own);

        cr_assert(end.status == 42);
        cr_assert(strcmp(end.said, "the program's own handler\n") == 0);
}

static intptr_t writes_to_null(void *arg)
{
        volatile char *nowhere = arg;

        *nowhere = 1;
        return 0;
}

static int faults_elsewhere(void)
{
        return run_reporting(writes_to_null);
}

Test(overflow, another_fault_is_not_called_an_overflow, .disabled = SANITIZED)
{
        must_fault(faults_elsewhere, "");
}

static int overflows_unreported(void)
{
        return (int)ouro_run(digs_too_deep, NULL);
}

Test(overflow, without_the_option_it_is_a_plain_fault, .disabled = SANITIZED)
{
        must_fault(overflows_unreported, "");
}

static intptr_t nothing(void *arg)
{
        return (intptr_t)arg;
}

Test(overflow, handlers_and_alternate_stack_are_as_before_after_the_run)
{
        struct ouro_options options = OURO_OPTIONS_INIT;
        struct sigaction before, after;
        stack_t alt_before, alt_after;

        sigaction(SIGSEGV, NULL, &before);
        sigaltstack(NULL, &alt_before);
        options.report_stack_overflow = true;
        cr_assert(ouro_run_with(&options, nothing, NULL) == 0);
        sigaction(SIGSEGV, NULL, &after);
        sigaltstack(NULL, &alt_after);
        cr_assert(before.sa_handler == after.sa_handler);
        cr_assert(alt_before.ss_sp == alt_after.ss_sp && alt_before.ss_flags == alt_after.ss_flags);
}

/* ---- what must fit into a default stack ---- */

static intptr_t prints_long_doubles(void *arg)
{
        static char text[12000];
        int n = snprintf(text, sizeof text, "%.5000Lf", LDBL_MAX);

        (void)arg;
        return n == LDBL_MAX_10_EXP + 1 + 1 + 5000 ? 0 : -EINVAL;
}

Test(overflow, f58_printing_the_longest_number_fits)
{
        cr_assert(ouro_run(prints_long_doubles, NULL) == 0);
}

static intptr_t resolves(void *arg)
{
        struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};

        if (getaddrinfo(arg, "80", &hints, &found) != 0)
                return -ENOENT;
        freeaddrinfo(found);
        return 0;
}

Test(overflow, f58_getaddrinfo_fits)
{
        cr_assert(ouro_run(resolves, (void *)(uintptr_t) "127.0.0.1") == 0);
        cr_assert(ouro_run(resolves, (void *)(uintptr_t) "localhost") == 0);
}

static volatile sig_atomic_t handled;

/* A handler that is not quite trivial, on the stack of whatever task runs. */
static void on_signal(int number)
{
        volatile char frame[4096];

        memset((char *)frame, number, sizeof frame);
        handled += frame[100] == number;
}

static intptr_t gets_signals(void *arg)
{
        (void)arg;
        for (int i = 0; i < 10; i++) {
                raise(SIGUSR1);
                ouro_yield();
        }
        return handled;
}

Test(overflow, f58_a_signal_frame_fits)
{
        struct sigaction action = {.sa_handler = on_signal};

        sigaction(SIGUSR1, &action, NULL);
        cr_assert(ouro_run(gets_signals, NULL) == 10);
}
