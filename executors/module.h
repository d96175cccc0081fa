/* module.h - naming a function so that another process finds it: a file's build id, and an offset in it.
 *
 * A module is the program or a shared library. It is known by its build id; without one, by a hash of its
 * text segment. The offset counts from the module's load bias, so that it is the same wherever it is loaded.
 */
#ifndef OURO_EXECUTORS_MODULE_H
#define OURO_EXECUTORS_MODULE_H

#include <stdint.h>

#include "executors/lane.h"

/* In the host: the module that function lies in, and its offset. 0; -EINVAL: it lies in none, or in one that
 * cannot be told from others. Takes no lock but the dynamic linker's. */
int module_find(const void *function, struct lane_module *ret_module, uint64_t *ret_offset);

/* In a worker: the load bias of a module that is loaded, or loaded now from its path. 0; -ENOEXEC: what is
 * there is not it. The offset must also lie in a segment that can be executed: module_has(). */
int module_load(const struct lane_module *module, uintptr_t *ret_bias);
int module_has(uintptr_t bias, uint64_t offset); /* 0 or -ENOEXEC */

#endif
