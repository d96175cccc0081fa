/* Trees of tasks that grow and are cut at random, beside a model that says what each wait must return.
 *
 * Each task opens groups (of every policy), scopes and shields inside each other, creates tasks in groups of
 * its own and of others, awaits some, and meanwhile cancels tasks, groups and scopes of others and moves
 * their deadlines. The model knows the contexts that a task has open and what their members have returned. A
 * seed that fails can be run alone by $OURO_TEST_SEED. */
#include "support/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/leaks.h"

TestSuite(tree_model, .init = leaks_begin, .fini = leaks_end, .timeout = 100);

enum { SEEDS = 600, KNOWN = 64, DEPTH_MOST = 6, GENERATIONS = 7, MAIN_TURNS = 40, OUTCOMES = 8, OPEN = 1 };

/* One context that some task has open. */
struct model {
        struct model *outer;
        ouro_task owner;
        bool cut_before;          /* when it was opened, its owner's waits were cut short already */
        struct ouro_group *group; /* or */
        struct ouro_scope *scope;
        bool shield, keep;
        size_t successes, created, ended, succeeded;
        int first_error;
        int result; /* of the group, which is open as long as it is OPEN */
};

struct actor {
        struct model *innermost;
        struct model *member_of; /* NULL: a root task */
        int generation;
};

static unsigned long seed, state;
static struct model *contexts[KNOWN]; /* groups and scopes that are open, where whoever may be seen */
static ouro_task tasks[KNOWN];        /* maybe stale */
static size_t alive, cut_short, not_cut, enough, failed;
static bool deadlock_told; /* a wait_for or a gather of one that awaits the caller's end is one */

#define MUST(condition) cr_assert((condition), "%s, seed %lu", #condition, seed)

static unsigned below(unsigned n)
{
        state = state * 6364136223846793005u + 1442695040888963407u;
        return (unsigned)(state >> 33) % n;
}

static int64_t some_us(unsigned most)
{
        return OURO_US(below(most));
}

/* ---- the model ---- */

static bool is_over(const struct model *model)
{
        if (model->scope)
                return ouro_scope_cancelled(model->scope);
        if (model->shield)
                return false;
        if (model->successes)
                return model->succeeded >= model->successes;
        return !model->keep && model->first_error;
}

/* What each wait of the calling task must return now; 0: none is cut short. */
static int must_be(const struct actor *self)
{
        int interrupt = 0;

        for (const struct model *model = self->innermost; model; model = model->outer) {
                if (model->shield)
                        return interrupt;
                if (is_over(model))
                        return -ECANCELED;
                if (model->scope && ouro_scope_expired(model->scope))
                        interrupt = -ETIME;
        }
        return ouro_cancelled(ouro_self()) ? -ECANCELED : interrupt;
}

/* Cancelled with what lies around its group? What was opened by an owner whose waits were cut short before is
 * cancelled when the owner comes to its end: then it cannot be said. */
static bool must_be_cancelled(const struct actor *self)
{
        const struct model *model = self->member_of;

        if (!model || model->cut_before)
                return false;
        for (; model; model = model->outer) {
                if (model->shield)
                        return false;
                if (is_over(model) || (model->scope && ouro_scope_expired(model->scope)))
                        return true;
        }
        return ouro_cancelled(self->member_of->owner) > 0;
}

/* A wait has returned this: what cut it short lasts, though time may have been outranked since. */
static void check_cut(const struct actor *self, int result)
{
        int now = must_be(self);

        if (result == -ETIME)
                MUST(now == -ETIME || now == -ECANCELED);
        else
                MUST(result != -ECANCELED || now == -ECANCELED);
}

static void check_entry(const struct actor *self)
{
        struct ouro_cancellation why = OURO_CANCELLATION_INIT;
        int wanted = must_be(self), got = ouro_yield();

        if (wanted)
                MUST(got == wanted);
        check_cut(self, got);
        MUST(!must_be_cancelled(self) || ouro_cancelled(ouro_self()));
        MUST(ouro_cancel_info(ouro_self(), &why) == 0);
        MUST(!must_be(self) || why.reason != OURO_NOT_CANCELLED);
        cut_short += wanted != 0;
        not_cut += wanted == 0;
}

