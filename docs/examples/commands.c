/* commands.c - other programs: one run to its end, three in a pipeline, and one that is ended with grace. */
#include <ouro.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int sort_words(void)
{
        struct ouro_communicate_options talk = OURO_COMMUNICATE_OPTIONS_INIT;
        struct ouro_captured captured;
        int result;

        talk.input = "pear\napple\nfig\n";
        talk.input_len = strlen("pear\napple\nfig\n");
        result = ouro_run_command(OURO_ARGV("sort"), NULL, &talk, &captured, NULL);
        if (result < 0)
                return result;
        printf("sorted, exit status %d:\n%s", result, captured.out);
        ouro_captured_free(&captured);
        return 0;
}

/* printf | tr | rev, and what each of them ended with. */
static int spell_backwards(void)
{
        struct ouro_exit exits[3] = {OURO_EXIT_INIT, OURO_EXIT_INIT, OURO_EXIT_INIT};
        struct ouro_spawn_options collected = OURO_SPAWN_OPTIONS_INIT;
        const struct ouro_command commands[] = {
                {OURO_ARGV("printf", "never odd or even\n"), NULL},
                {OURO_ARGV("tr", "a-z", "A-Z"), NULL},
                {OURO_ARGV("rev"), &collected},
        };
        struct ouro_captured captured;
        ouro_pipeline *pipeline;
        int result;

        collected.out.kind = OURO_STDIO_PIPE;
        result = ouro_pipeline_open(commands, 3, &pipeline);
        if (result < 0)
                return result;
        result = ouro_pipeline_communicate(pipeline, NULL, &captured, exits);
        if (result >= 0) {
                printf("%d %d %d: %s", exits[0].code, exits[1].code, exits[2].code, captured.out);
                ouro_captured_free(&captured);
        }
        ouro_pipeline_close(pipeline);
        return result;
}

/* It does not end by itself, nor at SIGTERM. */
static int end_with_grace(void)
{
        struct ouro_spawn_options options = OURO_SPAWN_OPTIONS_INIT;
        const char *const argv[] = {"sh", "-c", "trap '' TERM; echo; while :; do sleep 0.01; done", NULL};
        ouro_process *process;
        char ready;
        int result;

        options.out.kind = OURO_STDIO_PIPE;
        options.new_group = true; /* so that what the shell starts ends with it */
        result = ouro_spawn(argv, &options, &process);
        if (result < 0)
                return result;
        ouro_read(ouro_process_fd(process, 1), &ready, 1);
        result = ouro_process_stop(process, OURO_MS(50), NULL);
        printf("ended by %s\n", result == OURO_EXIT_SIGNAL + SIGKILL ? "SIGKILL" : "something else");
        return ouro_process_close(process);
}

static intptr_t run(void *unused)
{
        ouro_process *process;
        int error = sort_words();

        (void)unused;
        if (error == 0)
                error = spell_backwards();
        if (error == 0)
                error = end_with_grace();
        if (ouro_spawn(OURO_ARGV("no-such-program"), NULL, &process) == -ENOENT)
                printf("no-such-program: not there\n");
        return error;
}

int main(void)
{
        intptr_t error = ouro_run(run, NULL);

        if (error < 0)
                fprintf(stderr, "commands: %s\n", strerror((int)-error));
        return error < 0;
}
