/* A program that ctrl-C ends in order: "interrupted orderly", or one that goes on all the same: "interrupted
 * stubborn". What ctrl_c_check.py presses keys for. */
#include <ouro.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static intptr_t waits_for_ctrl_c(void *stubborn)
{
        int cut;

        puts("ready");
        cut = ouro_sleep(OURO_FOREVER);
        puts(cut == -ECANCELED && ouro_cancelled(ouro_self()) == OURO_CANCEL_SIGNAL ? "cancelled" : "?");
        OURO_SHIELD
        ouro_sleep(stubborn ? OURO_FOREVER : OURO_MS(10));
        puts("ended in order");
        return 0;
}

int main(int argc, char **argv)
{
        struct ouro_options options = OURO_OPTIONS_INIT;
        char *stubborn = argc > 1 && strcmp(argv[1], "stubborn") == 0 ? argv[1] : NULL;

        setvbuf(stdout, NULL, _IOLBF, 0);
        options.interrupt = OURO_INTERRUPT_SIGINT | OURO_INTERRUPT_SIGTERM;
        return ouro_run_with(&options, waits_for_ctrl_c, stubborn) < 0;
}
