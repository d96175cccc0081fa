/* fs.c - what calls that are made of several file calls share. */
#include <errno.h>
#include <unistd.h>

#include "base/sys.h"
#include "io/fs.h"

struct uncut {
        intptr_t (*fn)(void *arg);
        void *arg;
        intptr_t result;
        bool done;
};

static intptr_t do_uncut(void *arg)
{
        struct uncut *call = arg;

        call->result = call->fn(call->arg);
        call->done = true;
        return 0;
}

intptr_t fs_call_uncut(intptr_t (*fn)(void *arg), void *arg)
{
        struct uncut call = {.fn = fn, .arg = arg};
        struct ouro_scope shield;

        if (sched_current) {
                ouro_shield_open(&shield);
                (void)op_call(do_uncut, &call);
                ouro_scope_close(&shield);
        }
        if (!call.done)
                do_uncut(&call);
        return call.result;
}

int fs_adopt(int fd)
{
        if (fd >= 0 && sched_current)
                ring_forget_fd(sched_current->ring, fd);
        return fd;
}

void fs_close(int fd)
{
        if (fd >= 0)
                (void)sys_result(close(fs_adopt(fd)));
}

int fs_enter(const struct sched *owner)
{
        const struct sched *sched = sched_current;

        if (!sched || (owner && owner != sched))
                return -EPERM;
        return sched->current->interrupt;
}
