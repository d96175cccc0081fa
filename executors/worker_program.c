/* worker_program.c - ouro-worker, the program that workers are forked from if the user's own cannot be: it
 * runs jobs that are functions of shared libraries. Without a host it does nothing. */
#include <ouro.h>
#include <stdio.h>

int main(int argc, char **argv)
{
        ouro_worker_main(argc, argv); /* and the linker sees that the library is needed */
        fprintf(stderr, "ouro-worker (ouro %s) is started by programs that open a process pool\n",
                ouro_version());
        return 2;
}
