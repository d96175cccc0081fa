/* job_report.h - how an executor hands over what it knows of a job, see struct ouro_report. */
#ifndef OURO_EXECUTORS_JOB_REPORT_H
#define OURO_EXECUTORS_JOB_REPORT_H

#include "ouro/executor.h"

/* A copy of a report with its strings (NULL: ""), in one allocation that ouro_report_free() frees. NULL:
 * there is no memory for it. */
struct ouro_report *report_copy(const struct ouro_report *from);

/* Gives a job, whose options have a ret_report, its report, which is the job's from here on; once, before
 * ouro_job_finish(), by whoever calls that. NULL does nothing. */
void job_set_report(struct ouro_job *job, struct ouro_report *report);

#endif
