/* Of tools/census.c: who reports is known and can be signalled, and nobody else ever is. */
#include "../../tools/census.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct census census;

static void begin(void)
{
        cr_assert_eq(census_open(&census, 2), 0);
}

static void end(void)
{
        census_close(&census);
}

TestSuite(census, .init = begin, .fini = end);

/* A zygote with one worker, which reports under that number; both wait to be killed. */
struct family {
        pid_t zygote;
        int alive; /* reads 0 once both have gone */
};

static struct family found_family(unsigned worker)
{
        struct family family;
        int ends[2];

        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        family.zygote = fork();
        cr_assert_geq(family.zygote, 0);
        if (family.zygote == 0) {
                if (fork() == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        census_report(census.worker_fd, worker);
                }
                for (;;)
                        pause();
        }
        close(ends[1]);
        family.alive = ends[0];
        return family;
}

static void bury(const struct family *family)
{
        char byte;

        kill(family->zygote, SIGKILL);
        waitpid(family->zygote, NULL, 0);
        cr_assert_eq(read(family->alive, &byte, 1), 0);
        close(family->alive);
}

/* Waits for the next sign of life. */
static int64_t take(void)
{
        int64_t replaced_ns;
        int r;

        while ((r = census_take(&census, &replaced_ns)) == 0)
                usleep(1000);
        cr_assert_eq(r, 1);
        return replaced_ns;
}

Test(census, nobody_is_known_at_first)
{
        int64_t replaced_ns;

        cr_assert_eq(census_take(&census, &replaced_ns), 0);
        cr_assert_eq(census_signal(&census, &census.workers[0], SIGKILL, true), -ESRCH);
        cr_assert_eq(census_signal(&census, &census.zygote, SIGKILL, true), -ESRCH);
}

Test(census, worker_and_zygote_that_report_can_be_killed, .timeout = 60)
{
        struct family family = found_family(1);

        cr_assert_eq(take(), -1); /* it takes nobody's place */
        cr_assert_eq(census.zygote.pid, family.zygote);
        cr_assert_eq(census.workers[0].pidfd, -1);
        cr_assert_eq(census_signal(&census, &census.workers[1], SIGKILL, true), 0);
        cr_assert(census_was_signalled(&census, census.workers[1].pid, SIGKILL));
        cr_assert_not(census_was_signalled(&census, census.workers[1].pid, SIGTERM));
        cr_assert_not(census_was_signalled(&census, family.zygote, SIGKILL));
        cr_assert_eq(census_signal(&census, &census.zygote, SIGKILL, true), 0);
        bury(&family);
        cr_assert_eq(census_signal(&census, &census.zygote, SIGKILL, true), -ESRCH);
}

Test(census, who_takes_the_place_of_one_that_was_killed_is_timed, .timeout = 60)
{
        struct family first = found_family(0), second;

        take();
        cr_assert_eq(census_signal(&census, &census.workers[0], SIGKILL, true), 0);
        second = found_family(0);
        cr_assert_geq(take(), 0);
        cr_assert_eq(census.zygote.pid, second.zygote);
        census_signal(&census, &census.workers[0], SIGKILL, true);
        bury(&first);
        bury(&second);
}

/* Here the parent of the one who reports is the host itself. */
Test(census, host_is_never_taken_for_a_zygote, .timeout = 60)
{
        pid_t child = fork();
        int status;

        if (child == 0) {
                census_report(census.worker_fd, 0);
                _exit(census_open_parent(getppid()) == -ESRCH ? 0 : 1);
        }
        cr_assert_geq(child, 0);
        take();
        cr_assert_eq(census.zygote.pidfd, -1);
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0);
}

Test(census, worker_of_a_number_that_does_not_exist_is_passed_over, .timeout = 60)
{
        struct family family = found_family(2);

        take();
        cr_assert_eq(census.workers[0].pidfd, -1);
        cr_assert_eq(census.workers[1].pidfd, -1);
        bury(&family);
}

Test(census, message_of_a_stranger_is_refused)
{
        int64_t replaced_ns;

        cr_assert_eq(write(census.worker_fd, "who", 3), 3);
        cr_assert_lt(census_take(&census, &replaced_ns), 0);
        cr_assert_eq(census_take(&census, &replaced_ns), 0);
}

Test(census, end_is_when_nobody_holds_the_other_end, .timeout = 60)
{
        pid_t child = fork();

        cr_assert_geq(child, 0);
        while (child == 0)
                pause();
        cr_assert_eq(census_wait_for_end(&census, 50000000), -ETIME);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        cr_assert_eq(census_wait_for_end(&census, 10000000000), 0);
}
