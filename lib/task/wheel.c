/* wheel.c - the timing wheel; wheel.h draws it. */
#include "base/check.h"
#include "task/wheel.h"

void wheel_init(struct wheel *wheel, unsigned shift, int64_t now_ns)
{
        wheel->shift = shift;
        wheel->round_up = (1ull << shift) - 1;
        wheel->tick = (uint64_t)now_ns >> shift;
        for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
                wheel->occupied[level] = 0;
                for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
                        list_init(&wheel->slots[level][slot]);
        }
}

bool wheel_empty(const struct wheel *wheel)
{
        for (unsigned level = 0; level < WHEEL_LEVELS; level++)
                if (wheel->occupied[level])
                        return false;
        return true;
}

/* The tick at which the next slot with timers begins, its level, and its number. The lowest level with one
 * has it: its ticks agree with the wheel's in all higher digits. */
static bool next_slot(const struct wheel *wheel, uint64_t *ret_tick, unsigned *ret_level, unsigned *ret_slot)
{
        for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
                unsigned shift = 6 * level;
                uint64_t upper = shift + 6 < 64 ? wheel->tick >> (shift + 6) << (shift + 6) : 0;

                if (!wheel->occupied[level])
                        continue;
                *ret_slot = (unsigned)__builtin_ctzll(wheel->occupied[level]);
                *ret_level = level;
                *ret_tick = upper | (uint64_t)*ret_slot << shift;
                return true;
        }
        return false;
}

int64_t wheel_next(const struct wheel *wheel)
{
        uint64_t tick = 0;
        unsigned level, slot;

        check(next_slot(wheel, &tick, &level, &slot));
        return (int64_t)(tick << wheel->shift);
}

static size_t fire_slot(struct wheel *wheel, unsigned slot, void (*fire)(void *arg, struct ouro_timer *timer),
                        void *arg)
{
        struct ouro_list *head = &wheel->slots[0][slot];
        size_t fired = 0;

        for (; !list_empty(head); fired++) {
                struct ouro_timer *timer = container_of(head->next, struct ouro_timer, link);

                __builtin_prefetch(timer->link.next->next);
                wheel_cancel(wheel, timer);
                fire(arg, timer);
        }
        return fired;
}

static void move_down(struct wheel *wheel, unsigned level, unsigned slot)
{
        struct ouro_list moving, *node, *tmp;

        list_init(&moving);
        list_splice(&moving, &wheel->slots[level][slot]);
        wheel->occupied[level] &= ~(1ull << slot);
        list_each_safe(node, tmp, &moving) {
                struct ouro_timer *timer = container_of(node, struct ouro_timer, link);

                wheel_place(wheel, timer, wheel_tick_of(wheel, timer));
        }
}

size_t wheel_advance(struct wheel *wheel, int64_t now_ns, void (*fire)(void *arg, struct ouro_timer *timer),
                     void *arg)
{
        uint64_t to = (uint64_t)now_ns >> wheel->shift, tick = 0;
        unsigned level, slot;
        size_t fired = 0;

        while (next_slot(wheel, &tick, &level, &slot) && tick <= to) {
                wheel->tick = tick;
                if (level > 0)
                        move_down(wheel, level, slot);
                else
                        fired += fire_slot(wheel, slot, fire, arg);
        }
        if (to > wheel->tick)
                wheel->tick = to;
        return fired;
}
