/* Groups, scopes and shields in every nesting, four deep, with every pair of things that can happen to them.
 *
 * A task opens them, makes two of them (or itself) fail, expire or be cancelled, and leaves them one by one.
 * What its waits return at each level, who is cancelled by whom, and what each group closes with must be what
 * a model says that knows nothing but the rules:
 *
 *      what ends at a level cuts the waits at that level and inside it, up to a shield,
 *      and cancels the members of the groups there; what came first to a group or a scope stays. */
#include "support/run.h"

#include <errno.h>
#include <stdio.h>

#include "support/leaks.h"

TestSuite(nesting, .init = leaks_begin, .fini = leaks_end);

enum { DEPTH_MOST = 4 };

enum kind { GROUP, KEEP, ENOUGH, SCOPE, SHIELD, KINDS };

struct level {
        enum kind kind;
        struct ouro_group group;
        struct ouro_scope scope;
        struct ouro_event go; /* for the prompter */
        intptr_t gives;       /* what the prompter ends with then */
        ouro_task sleeper, prompter;
        /* of the model */
        bool over, expired, cut;
        bool prompted;
        int error;
        ouro_task origin; /* of cut */
};

static struct level levels[DEPTH_MOST];
static int depth;
static bool task_cancelled;
static char what[64]; /* for messages */

static bool is_group(const struct level *level)
{
        return level->kind <= ENOUGH;
}

static bool same(ouro_task a, ouro_task b)
{
        return a.slot == b.slot && a.generation == b.generation;
}

/* ---- the model ---- */

/* What a wait returns with n levels open. */
static int model_interrupt(int n)
{
        int interrupt = 0;

        while (n-- > 0) {
                if (levels[n].kind == SHIELD)
                        return interrupt;
                if (levels[n].over)
                        return -ECANCELED;
                if (levels[n].expired)
                        interrupt = -ETIME;
        }
        return task_cancelled ? -ECANCELED : interrupt;
}

static void model_cut(int from, ouro_task origin)
{
        for (int i = from; i < depth && levels[i].kind != SHIELD; i++) {
                if (!is_group(&levels[i]) || levels[i].cut)
                        continue;
                levels[i].cut = true;
                levels[i].origin = origin;
        }
}

static int model_close(const struct level *level, int interrupt)
{
        if (level->kind == ENOUGH && level->over)
                return 0;
        if (level->error || interrupt)
                return level->error ? level->error : interrupt;
        return level->kind == ENOUGH ? -ENOENT : 0;
}

/* ---- the tasks ---- */

static intptr_t sleeps(void *unused)
{
        (void)unused;
        return ouro_sleep(OURO_FOREVER);
}

static intptr_t ends_when_told(void *arg)
{
        struct level *level = arg;

        OURO_SHIELD
        cr_assert_eq(ouro_event_wait(&level->go), 0);
        return level->gives;
}

static void settle(void)
{
        OURO_SHIELD
        for (int i = 0; i < 3; i++)
                cr_assert_eq(ouro_yield(), 0);
}

static void prompt(struct level *level, intptr_t gives)
{
        level->gives = gives;
        level->prompted = true;
        ouro_event_set(&level->go);
        settle();
}

/* ---- opening, acting, closing ---- */

static void open_level(struct level *level)
{
        struct ouro_group_options options = OURO_GROUP_OPTIONS_INIT;

        *level = (struct level){.kind = level->kind};
        options.successes = 1;
        if (level->kind == SCOPE)
                ouro_scope_open(&level->scope, OURO_SEC(1), NULL);
        else if (level->kind == SHIELD)
                ouro_shield_open(&level->scope);
        else if (level->kind == ENOUGH)
                ouro_group_open_with(&level->group, &options);
        else
                ouro_group_open(&level->group, level->kind == KEEP ? OURO_GROUP_KEEP : 0, NULL);
        if (!is_group(level))
                return;
        level->sleeper = ouro_create_task(sleeps, NULL);
        level->prompter = ouro_create_task(ends_when_told, level);
        settle();
}

/* A member ends: one kind of group has failed then, one has enough, one only remembers the error. */
static void act_by_member(int i)
{
        struct level *level = &levels[i];

        if (level->prompted)
                return;
        if (level->kind != ENOUGH)
                level->error = -EIO;
        prompt(level, level->kind == ENOUGH ? 0 : -EIO);
        if (level->kind == KEEP)
                return;
        level->over = true;
        model_cut(i, level->prompter);
}

static void act_on_group(int i)
{
        cr_assert_eq(ouro_group_cancel(&levels[i].group), 0);
        if (levels[i].cut)
                return;
        levels[i].cut = true;
        levels[i].origin = ouro_self();
}

