/* A program may be started without standard streams: what a loop opens for itself does not take their place.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/in_loop.h"

enum { STREAMS = 3 };

/* Run where nothing can be said but by a status: 0, or what does not hold. */
static intptr_t look(void *arg)
{
        char byte;

        (void)arg;
        for (int fd = 0; fd < STREAMS; fd++) {
                if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
                        return 10 + fd;
                if (ouro_read(fd, &byte, 1) != -EBADF)
                        return 20 + fd;
                if (ouro_write(fd, "", 1) != -EBADF)
                        return 30 + fd;
        }
        return 0;
}

static int run_a_loop(void)
{
        return (int)ouro_run(look, NULL);
}

static int embed_a_loop(void)
{
        ouro_loop *loop;
        char byte;

        if (ouro_loop_open(NULL, look, NULL, &loop) < 0)
                return 1;
        for (int fd = 0; fd < STREAMS; fd++)
                if (read(fd, &byte, 1) >= 0 || errno != EBADF)
                        return 40 + fd;
        return ouro_loop_fd(loop) < STREAMS ? 2 : 0;
}

/* Its wait status. */
static int without_streams(int (*fn)(void))
{
        int status = -1;
        pid_t child = fork();

        cr_assert(child >= 0);
        if (child == 0) {
                for (int fd = 0; fd < STREAMS; fd++)
                        close(fd);
                _exit(fn());
        }
        EQ(waitpid(child, &status, 0), child);
        return status;
}

Test(standard_streams, a_loop_takes_no_number_of_theirs)
{
        EQ(without_streams(run_a_loop), 0);
}

Test(standard_streams, nor_does_one_in_another_loop)
{
        EQ(without_streams(embed_a_loop), 0);
}