static void check_closed(const struct actor *self, const struct model *model, int result)
{
        bool has_enough = model->successes && model->succeeded >= model->successes;

        MUST(model->ended == model->created);
        enough += has_enough;
        failed += model->first_error != 0;
        if (has_enough)
                MUST(result == 0);
        else if (result == -EDEADLK)
                MUST(deadlock_told);
        else if (model->first_error)
                MUST(result == model->first_error);
        else if (result == -ENOENT)
                MUST(model->successes > 0);
        else
                MUST(result == 0 ? !model->successes : result == -ECANCELED || result == -ETIME);
        check_cut(self, result);
}

/* ---- contexts ---- */

static void open_model(struct actor *self, struct model *model)
{
        model->cut_before = must_be(self) != 0;
        model->owner = ouro_self();
        model->outer = self->innermost;
        self->innermost = model;
        if (!model->shield)
                contexts[below(KNOWN)] = model;
}

static void close_model(struct actor *self, const struct model *model)
{
        self->innermost = model->outer;
        for (int i = 0; i < KNOWN; i++)
                if (contexts[i] == model)
                        contexts[i] = NULL;
}

static void act(struct actor *self, int depth);

static void in_group(struct actor *self, int depth)
{
        struct ouro_outcome outcomes[OUTCOMES];
        struct ouro_group_options options = OURO_GROUP_OPTIONS_INIT;
        struct ouro_group group;
        struct model model = {.group = &group, .successes = below(4), .result = OPEN};
        size_t ended = 0, succeeded = 0;

        options.successes = model.successes;
        options.flags = below(2) ? OURO_GROUP_KEEP : 0;
        options.outcomes = outcomes;
        options.outcomes_len = below(OUTCOMES + 1);
        options.ret_ended = &ended;
        options.ret_succeeded = &succeeded;
        options.ret_error = &model.result;
        model.keep = options.flags;
        MUST(ouro_group_open_with(&group, &options) == &group);
        open_model(self, &model);
        act(self, depth);
        if (below(5) == 0)
                ouro_group_leave(&group);
        else
                MUST(ouro_group_close(&group) == model.result);
        close_model(self, &model);
        check_closed(self, &model, model.result);
        MUST(ended == model.ended && succeeded == model.succeeded);
        for (size_t i = 0; i < ended && i < options.outcomes_len; i++)
                succeeded -= outcomes[i].result >= 0;
        MUST(ended > options.outcomes_len || succeeded == 0);
}

static void in_scope(struct actor *self, int depth)
{
        struct ouro_scope scope;
        struct model model = {.scope = &scope};
        bool told = false, expired, cancelled;

        ouro_scope_open(&scope, below(4) ? some_us(100) : OURO_FOREVER, &told);
        open_model(self, &model);
        act(self, depth);
        expired = ouro_scope_expired(&scope);
        cancelled = ouro_scope_cancelled(&scope);
        MUST(!(expired && cancelled));
        MUST(ouro_scope_close(&scope) == expired && told == expired);
        close_model(self, &model);
        check_entry(self);
}

static void in_shield(struct actor *self, int depth)
{
        struct ouro_scope shield;
        struct model model = {.shield = true};

        ouro_shield_open(&shield);
        open_model(self, &model);
        MUST(ouro_yield() == 0);
        act(self, depth);
        MUST(ouro_scope_close(&shield) == 0);
        close_model(self, &model);
        check_entry(self);
}

/* Its owner may have closed it and not yet been told. */
static bool is_open_group(const struct model *model)
{
        return model->group && model->result == OPEN;
}

/* ---- tasks ---- */

static intptr_t body(void *arg)
{
        struct actor *self = arg;
        struct model *model = self->member_of;
        intptr_t result = below(5) ? (intptr_t)below(9) : below(2) ? -EIO : -ECANCELED;

        check_entry(self);
        act(self, 0);
        if (model) {
                model->ended++;
                model->succeeded += result >= 0;
                if (result == -EIO)
                        model->first_error = -EIO;
        }
        alive--;
        free(self);
        return result;
}

