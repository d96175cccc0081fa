/* above.c - a program that knows nothing of ouro but the type of a job: it is linked with middle.c alone. */
#include <ouro.h>
#include <stdio.h>

int middle_use(ouro_job_fn *fn);

static int made;

__attribute__((constructor)) static void construct(void)
{
        made = 42;
}

static intptr_t job(struct ouro_job *unused, struct ouro_in in, struct ouro_out out)
{
        (void)unused, (void)in, (void)out;
        return made;
}

int main(void)
{
        printf("job %d\n", middle_use(job));
        return 0;
}
