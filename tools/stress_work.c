/* stress_work.c - the main task: slots that are always at work, one that cancels, one that tells.
 *
 * Order of the end: the time is over, slots finish their rounds and are gathered; the listeners close; the
 * servers, whose clients are gone, end; the pools close. Nothing is left for ouro_run() to cancel. */
#include "blocked.h"
#include "process_pool.h"
#include "report.h"
#include "stress.h"
#include "tool.h"

#include <errno.h>
#include <stdlib.h>

enum {
        CANCEL_PAUSE_MS_MAX = 4,
        HURRIED_ONE_IN = 128,
        HURRY_MS_MAX = 4,
        /* So few places in the pool's queue that submitting has to wait now and then. */
        POOL_QUEUE = 16,
        /* Itself, a round, and two halves or four jobs of it; a server, and one whose client was cut. */
        TASKS_PER_SLOT = 8,
};

/* Numbers of the random streams that belong to no slot. */
static const uint64_t canceller_stream = UINT64_MAX - 2;

static const struct {
        ouro_fn *round;
        const char *task_name;
} kinds[STRESS_KINDS] = {
        [STRESS_TCP] = {echo_round, "tcp session"},
        [STRESS_UNIX] = {echo_round, "unix session"},
        [STRESS_FILE] = {file_round, "file round"},
        [STRESS_JOB] = {job_round, "job round"},
        [STRESS_SLEEP] = {sleep_round, "sleep round"},
        [STRESS_CHANNEL] = {channel_round, "channel round"},
        [STRESS_PROCESS] = {process_round, "process round"},
};

struct kind_totals *slot_totals(const struct slot *slot)
{
        return &slot->stress->totals->kinds[slot->kind];
}

/* In a lull of a chaos run no job of the process pool is cut short, since that ends its worker. */
static bool let_alone(const struct slot *slot)
{
        return slot->kind == STRESS_PROCESS && processes_calm(slot->stress->processes);
}

int64_t slot_limit(struct slot *slot, int64_t usual_ns)
{
        slot->hurried = random_one_in(&slot->random, HURRIED_ONE_IN) && !let_alone(slot);
        if (!slot->hurried)
                return usual_ns;
        return (int64_t)random_below(&slot->random, OURO_MS(HURRY_MS_MAX));
}

/* A round ends by itself, by a cancellation that was meant, at a deadline that was meant, or wrongly. */
static int count_round(struct slot *slot, intptr_t result, bool hurried)
{
        struct kind_totals *kind = slot_totals(slot);

        if (result >= 0)
                return 0;
        if (result == -ETIME && (hurried || slot->hurried)) {
                kind->expired++;
                return 0;
        }
        if (result == -ECANCELED && slot->asked) {
                kind->cancelled++;
                return 0;
        }
        if (kind->errors++ == 0)
                kind->first_error = (int)result;
        return (int)result;
}

static int one_round(struct slot *slot)
{
        int64_t limit_ns = slot_limit(slot, STRESS_ROUND_NS);
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        bool hurried = slot->hurried;
        intptr_t result;

        slot->asked = slot->hurried = false;
        options.name = kinds[slot->kind].task_name;
        slot->round = ouro_create_task_with(&options, kinds[slot->kind].round, slot);
        result = ouro_wait_for(slot->round, limit_ns);
        slot->round = OURO_NO_TASK;
        slot->rounds++;
        return count_round(slot, result, hurried);
}

static intptr_t keep_working(void *arg)
{
        struct slot *slot = arg;

        while (!slot->stress->stopping)
                if (one_round(slot) < 0)
                        ouro_sleep(
                                OURO_MS(10)); /* what fails at once must not keep the others from working */
        return 0;
}

static intptr_t cancel_now_and_then(void *arg)
{
        struct stress *stress = arg;
        struct random random = random_stream(stress->options->seed, canceller_stream);
        struct slot *slot;
        int r = 0;

        while (r == 0) {
                r = ouro_sleep((int64_t)random_below(&random, OURO_MS(CANCEL_PAUSE_MS_MAX)));
                slot = &stress->slots[random_below(&random, stress->slot_count)];
                if (r == 0 && !let_alone(slot) && ouro_cancel(slot->round) == 0) {
                        slot->asked = true;
                        stress->totals->cancels++;
                }
        }
        return 0;
}

static intptr_t tell_every_second(void *arg)
{
        struct stress *stress = arg;
        struct live live = {0};

        for (unsigned second = 1; ouro_sleep(OURO_SEC(1)) == 0; second++)
                report_live(&live, second, stress->totals);
        return 0;
}

/* Connections first, then the others in turn. In a chaos run every second of those is for the processes. */
static enum stress_kind kind_of(const struct stress_options *options, unsigned number)
{
        static const enum stress_kind turns[] = {STRESS_FILE, STRESS_JOB, STRESS_SLEEP, STRESS_CHANNEL,
                                                 STRESS_PROCESS};
        unsigned turn = number - options->connections;

        if (number < options->connections)
                return number % 2 == 0 ? STRESS_TCP : STRESS_UNIX;
        if (options->chaos)
                return turn % 2 == 0 ? STRESS_PROCESS : turns[turn / 2 % 4];
        return turns[turn % (options->no_processes ? 4 : 5)];
}

static void make_slots(struct stress *stress)
{
        for (unsigned i = 0; i < stress->slot_count; i++) {
                stress->slots[i] = (struct slot){
                        .stress = stress,
                        .kind = kind_of(stress->options, i),
                        .number = i,
                        .random = random_stream(stress->options->seed, i),
                };
                slot_totals(&stress->slots[i])->workers++;
        }
}

