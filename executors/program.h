/* program.h - the program that this process runs: whether it can be executed afresh as a zygote, and how. */
#ifndef OURO_EXECUTORS_PROGRAM_H
#define OURO_EXECUTORS_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/* Why a fresh execution of this program would not be taken over before main; NULL: it would be. 0; -ENOMEM:
 * it is not known. */
int program_not_taken_over(const char **ret_why);

/* Why nothing that this process executes can be trusted with the handshake; NULL: it can. */
const char *program_privileged(void);

typedef void program_constructor(int argc, char **argv, char **envp);

/* Where the last constructor of the program itself (not of a library) is called from; NULL: it has none. */
program_constructor **program_last_constructor(void);

/* Replaces it, although the linker has made the page read-only. 0 or a negated errno. */
int program_replace_constructor(program_constructor **place, program_constructor *with);

/* How to execute it: the file, and how its command line begins, up to what the program itself sees as its
 * name. */
struct program {
        int fd; /* O_PATH */
        size_t argc;
        char *argv[32];
        char text[8192]; /* argv points into it */
        char path[4096];
};

/* 0; -ENOEXEC: it cannot be found any more; or a negated errno. On success fd is the caller's. */
int program_open(struct program *program);

#endif