/* In a group of whomever, or in the innermost of one's own. */
static void create(const struct actor *creator)
{
        struct model *model = below(4) ? NULL : contexts[below(KNOWN)];
        struct actor *actor = calloc(1, sizeof *actor);
        bool foreign = model && is_open_group(model);

        if (!foreign)
                for (model = creator->innermost; model && !model->group;)
                        model = model->outer;
        actor->generation = creator->generation + 1;
        actor->member_of = model;
        if (actor->generation > GENERATIONS) {
                free(actor);
                return;
        }
        alive++;
        if (model)
                model->created++;
        if (foreign)
                tasks[below(KNOWN)] = ouro_create_task_in(model->group, body, actor);
        else if (below(3))
                tasks[below(KNOWN)] = ouro_create_task(body, actor);
        else
                MUST(ouro_go(body, actor) == 0);
}

static void meddle(void)
{
        const struct model *model = contexts[below(KNOWN)];
        unsigned deed = below(4);

        if (deed == 0)
                ouro_cancel_with(tasks[below(KNOWN)], "for no reason");
        else if (model && deed == 1 && is_open_group(model))
                MUST(ouro_group_cancel(model->group) == 0);
        else if (model && model->scope && deed == 1)
                MUST(ouro_scope_cancel(model->scope) == 0);
        else if (model && model->scope)
                switch (ouro_scope_reschedule(model->scope, below(9) ? some_us(50) : OURO_FOREVER)) {
                case 0:
                        MUST(!ouro_scope_cancelled(model->scope));
                        break;
                case -ETIME:
                        MUST(ouro_scope_expired(model->scope));
                        break;
                default:
                        MUST(ouro_scope_cancelled(model->scope));
                }
}

/* Under a deadline, because it may wait for whoever waits for it. */
static void wait_for_others(const struct actor *self)
{
        ouro_task some[4];
        intptr_t results[4];
        int cut = must_be(self);

        for (int i = 0; i < 4; i++)
                some[i] = tasks[below(KNOWN)];
        OURO_TIMEOUT(some_us(50) + 1)
                switch (below(4)) {
                case 0:
                        MUST(ouro_await(some[0]) == cut || !cut);
                        break;
                case 1:
                        MUST(ouro_gather(some, 1 + below(4), results) == cut || !cut);
                        break;
                case 2:
                        MUST(ouro_wait_first(some, 4) == cut || !cut);
                        break;
                default:
                        MUST(ouro_wait_for(some[0], some_us(40)) == cut || !cut);
                }
}

static void act(struct actor *self, int depth)
{
        for (unsigned left = 1 + below(4); left > 0; left--) {
                unsigned deed = below(12);

                if (deed < 3)
                        create(self);
                else if (deed == 3 && depth < DEPTH_MOST)
                        in_group(self, depth + 1);
                else if (deed == 4 && depth < DEPTH_MOST)
                        in_scope(self, depth + 1);
                else if (deed == 5 && depth < DEPTH_MOST)
                        in_shield(self, depth + 1);
                else if (deed == 6)
                        check_cut(self, ouro_sleep(some_us(60)));
                else if (deed == 7)
                        check_entry(self);
                else if (deed < 10)
                        meddle();
                else
                        wait_for_others(self);
        }
}

static intptr_t grow(void *unused)
{
        struct actor self = {0};

        (void)unused;
        for (int i = 0; i < MAIN_TURNS; i++)
                act(&self, 0);
        return 7;
}

static void run_seed(unsigned long number)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.clock = OURO_CLOCK_VIRTUAL;
        seed = state = number;
        deadlock_told = false;
        memset(contexts, 0, sizeof contexts);
        memset(tasks, 0, sizeof tasks);
        MUST(ouro_run_with(&options, grow, NULL) == 7);
        MUST(alive == 0);
}

static void look(enum ouro_log_level level, const char *message, void *arg)
{
        (void)level, (void)arg; /* else of failures that nobody saw */
        deadlock_told |= strstr(message, "deadlock") != NULL;
}

Test(tree_model, every_wait_returns_what_the_contexts_around_it_say)
{
        const char *alone = getenv("OURO_TEST_SEED");

        ouro_set_log(look, NULL);
        if (alone) {
                run_seed(strtoul(alone, NULL, 10));
                return;
        }
        for (unsigned long number = 1; number <= SEEDS; number++)
                run_seed(number);
        ouro_set_log(NULL, NULL);
        cr_assert(cut_short > SEEDS && not_cut > SEEDS && enough > SEEDS / 4 && failed > SEEDS / 4,
                  "too little happens: %zu, %zu, %zu, %zu", cut_short, not_cut, enough, failed);
}
