/* job_classes.c - see job_classes.h. */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "executors/job_classes.h"

int job_classes_init(struct job_classes *classes, size_t capacity)
{
        memset(classes, 0, sizeof *classes);
        classes->capacity = capacity;
        for (int i = 0; i < JOB_CLASSES; i++)
                if (job_queue_init(&classes->of[i], capacity) < 0) {
                        job_classes_fini(classes);
                        return -ENOMEM;
                }
        return 0;
}

void job_classes_fini(struct job_classes *classes)
{
        for (int i = 0; i < JOB_CLASSES; i++)
                job_queue_fini(&classes->of[i]);
}

int job_classes_push(struct job_classes *classes, struct ouro_job *job, enum ouro_priority priority)
{
        int class = OURO_PRIORITY_HIGH - (int)priority;
        size_t others = 0;

        check(class >= 0 && class < JOB_CLASSES);
        for (int i = 0; i < JOB_CLASSES; i++)
                if (i != class)
                        others += job_queue_count(&classes->of[i]);
        return job_queue_push(&classes->of[class], job,
                              others < classes->capacity ? classes->capacity - others : 0);
}

struct ouro_job *job_classes_pop(struct job_classes *classes)
{
        for (int i = 0; i < JOB_CLASSES; i++) {
                struct ouro_job *job = job_queue_pop(&classes->of[i]);

                if (job)
                        return job;
        }
        return NULL;
}

void job_classes_close(struct job_classes *classes)
{
        for (int i = 0; i < JOB_CLASSES; i++)
                job_queue_close(&classes->of[i]);
}

bool job_classes_ended(struct job_classes *classes)
{
        for (int i = 0; i < JOB_CLASSES; i++)
                if (!job_queue_ended(&classes->of[i]))
                        return false;
        return true;
}

size_t job_classes_count(struct job_classes *classes)
{
        size_t count = 0;

        for (int i = 0; i < JOB_CLASSES; i++)
                count += job_queue_count(&classes->of[i]);
        return count;
}

size_t job_classes_popped(struct job_classes *classes)
{
        size_t popped = 0;

        for (int i = 0; i < JOB_CLASSES; i++)
                popped += job_queue_popped(&classes->of[i]);
        return popped;
}
