/* chaos.c - the killer: ends worker processes and their zygote at random moments; and lulls in between.
 *
 * A round belongs to the epoch that it began in. In the odd ones nothing is harmed, cancelled or given a
 * deadline that it may miss; so when no round of an even epoch is out any more and the killer has let go, it
 * is calm, and from the last harm on the time runs in which the pool has to be whole again. */
#include "plan.h"
#include "process_pool.h"
#include "stress.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        STRIKE_PAUSE_MS_MAX = 60,
        STOPPED_MS_MAX = 30,
        ZYGOTE_ONE_IN = 10,
        STORM_MS_MIN = 400,
        STORM_MS_MAX = 2000,
};

#define LOOK_NS OURO_MS(1)
#define STRENGTH_NS OURO_SEC(1) /* what is promised */
#define STRENGTH_GIVE_UP_NS OURO_SEC(10)
#define SERVICE_NS OURO_SEC(10)

/* ---- census ---- */

static void take_all(struct processes *processes)
{
        struct chaos_totals *totals = &processes->stress->totals->chaos;
        int64_t replaced_ns;

        while (census_take(&processes->census, &replaced_ns) != 0)
                if (replaced_ns >= 0)
                        histogram_add(&totals->replaced_ns, replaced_ns);
}

intptr_t chaos_keep_census(void *arg)
{
        struct processes *processes = arg;
        ssize_t n = 1;
        char byte;

        while (n >= 0) {
                take_all(processes);
                n = ouro_recv(processes->census.host_fd, &byte, 1, MSG_PEEK);
        }
        return 0;
}

/* ---- killer ---- */

/* Who was stopped is continued or ended, also if another has its number by then: nobody else would. */
static int stop_for_a_while(struct processes *processes, struct census_entry *entry, int then)
{
        struct census_entry stopped = {.pidfd = fcntl(entry->pidfd, F_DUPFD_CLOEXEC, 0), .pid = entry->pid};
        int r = census_signal(&processes->census, &stopped, SIGSTOP, false);

        if (r == 0) {
                OURO_SHIELD
                {
                        ouro_sleep((int64_t)random_below(&processes->random, OURO_MS(STOPPED_MS_MAX)));
                }
                census_signal(&processes->census, entry->pid == stopped.pid ? entry : &stopped, then,
                              then == SIGKILL);
        }
        if (stopped.pidfd >= 0)
                close(stopped.pidfd);
        return r;
}

static int strike(struct processes *processes, enum chaos_kill kill, struct census_entry *entry)
{
        switch (kill) {
        case CHAOS_STOP_CONT:
        case CHAOS_ZYGOTE_STOP_CONT:
                return stop_for_a_while(processes, entry, SIGCONT);
        case CHAOS_STOP_KILL:
        case CHAOS_ZYGOTE_STOP_KILL:
                return stop_for_a_while(processes, entry, SIGKILL);
        default:
                return census_signal(&processes->census, entry, chaos_signal(kill), true);
        }
}

static void strike_somebody(struct processes *processes)
{
        struct census *census = &processes->census;
        struct random *random = &processes->random;
        bool zygote = random_one_in(random, ZYGOTE_ONE_IN);
        enum chaos_kill first = zygote ? CHAOS_ZYGOTE_KILL : CHAOS_KILL,
                        end = zygote ? CHAOS_KILLS : CHAOS_ZYGOTE_KILL;
        enum chaos_kill kill = first + (enum chaos_kill)random_below(random, end - first);
        struct census_entry *entry =
                zygote ? &census->zygote : &census->workers[random_below(random, census->worker_count)];

        if (strike(processes, kill, entry) == 0)
                processes->stress->totals->chaos.kills[kill]++;
        processes->last_harm_ns = tool_now_ns();
}

intptr_t chaos_strike(void *arg)
{
        struct processes *processes = arg;

        while (ouro_sleep((int64_t)random_below(&processes->random, OURO_MS(STRIKE_PAUSE_MS_MAX))) == 0) {
                if (processes_calm(processes))
                        continue;
                processes->striking = true;
                strike_somebody(processes);
                processes->striking = false;
        }
        return 0;
}

/* ---- calm ---- */

static bool whole(const struct processes *processes)
{
        struct ouro_stats stats = {.size = sizeof(stats)};

        return ouro_executor_stats(processes->pool, &stats) == 0 && stats.workers == processes->workers;
}

static int await_whole(const struct processes *processes)
{
        struct chaos_totals *totals = &processes->stress->totals->chaos;
        int64_t since_ns = processes->last_harm_ns, now_ns = tool_now_ns();
        int r = 0;

        if (since_ns == 0 || since_ns > now_ns)
                since_ns = now_ns;
        while (r == 0 && !whole(processes) && tool_now_ns() - since_ns < STRENGTH_GIVE_UP_NS)
                r = ouro_sleep(LOOK_NS);
        if (r < 0)
                return r;
        now_ns = tool_now_ns();
        histogram_add(&totals->strength_ns, now_ns - since_ns);
        totals->calms++;
        totals->calms_short += now_ns - since_ns > STRENGTH_NS || !whole(processes);
        return 0;
}

/* Each worker does a job: what counts as ready does work. */
static int call_all(const struct processes *processes)
{
        struct ouro_job_options options = OURO_JOB_OPTIONS_INIT;

        for (unsigned worker = 0; worker < processes->workers; worker++) {
                intptr_t r = -ETIME;
                bool late = false;

                options.name = "roll call";
                options.worker = worker + 1;
                OURO_TIMEOUT(SERVICE_NS, &late) {
                        r = ouro_call(processes->pool, process_present, OURO_NO_IN, OURO_NO_OUT, &options);
                }
                if (r == -ECANCELED)
                        return (int)r;
                if (late || r != (intptr_t)worker)
                        processes->stress->totals->chaos.unserved++;
        }
        return 0;
}

int chaos_calm(struct processes *processes)
{
        unsigned storm = processes->epoch % 2;
        int r = 0;

        if (storm == 0)
                processes->epoch++;
        while (r == 0 && (processes->rounds_out[0] > 0 || processes->striking))
                r = ouro_sleep(LOOK_NS);
        if (r == 0)
                r = await_whole(processes);
        if (r == 0)
                r = call_all(processes);
        return r;
}

intptr_t chaos_calm_now_and_then(void *arg)
{
        struct processes *processes = arg;
        int r = 0;

        while (r == 0) {
                r = ouro_sleep(
                        OURO_MS(STORM_MS_MIN) +
                        (int64_t)random_below(&processes->random, OURO_MS(STORM_MS_MAX - STORM_MS_MIN)));
                if (r == 0)
                        r = chaos_calm(processes);
                if (r == 0)
                        processes->epoch++;
        }
        return 0;
}
