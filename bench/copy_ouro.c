/* copy_ouro.c - copy a file, as cp FROM TO does: for run_copy.py, which takes the time of both from outside.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <ouro.h>

static intptr_t copy(void *arg)
{
        char **paths = arg;

        return ouro_copy_file(AT_FDCWD, paths[0], AT_FDCWD, paths[1], NULL);
}

int main(int argc, char **argv)
{
        intptr_t error = argc == 3 ? ouro_run(copy, argv + 1) : -1;

        if (error < 0)
                fprintf(stderr, "copy_ouro: %s\n", strerror((int)-error));
        return error < 0;
}
