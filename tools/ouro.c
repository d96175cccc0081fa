/* ouro.c - the `ouro` command: finds the subcommand, and hands it the rest. */
#include "tool.h"

#include <ouro.h>
#include <stdio.h>
#include <string.h>

static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
        const char *purpose;
} commands[] = {
        {"stress", stress_command, "load this machine with every kind of work, and check the outcome"},
};

enum {
        COMMANDS = sizeof(commands) / sizeof(commands[0]),
};

static int help(void)
{
        printf("Usage: ouro COMMAND [OPTION]...\n       ouro --help | --version\n\n");
        for (unsigned i = 0; i < COMMANDS; i++)
                printf("  %-10s %s\n", commands[i].name, commands[i].purpose);
        printf("\nouro COMMAND --help tells more.\n");
        return TOOL_OK;
}

static int version(void)
{
        printf("ouro %s\n", ouro_version());
        return TOOL_OK;
}

/* Output that could not be written is a failure too, but only now can one know. */
static int end(int status)
{
        if (fflush(stdout) != 0 && status == TOOL_OK) {
                perror("ouro: standard output");
                return TOOL_FAILED;
        }
        return status;
}

int main(int argc, char **argv)
{
        const char *name = argc > 1 ? argv[1] : NULL;

        if (!name) {
                fputs("ouro: which command? see ouro --help\n", stderr);
                return TOOL_USAGE;
        }
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
                return end(help());
        if (strcmp(name, "--version") == 0)
                return end(version());
        for (unsigned i = 0; i < COMMANDS; i++)
                if (strcmp(name, commands[i].name) == 0)
                        return end(commands[i].run(argc - 1, argv + 1));
        fprintf(stderr, "ouro: there is no command '%s'; see ouro --help\n", name);
        return TOOL_USAGE;
}
