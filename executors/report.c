/* report.c - what is told of a job whose worker died, and what it wrote where the pool captures that.
 *
 * The worker's output goes to a memfd of a fixed length. Worker and host share its offset: it tells how much
 * there is, and the host sets it back after each job. A worker may put the offset anywhere: it is only
 * believed within the length. */
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "executors/job_report.h"
#include "executors/process_pool.h"

/* What the worker has written since the last job. NULL: nothing, or there is no memory. */
static char *take_output(const struct process_pool *pool, const struct worker *worker, size_t *ret_bytes)
{
        off_t end = worker->output < 0 ? 0 : lseek(worker->output, 0, SEEK_CUR);
        ssize_t got = 0;
        char *text;

        *ret_bytes = 0;
        if (end <= 0)
                return NULL;
        if ((size_t)end > pool->options.output_bytes)
                end = (off_t)pool->options.output_bytes;
        text = mem_alloc((size_t)end);
        if (text)
                got = sys_result(pread(worker->output, text, (size_t)end, 0));
        (void)lseek(worker->output, 0, SEEK_SET);
        if (got > 0)
                *ret_bytes = (size_t)got;
        *ret_output_bytes = (size_t)end;
        return text;
}
