/* wheel.h - the timers of one loop: a hierarchical timing wheel.
 *
 * G. Varghese, T. Lauck: "Hashed and Hierarchical Timing Wheels", 1987, scheme 7. Arming and cancelling
 * take the same few steps whatever the number of timers. Eleven levels of 64 slots cover 63 bits of ticks.
 *
 * A timer lies at the level of the highest digit (base 64) in which its tick differs from the wheel's. When
 * the wheel reaches a slot of a higher level, the slot's timers move down. Within a tick they fire in the
 * order of arming. A tick is 2^shift ns; with shift 0 (the virtual clock) every deadline is exact. */
#ifndef OURO_TASK_WHEEL_H
#define OURO_TASK_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"

enum { WHEEL_LEVELS = 11, WHEEL_SLOTS = 64, WHEEL_REAL_SHIFT = 16 };

/* What a timer is a part of; kept in the lowest bit of ouro_timer.deadline, the rest is ns. */
enum timer_kind { TIMER_SLEEP, TIMER_SCOPE };

struct wheel {
        uint64_t tick; /* all up to here have fired */
        unsigned shift;
        uint64_t round_up;               /* 2^shift - 1 */
        uint64_t occupied[WHEEL_LEVELS]; /* a bit per slot that has timers */
        struct ouro_list slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

static inline int64_t timer_ns(const struct ouro_timer *timer)
{
        return (int64_t)(timer->deadline >> 1);
}

static inline enum timer_kind timer_kind(const struct ouro_timer *timer)
{
        return (enum timer_kind)(timer->deadline & 1);
}

void wheel_init(struct wheel *wheel, unsigned shift, int64_t now_ns);

/* The first tick that begins at or after ns: a timer never fires early. */
static inline uint64_t wheel_tick_of(const struct wheel *wheel, const struct ouro_timer *timer)
{
        return ((timer->deadline >> 1) + wheel->round_up) >> wheel->shift;
}

static inline void wheel_place(struct wheel *wheel, struct ouro_timer *timer, uint64_t tick)
{
        unsigned level = (63 - (unsigned)__builtin_clzll((tick ^ wheel->tick) | 1)) / 6;
        unsigned slot = (tick >> (6 * level)) & (WHEEL_SLOTS - 1);
        uint64_t bit = 1ull << slot;
        struct ouro_list *head = &wheel->slots[level][slot];

        if (!(wheel->occupied[level] & bit)) { /* nothing in it need be read */
                timer->link.next = timer->link.prev = head;
                head->next = head->prev = &timer->link;
                wheel->occupied[level] |= bit;
        } else {
                list_push(head, &timer->link);
        }
}

/* Arms a timer that is not armed. deadline_ns lies after the time the wheel was last advanced to. */
static inline void wheel_arm(struct wheel *wheel, struct ouro_timer *timer, int64_t deadline_ns,
                             enum timer_kind kind)
{
        uint64_t tick;

        timer->deadline = (uint64_t)deadline_ns << 1 | (uint64_t)kind;
        tick = wheel_tick_of(wheel, timer);
        check(tick > wheel->tick);
        wheel_place(wheel, timer, tick);
}

/* Takes an armed timer out. */
static inline void wheel_cancel(struct wheel *wheel, struct ouro_timer *timer)
{
        struct ouro_list *next = timer->link.next, *prev = timer->link.prev;
        size_t index;

        if (next != prev) { /* there are others in its slot */
                prev->next = next;
                next->prev = prev;
                return;
        }
        list_init(next); /* the slot */
        index = (size_t)(next - &wheel->slots[0][0]);
        check(index < WHEEL_LEVELS * WHEEL_SLOTS);
        wheel->occupied[index / WHEEL_SLOTS] &= ~(1ull << index % WHEEL_SLOTS);
}

bool wheel_empty(const struct wheel *wheel);

/* Nothing fires before this (ns); maybe nothing then either, but the wheel wants to be advanced. Not empty.
 */
int64_t wheel_next(const struct wheel *wheel);

/* Takes out and gives to fire all timers due at now_ns, in the order of their ticks. fire may arm and
 * cancel others. Returns how many. */
size_t wheel_advance(struct wheel *wheel, int64_t now_ns, void (*fire)(void *arg, struct ouro_timer *timer),
                     void *arg);

#endif
