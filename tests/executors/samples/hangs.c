/* hangs.c - a library whose constructor never returns: the thread that loads it has the dynamic linker's lock
 * for ever. It closes a descriptor when it is there: the one whose number is in the environment. */
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void hang(void)
{
        close(atoi(getenv("SAMPLE_CLOSES")));
        for (;;)
                pause();
}
