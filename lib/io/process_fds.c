/* process_fds.c - our ends of a process's pipes and terminal: looked at, taken out, closed. */
#include <errno.h>
#include <stdint.h>

#include "io/process.h"
#include "ring/op.h"

static int *place_of(const struct ouro_process *process, int number)
{
        bool known = number >= -1 && number < PROCESS_PTY;

        return known ? (int *)(uintptr_t)&process->fds[number < 0 ? PROCESS_PTY : number] : NULL;
}

static int fd_of(const struct ouro_process *process, int number)
{
        int error = process_refuse(process);

        if (error < 0)
                return error;
        if (!place_of(process, number))
                return -EINVAL;
        return *place_of(process, number) < 0 ? -EBADF : *place_of(process, number);
}

int ouro_process_fd(const ouro_process *process, int number)
{
        return number < 0 ? -EINVAL : fd_of(process, number);
}

int ouro_process_pty(const ouro_process *process)
{
        return fd_of(process, -1);
}

int ouro_process_take_fd(ouro_process *process, int number)
{
        int fd = fd_of(process, number);

        if (fd >= 0)
                *place_of(process, number) = -1;
        return fd;
}

int ouro_process_stream(ouro_process *process, int number, const struct ouro_stream_options *options,
                        ouro_stream **ret_stream)
{
        int fd = fd_of(process, number), error = fd < 0 ? fd : ouro_stream_open(fd, options, ret_stream);

        if (error == 0)
                *place_of(process, number) = -1;
        return error;
}

int ouro_process_close_fd(ouro_process *process, int number)
{
        int fd = ouro_process_take_fd(process, number);

        return fd < 0 ? fd : op_close_fd(fd);
}
