/* runner.c - runs each case of a program in a child of its own. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tsan/runner.h"

enum { ALARM_SECONDS = 100 };

static struct runner_case *first, **last = &first;

void runner_add(struct runner_case *added)
{
        *last = added;
        last = &added->next;
}

static int run(const struct runner_case *one)
{
        int status;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        if (pid == 0) {
                alarm(ALARM_SECONDS);
                one->fn();
                exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return -1;
        if (WIFSIGNALED(status))
                printf("%s: %s\n", one->name, strsignal(WTERMSIG(status)));
        else if (WEXITSTATUS(status) != 0)
                printf("%s: exit status %d\n", one->name, WEXITSTATUS(status));
        return status;
}

/* Arguments are names: only those cases. */
static int wanted(const char *name, char **names)
{
        if (!*names)
                return 1;
        while (*names)
                if (strcmp(*names++, name) == 0)
                        return 1;
        return 0;
}

int main(int argc, char **argv)
{
        int passed = 0, failed = 0;

        (void)argc;
        for (const struct runner_case *one = first; one; one = one->next) {
                if (!wanted(one->name, argv + 1))
                        continue;
                if (run(one) == 0)
                        passed++;
                else
                        failed++;
        }
        printf("%d passed, %d failed\n", passed, failed);
        return failed > 0;
}
