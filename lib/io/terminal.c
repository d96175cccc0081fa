/* terminal.c - what a descriptor is, and what terminals can besides being read and written.
 *
 * A terminal is never set so that the call would wait until its output has gone (TCSADRAIN): somebody may
 * have stopped it by ctrl-S. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/sys.h"
#include "io/process.h"
#include "ring/op.h"

enum { ROWS = 24, COLUMNS = 80 };

struct ouro_terminal_state {
        struct termios before;
        int fd;
};

/* ---- standard streams ---- */

int ouro_standard_stream(const struct ouro_stream_options *options, ouro_stream **ret_stream)
{
        struct ouro_stream_options how = OURO_STREAM_OPTIONS_INIT;

        if (options && options_read(&how, sizeof how, options) < 0)
                return -EINVAL;
        how.borrowed = true;
        return ouro_stream_open_two(STDIN_FILENO, STDOUT_FILENO, &how, ret_stream);
}

/* ---- what it is ---- */

int ouro_fd_kind(int fd)
{
        struct winsize size;
        struct stat st;
        int error = sys_result(fstat(fd, &st));

        if (error < 0)
                return error;
        if (S_ISREG(st.st_mode))
                return OURO_FD_FILE;
        if (S_ISDIR(st.st_mode))
                return OURO_FD_DIRECTORY;
        if (S_ISFIFO(st.st_mode))
                return OURO_FD_PIPE;
        if (S_ISSOCK(st.st_mode))
                return OURO_FD_SOCKET;
        if (S_ISCHR(st.st_mode) && sys_result(ioctl(fd, TIOCGWINSZ, &size)) == 0)
                return OURO_FD_TERMINAL;
        return S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) ? OURO_FD_DEVICE : OURO_FD_OTHER;
}

/* ---- size ---- */

int ouro_window_size(int fd, struct ouro_window *ret_window)
{
        struct winsize size;
        int error;

        if (!ret_window)
                return -EINVAL;
        error = sys_result(ioctl(fd, TIOCGWINSZ, &size));
        if (error < 0)
                return error;
        *ret_window = (struct ouro_window){.rows = size.ws_row,
                                           .columns = size.ws_col,
                                           .x_pixels = size.ws_xpixel,
                                           .y_pixels = size.ws_ypixel};
        return 0;
}

int ouro_set_window_size(int fd, const struct ouro_window *window)
{
        struct winsize size;

        if (!window || window->rows > USHRT_MAX || window->columns > USHRT_MAX ||
            window->x_pixels > USHRT_MAX || window->y_pixels > USHRT_MAX)
                return -EINVAL;
        size = (struct winsize){.ws_row = (unsigned short)window->rows,
                                .ws_col = (unsigned short)window->columns,
                                .ws_xpixel = (unsigned short)window->x_pixels,
                                .ws_ypixel = (unsigned short)window->y_pixels};
        return sys_result(ioctl(fd, TIOCSWINSZ, &size));
}

/* ---- pseudo-terminals ---- */

/* By TIOCGPTPEER, not by name: /dev/pts may be another's. */
static int open_terminal_of(int master, const struct ouro_window *window)
{
        int unlocked = 0, fd, error = sys_result(ioctl(master, TIOCSPTLCK, &unlocked));

        if (error < 0)
                return error;
        fd = sys_result(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
        if (fd < 0)
                return fd;
        error = ouro_set_window_size(fd, window);
        if (error < 0) {
                (void)sys_result(close(fd));
                return error;
        }
        return fd;
}

int terminal_open_pair(const struct ouro_window *window, int *ret_master, int *ret_slave)
{
        const struct ouro_window usual = {.rows = ROWS, .columns = COLUMNS};
        int master = sys_result(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)), slave;

        if (master < 0)
                return master;
        slave = open_terminal_of(master, window->rows || window->columns ? window : &usual);
        if (slave < 0) {
                (void)sys_result(close(master));
                return slave;
        }
        *ret_master = master;
        *ret_slave = slave;
        return 0;
}

