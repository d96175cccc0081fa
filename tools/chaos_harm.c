/* chaos_harm.c - how a job ends the worker process that it runs in, or the zygote that it came from.
 *
 * No number of a process is trusted: a job signals itself, or its parent through a descriptor that was taken
 * while it certainly was the parent. Every way is deadly by itself or ends in a wait for ever, which the
 * job's deadline cuts off; the one exception is a child left behind, after which the job goes on. */
#include "process.h"

#include "census.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void wait_for_ever(void)
{
        for (;;)
                pause();
}

/* The crash handler of the worker is in force: the signal is a real one where that can be had. */
static void touch_nothing(void)
{
        volatile char *volatile nowhere = NULL;

        *nowhere = 1;
}

/* The pool has set a limit; where it has none (see process_pool.c) this is never asked for. */
static void use_up_memory(void)
{
        enum { CHUNK_BYTES = 4 << 20 };

        for (;;) {
                volatile char *chunk = malloc(CHUNK_BYTES);

                if (!chunk)
                        abort();
                chunk[0] = chunk[CHUNK_BYTES - 1] = 1;
        }
}

static unsigned __attribute__((noinline)) use_up_stack(unsigned depth)
{
        volatile char frame[1024];

        frame[0] = (char)depth;
        if (depth == UINT_MAX)
                return 0;
        return use_up_stack(depth + 1) + (unsigned)frame[0];
}

static void be_stubborn(void)
{
        volatile uint64_t turns = 0;

        signal(SIGTERM, SIG_IGN);
        for (;;)
                turns++;
}

/* It holds what its worker had inherited, and would hold it for ever. */
static void leave_child(void)
{
        if (fork() == 0)
                wait_for_ever();
}

static void kill_zygote(const struct process_birth *birth)
{
        int parent = census_open_parent(birth->host);

        if (parent >= 0)
                syscall(SYS_pidfd_send_signal, parent, SIGKILL, NULL, 0);
        wait_for_ever();
}

static void raise_and_wait(int signal)
{
        raise(signal);
        wait_for_ever();
}

void chaos_harm(enum chaos_kill kill, const struct process_birth *birth)
{
        switch (kill) {
        case CHAOS_JOB_KILL:
                raise_and_wait(SIGKILL);
                break;
        case CHAOS_JOB_SEGV:
                touch_nothing();
                break;
        case CHAOS_JOB_ABORT:
                abort();
        case CHAOS_JOB_TERM:
                raise_and_wait(SIGTERM);
                break;
        case CHAOS_JOB_STOP:
                raise_and_wait(SIGSTOP);
                break;
        case CHAOS_JOB_EXIT:
                exit(CHAOS_EXIT_STATUS);
        case CHAOS_JOB_MEMORY:
                use_up_memory();
                break;
        case CHAOS_JOB_STACK:
                use_up_stack(0);
                break;
        case CHAOS_JOB_STUBBORN:
                be_stubborn();
                break;
        case CHAOS_JOB_CHILD:
                leave_child();
                break;
        case CHAOS_JOB_ZYGOTE:
                kill_zygote(birth);
                break;
        default:
                break;
        }
}
