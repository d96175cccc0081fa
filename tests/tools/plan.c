/* Of tools/plan.c: plans can be repeated, keep to what is allowed, and leave nothing out. */
#include "../../tools/plan.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

enum { PLANS = 20000 };

static struct corpus corpus;

static void begin(void)
{
        cr_assert_eq(corpus_make(&corpus, 3), 0);
}

static void end(void)
{
        corpus_free(&corpus);
}

TestSuite(plan, .init = begin, .fini = end);

static const struct plan_mood plain = {.bounded = true}, calm = {.chaos = true, .bounded = true},
                              storm = {.chaos = true, .cut = true, .bounded = true},
                              harm = {.chaos = true, .cut = true, .harm = true, .bounded = true};

Test(plan, same_stream_same_plans)
{
        struct random a = random_stream(5, 1), b = random_stream(5, 1);
        struct plan of_a, of_b;

        for (unsigned i = 0; i < PLANS; i++) {
                plan_make(&of_a, &a, &corpus, &harm);
                plan_make(&of_b, &b, &corpus, &harm);
                cr_assert_eq(of_a.piece, of_b.piece);
                cr_assert_eq(of_a.kill, of_b.kill);
                cr_assert_eq(of_a.copy_len, of_b.copy_len);
                cr_assert_eq(of_a.deadline_ns, of_b.deadline_ns);
        }
}

Test(plan, plain_jobs_do_no_harm_and_copy_all)
{
        struct random random = random_stream(1, 1);
        struct plan plan;

        for (unsigned i = 0; i < PLANS; i++) {
                plan_make(&plan, &random, &corpus, &plain);
                cr_assert_eq(plan.kill, CHAOS_NONE);
                cr_assert_eq(plan.retries, 0);
                cr_assert_eq(plan.deadline_ns, 0);
                cr_assert_not(plan.nameless);
                cr_assert_gt(plan.level, 0);
                cr_assert_eq(plan.copy_len, plan.piece_len);
        }
}

Test(plan, in_a_calm_nothing_is_harmed_or_cut)
{
        struct random random = random_stream(1, 2);
        struct plan plan;

        for (unsigned i = 0; i < PLANS; i++) {
                plan_make(&plan, &random, &corpus, &calm);
                cr_assert_eq(plan.kill, CHAOS_NONE);
                cr_assert_eq(plan.deadline_ns, 0);
        }
}

Test(plan, all_sizes_and_places_come_about)
{
        struct random random = random_stream(1, 3);
        unsigned empty = 0, tiny = 0, huge = 0, nameless = 0, retried = 0, cut = 0, places = 0, other_len = 0;
        struct plan plan;

        for (unsigned i = 0; i < PLANS; i++) {
                plan_make(&plan, &random, &corpus, &storm);
                size_t len = (size_t)plan.piece_len * plan.times;

                cr_assert_leq(plan.piece_len, plan.piece->len);
                cr_assert_leq(plan.times, PLAN_TIMES_MAX);
                cr_assert_leq(plan.retries, PLAN_RETRIES_MAX);
                cr_assert(!plan.nameless || plan.retries == 0);
                empty += len == 0;
                tiny += len > 0 && len <= 300;
                huge += len > 2 << 20;
                nameless += plan.nameless;
                retried += plan.retries > 0;
                cut += plan.deadline_ns > 0;
                other_len += plan.copy_len != len;
                places |= 1u << (2 * plan.in_arena + plan.out_arena);
        }
        cr_assert(empty && tiny && huge && nameless && retried && cut && other_len);
        cr_assert_eq(places, 15);
}

Test(plan, every_way_to_die_comes_about_and_has_a_deadline)
{
        struct random random = random_stream(1, 4);
        unsigned seen[CHAOS_IN_JOBS] = {0}, every_attempt = 0;
        struct plan plan;

        for (unsigned i = 0; i < PLANS; i++) {
                plan_make(&plan, &random, &corpus, &harm);
                cr_assert_lt(plan.kill, CHAOS_IN_JOBS);
                cr_assert_gt(plan.deadline_ns, 0);
                cr_assert_gt(plan.kill_attempts, 0);
                cr_assert_not(plan.nameless);
                seen[plan.kill]++;
                every_attempt += plan.kill_attempts == PLAN_EVERY_ATTEMPT;
        }
        cr_assert_eq(seen[CHAOS_NONE], 0);
        for (unsigned kill = CHAOS_NONE + 1; kill < CHAOS_IN_JOBS; kill++)
                cr_assert_gt(seen[kill], 0, "%s", chaos_kill_names[kill]);
        cr_assert_gt(every_attempt, 0);
}

Test(plan, memory_is_not_used_up_where_nothing_bounds_it)
{
        struct random random = random_stream(1, 5);
        struct plan_mood unbounded = harm;
        struct plan plan;

        unbounded.bounded = false;
        for (unsigned i = 0; i < PLANS; i++) {
                plan_make(&plan, &random, &corpus, &unbounded);
                cr_assert_neq(plan.kill, CHAOS_JOB_MEMORY);
        }
}

Test(plan, kills_have_names_and_signals)
{
        for (unsigned kill = 0; kill < CHAOS_KILLS; kill++) {
                cr_assert_not_null(chaos_kill_names[kill]);
                for (unsigned other = 0; other < kill; other++)
                        cr_assert_neq(strcmp(chaos_kill_names[kill], chaos_kill_names[other]), 0);
        }
        cr_assert_eq(chaos_signal(CHAOS_ZYGOTE_STOP_KILL), SIGKILL);
        cr_assert_eq(chaos_signal(CHAOS_JOB_EXIT), 0);
        cr_assert(chaos_endless(CHAOS_JOB_STOP) && chaos_endless(CHAOS_JOB_STUBBORN));
        cr_assert_not(chaos_endless(CHAOS_JOB_KILL));
}
