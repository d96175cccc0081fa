/* dial_race.c - a name's addresses race for the connection (RFC 8305).
 *
 * Each attempt is a task of one group; the caller starts the next one when the last has failed or has taken
 * too long. The first that connects wins. The group is closed before the outcome is told, so that no attempt
 * outlives the call: one that connects after the winner closes its descriptor itself. */
#include <errno.h>

#include "base/alloc.h"
#include "coro/coro.h"
#include "io/dial.h"

struct race {
        const struct dial *dial;
        struct ouro_semaphore ended; /* one unit for each attempt that has ended */
        size_t running;
        int winner; /* descriptor, or less than zero */
        int error;  /* the most telling one so far; 0: none */
};

struct attempt {
        struct race *race;
        const struct ouro_address *to;
};

/* ---- order ---- */

/* Families take turns, the preferred one first; within each the order stays. */
static void interleave(const struct ouro_addresses *found, const struct ouro_address **order)
{
        const struct ouro_address *all = found->all;
        size_t at[2] = {0, 0}; /* the next of the first one's family, and of the others */

        for (size_t n = 0; n < found->count; n++) {
                size_t turn = n % 2;

                for (int tries = 0; tries < 2; tries++, turn = !turn) {
                        while (at[turn] < found->count &&
                               (all[at[turn]].storage.ss_family != all[0].storage.ss_family) != turn)
                                at[turn]++;
                        if (at[turn] < found->count)
                                break;
                }
                order[n] = &all[at[turn]++];
        }
}

/* ---- which error to tell ---- */

/* How much an error tells: that somebody answered is more than that there was no way. */
static int weight(int error)
{
        switch (error) {
        case 0:
                return -1;
        case -ECANCELED:
        case -ETIME:
                return 0;
        case -ENETUNREACH:
        case -EHOSTUNREACH:
        case -EADDRNOTAVAIL:
        case -EAFNOSUPPORT:
                return 1;
        case -EMFILE:
        case -ENFILE:
        case -ENOMEM:
        case -ENOBUFS:
        case -EACCES:
        case -EPERM:
                return 2;
        default:
                return 3;
        }
}

static void note_error(struct race *race, int error)
{
        if (weight(error) > weight(race->error))
                race->error = error;
}

/* ---- attempts ---- */

static intptr_t attempt(void *arg)
{
        struct attempt *self = arg;
        struct race *race = self->race;
        int fd = dial_one(race->dial, self->to);

        if (fd < 0)
                note_error(race, fd);
        else if (race->winner < 0)
                race->winner = fd;
        else
                ouro_close(fd);
        race->running--;
        ouro_semaphore_release(&race->ended);
        return 0;
}

static void start(struct ouro_group *group, struct attempt *self)
{
        struct ouro_task_options options = OURO_TASK_OPTIONS_INIT;
        ouro_task task;

        options.name = "attempt to connect";
        options.group = group;
        self->race->running++;
        task = ouro_create_task_with(&options, attempt, self);
        if (ouro_task_state(task) >= 0)
                return;
        self->race->running--;
        note_error(self->race, -ENOMEM);
}

/* Until an attempt has ended, or the next one's time has come. 0, or how the caller was cut short. */
static int wait_a_while(struct race *race, int64_t ns)
{
        int error = 0;

        OURO_TIMEOUT(ns) {
                error = ouro_semaphore_acquire(&race->ended);
        }
        return error == -ETIME ? sched_current->current->interrupt : error;
}

/* 0, or how the caller was cut short. */
static int run(struct race *race, struct ouro_group *group, struct attempt *attempts, size_t n)
{
        bool one_by_one = race->dial->options.flags & OURO_DIAL_NO_RACE;
        size_t next = 0;
        int error = 0;

        while (error == 0 && race->winner < 0 && (next < n || race->running > 0)) {
                if (next < n)
                        start(group, &attempts[next++]);
                if (race->running > 0)
                        error = wait_a_while(race, next < n && !one_by_one
                                                           ? race->dial->options.attempt_delay_ns
                                                           : OURO_FOREVER);
        }
        return error;
}

static int race_all(const struct dial *dial, const struct ouro_address **order, struct attempt *attempts,
                    size_t n)
{
        struct race race = {.dial = dial, .ended = OURO_SEMAPHORE_INIT(0), .winner = -1};
        struct ouro_group group;
        int error;

        for (size_t i = 0; i < n; i++)
                attempts[i] = (struct attempt){.race = &race, .to = order[i]};
        ouro_group_open(&group, OURO_GROUP_KEEP, NULL);
        error = run(&race, &group, attempts, n);
        ouro_group_cancel(&group);
        ouro_group_close(&group);
        if (race.winner >= 0) /* also if the caller has been cut short meanwhile: it is not lost */
                return race.winner;
        return error < 0 ? error : race.error;
}

/* ---- all of it ---- */

static int dial_addresses(const struct dial *dial, const struct ouro_addresses *found)
{
        size_t bytes = found->count * (sizeof(struct attempt) + sizeof(struct ouro_address *));
        struct attempt *attempts;
        const struct ouro_address **order;
        int result;

        if (found->count == 1)
                return dial_one(dial, &found->all[0]);
        attempts = mem_alloc(bytes);
        if (!attempts)
                return -ENOMEM;
        order = (const struct ouro_address **)(attempts + found->count);
        interleave(found, order);
        result = race_all(dial, order, attempts, found->count);
        mem_free(attempts, bytes);
        return result;
}

int dial_name(const struct dial *dial, const struct address *address)
{
        struct ouro_resolve_options options = dial->resolve;
        struct ouro_addresses *found;
        int gai = 0, result;

        options.ret_gai = &gai;
        options.type = address->of.type;
        if (address->family != AF_UNSPEC)
                options.family = address->family;
        result = ouro_resolve(address->host, address->service, &options, &found);
        if (dial->options.ret_gai)
                *dial->options.ret_gai = gai;
        if (dial->resolve.ret_gai)
                *dial->resolve.ret_gai = gai;
        if (result < 0)
                return result;
        result = dial_addresses(dial, found);
        ouro_addresses_free(found);
        return result;
}
