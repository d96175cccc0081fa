/* million.c - f57: a million tasks alive at once, each suspended on a stack of its own. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ouro.h>

enum { MILLION = 1000000, FEWER = 100000, BYTES_EACH = 5000, MAPPINGS_MOST = 4000 };

static struct ouro_event gate = OURO_EVENT_INIT;
static size_t waiting, tasks, mappings;

static size_t count_mappings(void)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        size_t lines = 0;
        int c;

        cr_assert(maps);
        while ((c = getc(maps)) != EOF)
                lines += c == '\n';
        fclose(maps);
        return lines;
}

static size_t bytes_available(void)
{
        FILE *file = fopen("/proc/meminfo", "re");
        char line[128];
        size_t kib = 0;

        while (file && fgets(line, sizeof line, file))
                if (sscanf(line, "MemAvailable: %zu", &kib) == 1)
                        break;
        if (file)
                fclose(file);
        return kib * 1024;
}

static intptr_t waits_at_the_gate(void *arg)
{
        waiting++;
        return ouro_event_wait(&gate) == 0 ? (intptr_t)arg : -1;
}

static intptr_t opens_the_gate(void *arg)
{
        ouro_task *all = calloc(tasks, sizeof *all);
        intptr_t sum = 0;

        (void)arg;
        cr_assert(all);
        for (size_t i = 0; i < tasks; i++)
                all[i] = ouro_create_task(waits_at_the_gate, (void *)1);
        while (waiting < tasks)
                ouro_yield();
        mappings = count_mappings();
        ouro_event_set(&gate);
        for (size_t i = 0; i < tasks; i++)
                sum += ouro_await(all[i]);
        free(all);
        return sum;
}

Test(million, f57_tasks_alive_at_once_do_not_exhaust_mappings)
{
        tasks = bytes_available() / BYTES_EACH > 2 * (size_t)MILLION ? MILLION : FEWER;
        cr_assert(ouro_run(opens_the_gate, NULL) == (intptr_t)tasks);
        cr_assert(waiting == tasks);
        cr_assert(mappings < MAPPINGS_MOST || mappings < tasks / 3, "%zu mappings", mappings);
}