enum {
        HELPERS_MOST = 4,
};

/* Tasks beside the slots, which go on until they are cancelled. */
struct helpers {
        ouro_task tasks[HELPERS_MOST];
        unsigned count;
};

static void help(struct helpers *helpers, ouro_task task)
{
        helpers->tasks[helpers->count++] = task;
}

static void dismiss(struct helpers *helpers)
{
        for (unsigned i = 0; i < helpers->count; i++) {
                ouro_cancel(helpers->tasks[i]);
                ouro_await(helpers->tasks[i]);
        }
        helpers->count = 0;
}

/* Lets the slots work for their time, and waits for their last rounds. */
static int work_in_slots(struct stress *stress)
{
        ouro_task *tasks = calloc(stress->slot_count, sizeof(*tasks));
        struct helpers helpers = {.count = 0};
        int slept, r;

        if (!tasks)
                return -ENOMEM;
        for (size_t i = 0; i < stress->slot_count; i++)
                tasks[i] = ouro_create_task(keep_working, &stress->slots[i]);
        help(&helpers, ouro_create_task(cancel_now_and_then, stress));
        if (stress->processes && stress->options->chaos) {
                help(&helpers, ouro_create_task(chaos_strike, stress->processes));
                help(&helpers, ouro_create_task(chaos_calm_now_and_then, stress->processes));
        }
        slept = ouro_sleep(stress->duration_ns);
        stress->stopping = true;
        r = ouro_gather(tasks, stress->slot_count, NULL);
        dismiss(&helpers);
        free(tasks);
        return slept < 0 ? slept : r;
}

static int work(struct stress *stress)
{
        struct helpers helpers = {.count = 0};
        int r, calm = 0;

        help(&helpers, ouro_create_task(blocked_watch, &stress->totals->blocked));
        if (stress->processes)
                help(&helpers, ouro_create_task(processes_keep_books, stress->processes));
        if (stress->processes && stress->options->chaos)
                help(&helpers, ouro_create_task(chaos_keep_census, stress->processes));
        r = work_in_slots(stress);
        if (stress->processes && stress->options->chaos)
                calm = chaos_calm(stress->processes);
        dismiss(&helpers);
        return r < 0 ? r : calm;
}

/* With the servers up. */
static int work_and_tell(struct stress *stress)
{
        ouro_task teller = OURO_NO_TASK;
        int64_t begin_ns = tool_now_ns();
        int r;

        if (stress->live)
                teller = ouro_create_task(tell_every_second, stress);
        r = work(stress);
        stress->elapsed_ns = tool_now_ns() - begin_ns;
        if (stress->live) {
                ouro_cancel(teller);
                ouro_await(teller);
        }
        return r;
}

static int work_with_servers(struct stress *stress)
{
        struct echo_servers servers;
        int r = -ECANCELED, stopped = 0, error = 0;

        OURO_GROUP(all, &error) {
                r = echo_serve(stress, &servers);
                if (r < 0)
                        break;
                r = work_and_tell(stress);
                stopped = echo_stop(&servers);
        }
        return r < 0 ? r : stopped < 0 ? stopped : error;
}

static int work_with_processes(struct stress *stress)
{
        struct processes processes;
        int r, closed;

        if (stress->totals->kinds[STRESS_PROCESS].workers == 0)
                return work_with_servers(stress);
        r = processes_open(&processes, stress);
        if (r < 0)
                return r;
        stress->processes = &processes;
        r = work_with_servers(stress);
        closed = processes_close(&processes, &stress->strays);
        stress->processes = NULL;
        return r < 0 ? r : closed;
}

static int work_with_pool(struct stress *stress)
{
        struct ouro_thread_options pool_options = OURO_THREAD_OPTIONS_INIT;
        int r, closed;

        pool_options.threads = stress->options->threads;
        pool_options.queue = POOL_QUEUE;
        r = ouro_thread_pool_open(&pool_options, &stress->pool);
        if (r < 0)
                return r;
        r = work_with_processes(stress);
        closed = ouro_executor_close(stress->pool);
        return r < 0 ? r : closed;
}

static intptr_t do_nothing(void *arg)
{
        (void)arg;
        return 0;
}

/* The library keeps the records of tasks for later tasks, as many as there ever were at a time. How many that
 * are in the measured run is a matter of timing; so there are more at once in the warm-up. They run one after
 * the other, and so need no stacks. */
static int have_many_tasks(const struct stress *stress)
{
        size_t count = TASKS_PER_SLOT * stress->slot_count + 2 * ECHO_SERVERS * ECHO_ACCEPTS;
        ouro_task *tasks = calloc(count, sizeof(*tasks));
        int r;

        if (!tasks)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                tasks[i] = ouro_create_task(do_nothing, NULL);
        r = ouro_gather(tasks, count, NULL);
        free(tasks);
        return r;
}

intptr_t stress_main(void *arg)
{
        struct stress *stress = arg;
        int r;

        stress->backend = ouro_backend_name();
        stress->slot_count = (size_t)stress->options->connections + stress->options->tasks;
        stress->slots = calloc(stress->slot_count, sizeof(*stress->slots));
        if (!stress->slots)
                return -ENOMEM;
        make_slots(stress);
        r = stress->warm_up ? have_many_tasks(stress) : 0;
        if (r == 0)
                r = work_with_pool(stress);
        free(stress->slots);
        return r;
}
