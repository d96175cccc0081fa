/* compat.h - names that the headers of older systems lack; the code asks the kernel whether it knows them. */
#ifndef OURO_EXECUTORS_COMPAT_H
#define OURO_EXECUTORS_COMPAT_H

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1U << 2) /* Linux 6.9 */
#endif

#endif
