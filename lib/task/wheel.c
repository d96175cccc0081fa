/* wheel.c - the timing wheel; wheel.h draws it. */
#include "base/check.h"
#include "task/wheel.h"

void wheel_init(struct wheel *wheel, unsigned shift, int64_t now_ns)
{
        wheel->shift = shift;
        wheel->tick = (uint64_t)now_ns >> shift;
        for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
                wheel->occupied[level] = 0;
                for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
                        list_init(&wheel->slots[level][slot]);
        }
}

/* The first tick that begins at or after ns: a timer never fires early. */
static inline uint64_t tick_of(const struct wheel *wheel, const struct ouro_timer *timer)
{
        uint64_t ns = timer->deadline >> 1;

        return (ns + ((1ull << wheel->shift) - 1)) >> wheel->shift;
}

static inline void place(struct wheel *wheel, struct ouro_timer *timer, uint64_t tick)
{
        unsigned level = (63 - (unsigned)__builtin_clzll((tick ^ wheel->tick) | 1)) / 6;
        unsigned slot = (tick >> (6 * level)) & (WHEEL_SLOTS - 1);
        uint64_t bit = 1ull << slot;
        struct ouro_list *head;

        head = &wheel->slots[level][slot];
        if (!(wheel->occupied[level] & bit)) { /* nothing in it need be read */
                timer->link.next = timer->link.prev = head;
                head->next = head->prev = &timer->link;
                wheel->occupied[level] |= bit;
        } else {
                list_push(head, &timer->link);
        }
}

void wheel_arm(struct wheel *wheel, struct ouro_timer *timer, int64_t deadline_ns, enum timer_kind kind)
{
        uint64_t tick;

        timer->deadline = (uint64_t)deadline_ns << 1 | (uint64_t)kind;
        tick = tick_of(wheel, timer);
        check(tick > wheel->tick);
        place(wheel, timer, tick);
}

void wheel_cancel(struct wheel *wheel, struct ouro_timer *timer)
{
        struct ouro_list *head = timer->link.next;
        size_t index;

        if (head != timer->link.prev) { /* there are others in its slot */
                list_del(&timer->link);
                return;
        }
        list_init(head);
        index = (size_t)(head - &wheel->slots[0][0]);
        check(index < WHEEL_LEVELS * WHEEL_SLOTS);
        wheel->occupied[index / WHEEL_SLOTS] &= ~(1ull << index % WHEEL_SLOTS);
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

                place(wheel, timer, tick_of(wheel, timer));
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
