/* procfs.h - this process's memory, as the kernel counts it. */
#ifndef OURO_TOOL_PROCFS_H
#define OURO_TOOL_PROCFS_H

#include <stdint.h>

/* 0 where /proc does not tell. */
uint64_t procfs_resident_bytes(void);
uint64_t procfs_peak_bytes(void);

/* Lets the peak begin anew from what is resident now. Kernels built without it go on from the old peak. */
void procfs_forget_peak(void);

#endif
