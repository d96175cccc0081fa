/* stress_idle.c - rounds that need no kernel object: sleeps, and channels with a task at either end. */
#include "stress.h"
#include "tool.h"

#include <errno.h>

enum {
        SLEEP_MS_MAX = 20,
        CHANNEL_CAPACITY_MAX = 16, /* 0, a rendezvous, is among them */
        CHANNEL_ITEMS_MAX = 256,
};

/* Earliness is judged by the loop's clock, by which it was asked for; lateness by the real one. */
static int sleep_once(struct slot *slot, int64_t ns)
{
        int64_t begin_ns = tool_now_ns(), loop_begin_ns = ouro_now();
        struct kind_totals *kind = slot_totals(slot);
        int r = ouro_sleep(ns);

        if (r < 0)
                return r;
        if (ouro_now() - loop_begin_ns < ns)
                return -EBADE;
        kind->done++;
        histogram_add(&kind->latency_ns, tool_now_ns() - begin_ns - ns);
        return 0;
}

intptr_t sleep_round(void *arg)
{
        struct slot *slot = arg;
        int64_t ns = (int64_t)random_below(&slot->random, OURO_MS(SLEEP_MS_MAX));
        int r = 0;

        OURO_TIMEOUT(slot_limit(slot, STRESS_STEP_NS)) {
                r = sleep_once(slot, ns);
        }
        return r;
}

struct item {
        uint64_t sequence;
        int64_t sent_ns;
};

struct channel {
        struct slot *slot;
        ouro_chan *chan;
        uint64_t items;
        uint64_t received;
};

static intptr_t send_items(void *arg)
{
        struct channel *channel = arg;
        struct item item;
        int r = 0;

        for (item.sequence = 0; item.sequence < channel->items && r == 0; item.sequence++) {
                item.sent_ns = tool_now_ns();
                r = ouro_chan_send(channel->chan, &item);
        }
        ouro_chan_close(channel->chan);
        return r;
}

static intptr_t receive_items(void *arg)
{
        struct channel *channel = arg;
        struct kind_totals *kind = slot_totals(channel->slot);
        struct item item;
        int r;

        while ((r = ouro_chan_recv(channel->chan, &item)) == 0) {
                if (item.sequence != channel->received)
                        return -EBADMSG;
                channel->received++;
                kind->done++;
                kind->bytes += sizeof(item);
                histogram_add(&kind->latency_ns, tool_now_ns() - item.sent_ns);
        }
        return r == -EPIPE ? 0 : r;
}

static int pass_items(struct channel *channel)
{
        ouro_task ends[2];
        int r = 0, error = 0;

        OURO_GROUP(both, &error) {
                ends[0] = ouro_create_task(send_items, channel);
                ends[1] = ouro_create_task(receive_items, channel);
                r = ouro_gather(ends, 2, NULL);
        }
        if (r < 0 || error < 0)
                return r < 0 ? r : error;
        return channel->received == channel->items ? 0 : -ENODATA;
}

intptr_t channel_round(void *arg)
{
        struct slot *slot = arg;
        struct channel channel = {.slot = slot};
        int r = 0, freed;

        channel.items = 1 + random_below(&slot->random, CHANNEL_ITEMS_MAX);
        channel.chan = ouro_chan_new(sizeof(struct item), random_below(&slot->random, CHANNEL_CAPACITY_MAX));
        if (!channel.chan)
                return -ENOMEM;
        OURO_TIMEOUT(slot_limit(slot, STRESS_STEP_NS)) {
                r = pass_items(&channel);
        }
        freed = ouro_chan_free(channel.chan);
        return r < 0 ? r : freed;
}
