/* leaks_test.c - the leak check finds each kind of leak, and nothing where there is none. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro.h>

#include "support/leaks.h"

static char text[4096];

static intptr_t sleeps(void *arg)
{
        (void)arg;
        return ouro_sleep(OURO_MS(1));
}

static intptr_t runs_tasks(void *arg)
{
        ouro_task tasks[8];

        (void)arg;
        for (size_t i = 0; i < 8; i++)
                tasks[i] = ouro_create_task(sleeps, NULL);
        return ouro_gather(tasks, 8, NULL);
}

TestSuite(leaks, .init = leaks_begin);

Test(leaks, a_run_leaves_nothing, .fini = leaks_end)
{
        cr_assert(ouro_run(runs_tasks, NULL) == 0);
}

enum {
        TASKS_MANY = 20000, /* more than one mapping of records holds */
};

static intptr_t runs_many_tasks(void *arg)
{
        int error = 0;

        OURO_GROUP(group, &error) {
                for (int i = 0; i < TASKS_MANY; i++)
                        ouro_create_task_in(group, sleeps, arg);
        }
        return error;
}

Test(leaks, task_records_are_no_leak, .fini = leaks_end)
{
        cr_assert(ouro_run(runs_many_tasks, NULL) == 0);
}

static void *wait_for_byte(void *fd)
{
        char byte;

        return read(*(int *)fd, &byte, 1) == 1 ? NULL : fd;
}

Test(leaks, finds_an_open_descriptor)
{
        int fd = dup(1);

        cr_assert(leaks_find(text, sizeof text) == 1);
        cr_assert(strstr(text, "descriptor"), "%s", text);
        close(fd);
        cr_assert(leaks_find(text, sizeof text) == 0, "%s", text);
}

Test(leaks, finds_a_thread_but_not_the_stack_of_one_that_ended)
{
        pthread_t thread;
        int fds[2];

        cr_assert(pipe(fds) == 0);
        cr_assert(pthread_create(&thread, NULL, wait_for_byte, fds) == 0);
        cr_assert(leaks_find(text, sizeof text) >= 3);
        cr_assert(strstr(text, "thread"), "%s", text);
        cr_assert(write(fds[1], "", 1) == 1);
        pthread_join(thread, NULL);
        close(fds[0]);
        close(fds[1]);
        cr_assert(leaks_find(text, sizeof text) == 0, "%s", text);
}

Test(leaks, finds_a_child_that_nobody_reaped)
{
        pid_t child = fork();

        if (child == 0)
                _exit(0);
        cr_assert(leaks_find(text, sizeof text) == 1);
        cr_assert(strstr(text, "child"), "%s", text);
        waitpid(child, NULL, 0);
        cr_assert(leaks_find(text, sizeof text) == 0, "%s", text);
}

#if !defined(__SANITIZE_ADDRESS__)
Test(leaks, finds_a_mapping)
{
        void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        cr_assert(leaks_find(text, sizeof text) == 1);
        cr_assert(strstr(text, "mapping"), "%s", text);
        munmap(page, 4096);
        cr_assert(leaks_find(text, sizeof text) == 0, "%s", text);
}
#endif
