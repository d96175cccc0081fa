/* fake_backend.c - see the header. A wait that nothing could end fails the test. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "support/fake_backend.h"

struct fake fake = {.room = FAKE_MOST, .room_a_wait = FAKE_MOST};

void fake_reset(void)
{
        fake = (struct fake){.room = FAKE_MOST, .room_a_wait = FAKE_MOST};
}

static int open_fake(struct ring *ring, const struct ring_config *config)
{
        (void)config;
        fake.ring = ring;
        return 0;
}

int fake_open(struct ring *ring, struct sched *sched)
{
        const struct ring_config config = {0};

        return ring_open(ring, sched, &fake_backend, &config);
}

static void close_fake(struct ring *ring)
{
        cr_assert(ring == fake.ring);
        cr_assert(fake.ops_len == 0, "closed with %zu operations under way", fake.ops_len);
}

static bool take_room(void)
{
        if (fake.room == 0)
                return false;
        fake.room--;
        return true;
}

static bool submit(struct ring *ring, struct op *op)
{
        (void)ring;
        if (!take_room())
                return false;
        cr_assert(fake.ops_len < FAKE_MOST);
        fake.ops[fake.ops_len++] = op;
        return true;
}

static bool cancel(struct ring *ring, struct op *op)
{
        (void)ring;
        cr_assert(fake_has(op), "cancel of an op that is not under way");
        if (!take_room())
                return false;
        cr_assert(fake.cancels_len < FAKE_MOST);
        fake.cancels[fake.cancels_len++] = op;
        return true;
}

bool fake_has(const struct op *op)
{
        for (size_t i = 0; i < fake.ops_len; i++)
                if (fake.ops[i] == op)
                        return true;
        return false;
}

bool fake_was_cancelled(const struct op *op)
{
        for (size_t i = 0; i < fake.cancels_len; i++)
                if (fake.cancels[i] == op)
                        return true;
        return false;
}

void fake_complete(struct op *op, int32_t res, uint32_t flags)
{
        size_t i = 0;

        while (i < fake.ops_len && fake.ops[i] != op)
                i++;
        cr_assert(i < fake.ops_len, "completion of an op that is not under way");
        if (!(flags & IORING_CQE_F_MORE)) {
                fake.ops_len--;
                memmove(&fake.ops[i], &fake.ops[i + 1], (fake.ops_len - i) * sizeof *fake.ops);
        }
        ring_complete(fake.ring, op->sqe.user_data, res, flags);
}

/* Ends what it was asked to end. True: something was. */
static bool obey(void)
{
        size_t len = fake.cancels_len;
        bool ended = false;

        for (size_t i = 0; i < len && !fake.deaf; i++) {
                if (!fake_has(fake.cancels[i]))
                        continue;
                fake_complete(fake.cancels[i], -ECANCELED, 0);
                ended = true;
        }
        return ended;
}

static int wait(struct ring *ring, int64_t timeout_ns)
{
        size_t ops_len = fake.ops_len;
        int error = fake.error;
        bool ended;

        cr_assert(ring == fake.ring);
        fake.waits++;
        fake.timeout_ns = timeout_ns;
        fake.room = fake.room_a_wait;
        fake.error = 0;
        ended = obey();
        if (fake.script)
                fake.script(&fake);
        if (timeout_ns < 0 && error == 0 && !ended && fake.ops_len == ops_len && fake.wakes == 0)
                cr_assert_fail("would wait for ever, with %zu operations under way", ops_len);
        fake.wakes = 0;
        return error;
}

static void wake(struct ring *ring)
{
        (void)ring;
        fake.wakes++;
}

const struct backend fake_backend = {
        .name = "fake",
        .open = open_fake,
        .close = close_fake,
        .submit = submit,
        .cancel = cancel,
        .wait = wait,
        .wake = wake,
};
