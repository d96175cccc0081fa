/* process_output.h - input and output of a process, or of a pipeline, all at once. */
#ifndef OURO_IO_PROCESS_OUTPUT_H
#define OURO_IO_PROCESS_OUTPUT_H

#include "io/process.h"

/* first: whose stdin is written; last: whose stdout and stderr are read, and whose end counts. What takes
 * part is closed afterwards. 0, or a negated errno; ret_output is filled in on success. */
int output_exchange(struct ouro_process *first, struct ouro_process *last,
                    const struct ouro_communicate_options *options, struct ouro_captured *ret_output);

#endif
