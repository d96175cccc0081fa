/* inherit.c - putting descriptors at given numbers in a process that uses some of those itself.
 *
 * First every wanted number is taken by something, so that a free number is one that nobody wants; then what
 * is in the way moves to free ones. */
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/sys.h"
#include "executors/inherit.h"

int inherit_add(struct inherited *inherited, int fd, int number)
{
        if (fd < 0 || number < 3 || inherited->len == INHERITED_MOST)
                return -EINVAL;
        inherited->all[inherited->len].fd = fd;
        inherited->all[inherited->len].number = number;
        inherited->len++;
        return 0;
}

static bool is_wanted(const struct inherited *inherited, int fd)
{
        for (size_t i = 0; i < inherited->len; i++)
                if (inherited->all[i].number == fd)
                        return true;
        return false;
}

static int take_numbers(const struct inherited *inherited)
{
        int error = 0;

        for (size_t i = 0; i < inherited->len && error >= 0; i++)
                if (fcntl(inherited->all[i].number, F_GETFD) < 0)
                        error = sys_result(dup2(0, inherited->all[i].number));
        return error < 0 ? error : 0;
}

/* What it leaves is overwritten by that which wants its number. */
static int make_way(const struct inherited *inherited, int *fd)
{
        int moved;

        if (*fd < 0 || !is_wanted(inherited, *fd))
                return 0;
        moved = sys_result(fcntl(*fd, F_DUPFD_CLOEXEC, 3));
        if (moved < 0)
                return moved;
        *fd = moved;
        return 0;
}

static int move(int fd, int number)
{
        int error =
                sys_result(dup2(fd, number)); /* which is not closed on exec: a job's programs have it, too */

        close(fd);
        return error < 0 ? error : 0;
}

int inherit_place(struct inherited *inherited, int *const own[])
{
        int error = take_numbers(inherited);

        for (size_t i = 0; own[i] && error == 0; i++)
                error = make_way(inherited, own[i]);
        for (size_t i = 0; i < inherited->len && error == 0; i++)
                error = make_way(inherited, &inherited->all[i].fd);
        for (size_t i = 0; i < inherited->len && error == 0; i++)
                error = move(inherited->all[i].fd, inherited->all[i].number);
        return error;
}
