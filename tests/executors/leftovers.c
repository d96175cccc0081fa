/* leftovers.c - finding and ending children that nobody knows. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executors/leftovers.h"
#include "support/leaks.h"

TestSuite(leftovers, .init = leaks_begin, .fini = leaks_end, .timeout = 30);

static pid_t sleeper(void)
{
        pid_t pid = fork();

        cr_assert(pid >= 0);
        while (pid == 0)
                pause();
        return pid;
}

static bool keeps(const void *arg, pid_t pid)
{
        return pid == *(const pid_t *)arg;
}

static void check_kills_all_but_one(const struct leftovers *leftovers)
{
        pid_t kept = sleeper(), one = sleeper(), other = sleeper();
        int status;

        cr_assert(leftovers_kill(leftovers, keeps, &kept) == 2);
        cr_assert(waitpid(one, &status, 0) == one && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        cr_assert(waitpid(other, &status, 0) == other && WIFSIGNALED(status));
        cr_assert(waitpid(kept, &status, WNOHANG) == 0, "that one lives");
        cr_assert(leftovers_kill(leftovers, keeps, &kept) == 0);
        kill(kept, SIGKILL);
        cr_assert(waitpid(kept, &status, 0) == kept);
}

Test(leftovers, all_children_but_those_that_are_kept_are_killed)
{
        struct leftovers leftovers;

        leftovers_open(&leftovers);
        check_kills_all_but_one(&leftovers);
        leftovers_close(&leftovers);
}

Test(leftovers, so_they_are_where_the_kernel_keeps_no_list)
{
        struct leftovers leftovers = {.children = -1, .proc = open("/proc", O_RDONLY | O_DIRECTORY)};

        check_kills_all_but_one(&leftovers);
        leftovers_close(&leftovers);
}

Test(leftovers, more_than_one_piece_of_the_list_is_read)
{
        enum { MANY = 900 /* of 5 to 8 bytes each: more than 4096 */ };
        struct leftovers leftovers;
        pid_t none = 0;

        leftovers_open(&leftovers);
        for (int i = 0; i < MANY; i++)
                sleeper();
        cr_assert(leftovers_kill(&leftovers, keeps, &none) == MANY);
        for (int i = 0; i < MANY; i++)
                cr_assert(wait(NULL) > 0);
        leftovers_close(&leftovers);
}

Test(leftovers, without_proc_none_are_found_and_nothing_breaks)
{
        struct leftovers leftovers = {.children = -1, .proc = -1};
        pid_t none = 0;

        cr_assert(leftovers_kill(&leftovers, keeps, &none) == 0);
}
