/* filter.h - what the filter "compute only" has to know of each architecture, and newer numbers. */
#ifndef OURO_EXECUTORS_FILTER_H
#define OURO_EXECUTORS_FILTER_H

#include <linux/audit.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* 5.17: names of mappings; allocators use it */
#endif

/* FILTER_FOREIGN: a bit in the number of calls of another ABI. FILTER_OWN: calls that only this one has. */
#if defined(__x86_64__)
enum { FILTER_ARCH = (int)AUDIT_ARCH_X86_64, FILTER_FOREIGN = 0x40000000 /* x32 */ };
#define FILTER_OWN SYS_arch_prctl, SYS_poll, SYS_select, SYS_pause, SYS_alarm, SYS_time, SYS_getrlimit
#elif defined(__aarch64__)
enum { FILTER_ARCH = (int)AUDIT_ARCH_AARCH64, FILTER_FOREIGN = 0 };
#define FILTER_OWN SYS_getrlimit
#else
#error "say which system calls only this architecture has"
#endif

#endif