static void act_on_scope(int i, bool by_time)
{
        struct level *level = &levels[i];
        int refused = level->expired ? -ETIME : level->over ? -ECANCELED : 0;

        if (by_time)
                cr_assert_eq(ouro_scope_reschedule(&level->scope, 0), refused, "%s", what);
        else
                cr_assert_eq(ouro_scope_cancel(&level->scope), 0, "%s", what);
        if (refused)
                return;
        level->expired |= by_time;
        level->over |= !by_time;
        model_cut(i + 1, ouro_self());
}

/* 0: the task is cancelled; from then on two for each level. False: there is no such thing. */
static bool act(int action)
{
        int i = (action - 1) / 2;
        bool first = (action - 1) % 2 == 0;

        if (action == 0) {
                cr_assert_eq(ouro_cancel(ouro_self()), 0);
                if (!task_cancelled)
                        model_cut(0, ouro_self());
                task_cancelled = true;
                return true;
        }
        if (levels[i].kind == SHIELD)
                return false;
        if (levels[i].kind == SCOPE)
                act_on_scope(i, first);
        else if (first)
                act_by_member(i);
        else
                act_on_group(i);
        return true;
}

static void check_members(const struct level *level)
{
        struct ouro_cancellation info = OURO_CANCELLATION_INIT;

        cr_assert_eq(ouro_cancel_info(level->sleeper, &info), 0);
        cr_assert_eq(info.reason != OURO_NOT_CANCELLED, level->cut, "%s: reason %d", what, info.reason);
        if (level->cut)
                cr_assert(same(info.origin, level->origin), "%s: another origin", what);
}

static void close_group(struct level *level, int interrupt)
{
        if (interrupt == 0)
                cr_assert_eq(ouro_group_cancel(&level->group), 0);
        if (!level->prompted)
                prompt(level, -ECANCELED);
        cr_assert_eq(ouro_group_close(&level->group), model_close(level, interrupt), "%s: interrupt %d", what,
                     interrupt);
}

static void close_level(int i)
{
        struct level *level = &levels[i];
        int interrupt = model_interrupt(i + 1);

        cr_assert_eq(ouro_yield(), interrupt, "%s: inside level %d, not %d", what, i, interrupt);
        if (is_group(level)) {
                close_group(level, interrupt);
                return;
        }
        cr_assert_eq(ouro_scope_close(&level->scope), level->expired, "%s", what);
        cr_assert_eq(ouro_scope_cancelled(&level->scope), level->over, "%s", what);
}

static void describe(int a, int b)
{
        int n = 0;

        for (int i = 0; i < depth; i++)
                n += sprintf(what + n, "%s ", (const char *[]){"G", "K", "E", "S", "H"}[levels[i].kind]);
        sprintf(what + n, "with %d, then %d", a, b);
}

struct pair {
        int first, second;
};

static intptr_t nests(void *arg)
{
        const struct pair *pair = arg;

        task_cancelled = false;
        describe(pair->first, pair->second);
        for (int i = 0; i < depth; i++)
                open_level(&levels[i]);
        act(pair->first);
        act(pair->second);
        settle();
        for (int i = 0; i < depth; i++)
                if (is_group(&levels[i]))
                        check_members(&levels[i]);
        for (int i = depth; i-- > 0;)
                close_level(i);
        cr_assert_eq(ouro_yield(), model_interrupt(0), "%s", what);
        return 7;
}

/* Every pair of things, in this nesting. */
static void each_pair(void)
{
        int actions = 1 + 2 * depth;

        for (int i = 0; i < actions * actions; i++) {
                struct pair pair = {i / actions, i % actions};
                ouro_task task = ouro_create_task(nests, &pair);

                cr_assert_eq(ouro_await(task), 7);
        }
}

static void each_nesting(int n)
{
        int nestings = 1;

        depth = n;
        for (int i = 0; i < n; i++)
                nestings *= KINDS;
        for (int code = 0; code < nestings; code++) {
                for (int i = 0, rest = code; i < n; i++, rest /= KINDS)
                        levels[i].kind = (enum kind)(rest % KINDS);
                each_pair();
        }
}

RUN_VIRTUAL(nesting, one_and_two_deep_is_as_the_rules_say)
{
        catch_log();
        each_nesting(1);
        each_nesting(2);
        cr_assert_eq(logged(), 0u);
}

RUN_VIRTUAL(nesting, three_deep_is_as_the_rules_say)
{
        catch_log();
        each_nesting(3);
        cr_assert_eq(logged(), 0u);
}

RUN_VIRTUAL(nesting, four_deep_is_as_the_rules_say, .timeout = 100)
{
        catch_log();
        each_nesting(4);
        cr_assert_eq(logged(), 0u);
}
