/* job_map.h - a job that is several: its function is called for each item of a piece of an array.
 *
 * ouro_map() makes such jobs for executors that know them (OURO_CAN_MAP, or OURO_CAN_ABANDON: jobs run in
 * this process, by ouro_job_run()); others get jobs of one item, which are like any other. The job's in is
 * all items one after another and its out all results. */
#ifndef OURO_EXECUTORS_JOB_MAP_H
#define OURO_EXECUTORS_JOB_MAP_H

#include "ouro/executor.h"

struct job_map {
        size_t items;
        size_t item_bytes;   /* may be 0 */
        size_t result_bytes; /* may be 0 */
        intptr_t *values; /* what each call returned; NULL: the first error ends the job, and is its result */
};

/* NULL: it is a plain job. */
const struct job_map *job_map_of(const struct ouro_job *job);

/* Calls job->fn for each item, here. The job's result: 0, or the first error if there are no values. Looks at
 * the job's token between items: values of items that are not called stay as they were. */
intptr_t job_map_run(struct ouro_job *job, const struct job_map *map);

#endif
