/* choose.h - which backend a loop gets. */
#ifndef OURO_TASK_CHOOSE_H
#define OURO_TASK_CHOOSE_H

#include "task/task.h"

/* Opens loop->ring on the backend that options, the environment and this machine leave. 0, or the error that
 * ouro_run() returns. */
int choose_backend(struct ouro_loop *loop, const struct ouro_options *options);

#endif
