/* Jobs that cheat: each can write to its worker's lane and has the bell, yet it can neither put off its
 * deadline nor keep the host from hearing the other workers. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>

#include "executors/lane.h"
#include "support/in_loop.h"
#include "support/leaks.h"

TestSuite(cheats, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static const int64_t DEADLINE_NS = 20 * 1000 * 1000;

static ouro_executor *open_pool(unsigned workers)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        ouro_executor *pool = NULL;

        options.workers = workers;
        options.message_bytes = 1 << 20;
        EQ(ouro_process_pool_open(&options, &pool), 0);
        return pool;
}

static struct lane_head *find_lane(void)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        unsigned long begin = 0;
        char line[4400];

        while (maps && fgets(line, sizeof line, maps))
                if (strstr(line, "memfd:ouro-lane") && sscanf(line, "%lx-", &begin) == 1)
                        break;
        if (maps)
                fclose(maps);
        return (struct lane_head *)begin;
}

static intptr_t square(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        const int n = *(const int *)in.base;

        (void)job;
        *(int *)out.base = n * n;
        return 0;
}

/* Of what the host measures its time by, it writes that it has not begun. */
static intptr_t put_off_the_deadline(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        struct lane_head *head = find_lane();
        struct lane_note *notes = (struct lane_note *)(void *)((char *)head + head->notes_at);
        const bool later = *(const bool *)in.base;

        (void)job, (void)out;
        for (uint32_t i = 0; head->entries > 0; i++)
                atomic_store(&notes[i % head->entries].began_ns, later ? INT64_MAX : 0);
        return -EIO; /* not reached */
}

IN_LOOP(cheats, f74_no_job_can_put_off_its_deadline)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        ouro_executor *pool = open_pool(1);

        options.deadline_ns = DEADLINE_NS;
        for (int later = 0; later < 2; later++) {
                bool in = later;

                EQ(ouro_call(pool, put_off_the_deadline, OURO_IN(in), OURO_NO_OUT, &options), -ETIME);
        }
        EQ(ouro_executor_close(pool), 0);
        return 0;
}

/* Every worker has the bell, and with it the flags of its open file. */
static intptr_t steal_rings(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        char path[32], name[64];

        (void)in, (void)out;
        for (int fd = 3; fd < 64; fd++) {
                ssize_t n;

                snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
                n = readlink(path, name, sizeof name - 1);
                if (n < 0)
                        continue;
                name[n] = '\0';
                if (!strstr(name, "eventfd"))
                        continue;
                if (fcntl(fd, F_SETFL, 0) < 0)
                        return -EIO;
                while (!ouro_job_cancelled(job) && read(fd, name, 8) == 8)
                        ;
                return 0;
        }
        return -ENOENT;
}

IN_LOOP(cheats, f85_no_job_can_keep_the_host_from_hearing_the_others)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;
        ouro_executor *pool = open_pool(2);
        ouro_task thief;

        options.worker = 1;
        thief = ouro_submit_with(pool, steal_rings, OURO_NO_IN, OURO_NO_OUT, &options);
        options.worker = 2;
        for (int i = 0; i < 3; i++) {
                int n = i, squared = -1;

                EQ(ouro_call(pool, square, OURO_IN(n), OURO_OUT(squared), &options), 0);
                EQ(squared, n * n);
                ouro_sleep(OURO_MS(5));
        }
        EQ(ouro_cancel(thief), 0);
        EQ(ouro_await(thief), -ECANCELED);
        EQ(ouro_executor_close(pool), 0);
        return 0;
}
