/* locks.c - a table that many tasks read and one changes, loaded once; and a mistake that is told, not hung
 * on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ouro.h>

static struct ouro_once loaded = OURO_ONCE_INIT;
static struct ouro_rwlock lock = OURO_RWLOCK_INIT;
static struct ouro_wait_group questions = OURO_WAIT_GROUP_INIT;
static int table[3];

static intptr_t load(void *unused)
{
        (void)unused;
        puts("loading");
        ouro_sleep(OURO_MS(10)); /* from a file, say: others who need it wait meanwhile */
        for (int i = 0; i < 3; i++)
                table[i] = i;
        return 0;
}

static intptr_t reader(void *arg)
{
        int sum = 0;
        intptr_t error = ouro_once_do(&loaded, load, NULL);

        (void)arg;
        if (error == 0)
                error = ouro_rwlock_read(&lock);
        if (error < 0)
                return error;
        for (int i = 0; i < 3; i++) {
                sum += table[i];
                ouro_yield(); /* the table stays as it is, whatever this task waits for */
        }
        printf("sum %d\n", sum);
        ouro_rwlock_unlock(&lock);
        return ouro_wait_group_done(&questions);
}

static intptr_t writer(void *arg)
{
        intptr_t error = ouro_once_do(&loaded, load, NULL);

        (void)arg;
        if (error == 0)
                error = ouro_rwlock_write(&lock);
        if (error < 0)
                return error;
        for (int i = 0; i < 3; i++) {
                table[i] += 10;
                ouro_yield(); /* nobody sees it half changed */
        }
        puts("changed");
        return ouro_rwlock_unlock(&lock);
}

static void print_line(enum ouro_log_level level, const char *line, void *arg)
{
        (void)level, (void)arg;
        if (strncmp(line, "deadlock", 8) == 0)
                puts(line);
}

static intptr_t main_task(void *arg)
{
        struct ouro_event never = OURO_EVENT_INIT;
        int error;

        (void)arg;
        OURO_GROUP(group, &error) {
                ouro_wait_group_add(&questions, 4);
                ouro_create_task_in(group, reader, NULL);
                ouro_create_task_in(group, reader, NULL);
                ouro_create_task_in(group, writer, NULL);
                ouro_create_task_in(group, reader, NULL);
                ouro_create_task_in(group, reader, NULL);
                ouro_wait_group_wait(&questions);
                puts("all answered");
        }
        if (error < 0)
                return error;
        ouro_set_log(print_line, NULL);
        printf("an event that nobody can set: %s\n", ouro_event_wait(&never) == -EDEADLK ? "-EDEADLK" : "?");
        return 0;
}

int main(void)
{
        return ouro_run(main_task, NULL) < 0;
}
