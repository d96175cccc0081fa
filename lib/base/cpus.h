/* cpus.h - how many threads can really run at the same time here. */
#ifndef OURO_BASE_CPUS_H
#define OURO_BASE_CPUS_H

/* By CPU affinity of the calling thread and by the cgroup's quota, rounded up; 1 at the least. */
unsigned cpus_usable(void);

#endif
