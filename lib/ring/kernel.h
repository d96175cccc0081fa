/* kernel.h - what newer kernels know and liburing 2.3's headers do not. Values: include/uapi/linux/io_uring.h
 * and include/uapi/linux/fs.h of Linux 6.18. */
#ifndef OURO_RING_KERNEL_H
#define OURO_RING_KERNEL_H

#include <liburing.h>

#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7) /* 6.15: a waiting loop is idle, not waiting for a disk */
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif
#define IORING_OP_FTRUNCATE 55 /* 6.9; an enumerator where the headers know it */
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100 /* 6.18: no SIGPIPE from this write */
#endif

#endif