int ouro_pty_open(const struct ouro_window *window, int *ret_master, int *ret_terminal)
{
        const struct ouro_window none = {0};
        int error;

        if (!ret_master || !ret_terminal)
                return -EINVAL;
        error = terminal_open_pair(window ? window : &none, ret_master, ret_terminal);
        if (error == 0 && sched_current) {
                ring_forget_fd(sched_current->ring, *ret_master);
                ring_forget_fd(sched_current->ring, *ret_terminal);
        }
        return error;
}

/* ---- modes ---- */

static struct termios changed(struct termios before, enum ouro_terminal_mode mode)
{
        if (mode == OURO_TERMINAL_RAW) {
                cfmakeraw(&before);
        } else {
                before.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
                before.c_lflag |= ECHONL;
        }
        return before;
}

int ouro_terminal_set(int fd, enum ouro_terminal_mode mode, ouro_terminal_state **ret_state)
{
        struct ouro_terminal_state *state;
        struct termios wanted;
        int error;

        if (!ret_state || (unsigned)mode > OURO_TERMINAL_NO_ECHO)
                return -EINVAL;
        state = mem_alloc(sizeof *state);
        if (!state)
                return -ENOMEM;
        state->fd = fd;
        error = sys_result(tcgetattr(fd, &state->before));
        if (error == 0) {
                wanted = changed(state->before, mode);
                error = sys_result(tcsetattr(fd, TCSANOW, &wanted));
        }
        if (error < 0)
                mem_free(state, sizeof *state);
        else
                *ret_state = state;
        return error;
}

int ouro_terminal_restore(ouro_terminal_state *state)
{
        int error;

        if (!state)
                return 0;
        error = sys_result(tcsetattr(state->fd, TCSANOW, &state->before));
        mem_free(state, sizeof *state);
        return error;
}

/* ---- a password ---- */

/* A byte at a time, where the end of the line is not the end of what can be read: what follows it is somebody
 * else's. */
static ssize_t read_line(int fd, char *buf, size_t buf_bytes)
{
        size_t len = 0;

        for (;;) {
                char byte;
                ssize_t n = ouro_read(fd, &byte, 1);

                if (n < 0)
                        return n;
                if (n == 0 && len == 0)
                        return -ENODATA;
                if (n == 0 || byte == '\n')
                        break;
                if (len < buf_bytes)
                        buf[len] = byte;
                len++;
        }
        if (len >= buf_bytes)
                return -EMSGSIZE;
        buf[len] = '\0';
        return (ssize_t)len;
}

static ssize_t ask(int fd, int out, const char *prompt, char *buf, size_t buf_bytes)
{
        int error = prompt ? ouro_write_all(out, prompt, strlen(prompt), NULL) : 0;
        ssize_t len = error < 0 ? error : read_line(fd, buf, buf_bytes);

        if (len < 0)
                explicit_bzero(buf, buf_bytes);
        return len;
}

ssize_t ouro_read_password(const char *prompt, char *buf, size_t buf_bytes)
{
        ouro_terminal_state *state = NULL;
        int terminal, fd;
        ssize_t len;

        if (!buf || buf_bytes < 2)
                return -EINVAL;
        if (!sched_current)
                return -EPERM;
        terminal = ouro_open("/dev/tty", O_RDWR | O_NOCTTY, 0);
        if (terminal == -ECANCELED || terminal == -ETIME)
                return terminal;
        fd = terminal < 0 ? STDIN_FILENO : terminal;
        (void)ouro_terminal_set(fd, OURO_TERMINAL_NO_ECHO, &state); /* a pipe has no echo */
        len = ask(fd, terminal < 0 ? STDERR_FILENO : terminal, prompt, buf, buf_bytes);
        ouro_terminal_restore(state);
        if (terminal >= 0)
                ouro_close(terminal);
        return len;
}
