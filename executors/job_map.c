/* job_map.c - calling a job's function for each item of its piece of an array. */
#include <errno.h>

#include "executors/job.h"

const struct job_map *job_map_of(const struct ouro_job *job)
{
        const struct job_more *more = job_more(job);

        return likely(!more) || more->map.items == 0 ? NULL : &more->map;
}

static void *at(const void *base, size_t bytes, size_t i)
{
        return bytes ? (char *)base + i * bytes : NULL;
}

intptr_t job_map_run(struct ouro_job *job, const struct job_map *map)
{
        for (size_t i = 0; i < map->items; i++) {
                struct ouro_in in = ouro_in(at(job->in.base, map->item_bytes, i), map->item_bytes);
                struct ouro_out out = ouro_out(at(job->out.base, map->result_bytes, i), map->result_bytes);
                intptr_t value;

                if (i > 0 && ouro_job_cancelled(job))
                        return -ECANCELED;
                value = job->fn(job, in, out);
                if (map->values)
                        map->values[i] = value;
                else if (value < 0)
                        return value;
        }
        return 0;
}
