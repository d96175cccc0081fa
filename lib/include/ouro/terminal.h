/* ouro/terminal.h - what a descriptor is, terminals and pseudo-terminals. Included by ouro.h, whose
 * conventions hold. */
#ifndef OURO_TERMINAL_H
#define OURO_TERMINAL_H

#ifndef OURO_H
#error "include ouro.h instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- standard streams ------------------------------------------------------------------------- */

/**
 * ouro_standard_stream - a stream that reads stdin and writes stdout
 * @options: as ouro_stream_open(); borrowed, whatever it says
 * @ret_stream: to be closed by ouro_stream_close(), which leaves stdin and stdout open
 *
 * Lines come the same whether stdin is a file, a pipe or a terminal, and tasks run while one waits for them.
 * O_NONBLOCK is never set: a terminal's description is shared with the shell and others. What the stream has
 * buffered is lost to whoever reads stdin after it. It goes past stdio: who has printed to stdout calls
 * fflush(3) before writing to the stream, and what stdio has read from stdin does not come.
 *
 * Returns: as ouro_stream_open_two().
 */
OURO_API int ouro_standard_stream(const struct ouro_stream_options *options, ouro_stream **ret_stream);

/* ---- terminals -------------------------------------------------------------------------------- */

/* What stands behind a descriptor. */
enum ouro_fd_kind {
        OURO_FD_FILE = 1, /* a regular file */
        OURO_FD_DIRECTORY,
        OURO_FD_PIPE, /* or a FIFO */
        OURO_FD_SOCKET,
        OURO_FD_TERMINAL,
        OURO_FD_DEVICE, /* any other, /dev/null say */
        OURO_FD_OTHER,  /* eventfd, memfd's kin, ... */
};

/**
 * ouro_fd_kind - whether a descriptor is a file, a pipe, a terminal, ...
 * @fd: any descriptor
 *
 * Returns: an OURO_FD_...; -EBADF. Threads: from anywhere. Never waits.
 */
OURO_API int ouro_fd_kind(int fd);

/**
 * ouro_window_size - how large a terminal is
 * @fd: a terminal, or this process's end of a pseudo-terminal
 * @ret_window: filled in; 0 is what the terminal does not know
 *
 * When it changes, the processes in the terminal's foreground get SIGWINCH: wait for that by
 * ouro_signals_next(), and ask again.
 *
 * Returns: 0; -ENOTTY, -EBADF; -EINVAL: ret_window is NULL. Threads: from anywhere. Never waits.
 */
OURO_API int ouro_window_size(int fd, struct ouro_window *ret_window);

/**
 * ouro_set_window_size - tell a pseudo-terminal how large it is
 * @fd: either of its ends
 * @window: each number at most 65535
 *
 * The processes in its foreground get SIGWINCH if that is new.
 *
 * Returns: 0; -ENOTTY, -EBADF; -EINVAL: window is NULL or out of range. Threads: from anywhere. Never waits.
 */
OURO_API int ouro_set_window_size(int fd, const struct ouro_window *window);

/**
 * ouro_pty_open - make a pseudo-terminal
 * @window: its size; NULL for 24 rows, 80 columns
 * @ret_master: the end of whoever plays the person at the keyboard
 * @ret_terminal: the end that programs take for a terminal
 *
 * ouro_spawn() with the option pty does this, and more. Neither end becomes the terminal of this process.
 *
 * Returns: 0; -ENOENT, -EACCES: there is no /dev/ptmx for us; -ENOSPC: too many; -EMFILE, -ENFILE; -EINVAL: a
 * NULL, or a window out of range. Threads: from anywhere. Never waits.
 */
OURO_API int ouro_pty_open(const struct ouro_window *window, int *ret_master, int *ret_terminal);

/* How a terminal was set before it was changed. */
typedef struct ouro_terminal_state ouro_terminal_state;

enum ouro_terminal_mode {
        OURO_TERMINAL_RAW,     /* each byte as it is typed, no echo, no signals from keys: cfmakeraw(3) */
        OURO_TERMINAL_NO_ECHO, /* lines as before, which are not shown */
};

/**
 * ouro_terminal_set - change how a terminal treats what is typed
 * @fd: a terminal
 * @mode: see there
 * @ret_state: to be given to ouro_terminal_restore()
 *
 * What has been typed and not been read stays. Only this process can set it back: see that no path
 * leaves without ouro_terminal_restore(). In the background it stops the process as tcsetattr(3) does.
 *
 * Returns: 0; -ENOTTY, -EBADF, -EIO, -ENOMEM; -EINVAL: ret_state is NULL, or mode is none. Threads: from
 * anywhere.
 */
OURO_API int ouro_terminal_set(int fd, enum ouro_terminal_mode mode, ouro_terminal_state **ret_state);

/**
 * ouro_terminal_restore - set a terminal back to how it was. Never waits.
 * @state: freed; NULL does nothing
 *
 * The descriptor must still be open.
 *
 * Returns: 0; -EBADF, -EIO: it cannot be set back. Threads: from anywhere; acts also in a cancelled task.
 */
OURO_API int ouro_terminal_restore(ouro_terminal_state *state);

/**
 * ouro_read_password - ask for a line at the terminal, without echo
 * @prompt: shown before; may be NULL
 * @buf: where the line goes, NUL-terminated, without its end. Cleared on failure
 * @buf_bytes: of buf, at least 2
 *
 * It is read from this process's terminal, /dev/tty, whatever stdin is, or where there is none from stdin.
 * Echo is on again when this returns, also when it was cut short. (A signal that ends the process leaves it
 * off: with OURO_INTERRUPT_SIGINT ctrl-C cancels the main task instead.)
 *
 * Returns: the bytes of the line; -ENODATA: the end came instead; -EMSGSIZE: it is longer than
 * buf, and was thrown away; -ECANCELED, -ETIME; -EINVAL, -EPERM, or an errno of read(2).
 */
OURO_API ssize_t ouro_read_password(const char *prompt, char *buf, size_t buf_bytes);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
