/* procfs.c - this process's memory, as the kernel counts it. */
#include "procfs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The value of a line "name:   1234 kB" of /proc/self/status. */
static uint64_t status_bytes(const char *name)
{
        FILE *status = fopen("/proc/self/status", "re");
        size_t len = strlen(name);
        char line[256];
        uint64_t kib = 0;

        if (!status)
                return 0;
        while (fgets(line, sizeof(line), status))
                if (strncmp(line, name, len) == 0 && sscanf(line + len, ": %" SCNu64, &kib) == 1)
                        break;
        fclose(status);
        return kib * 1024;
}

uint64_t procfs_resident_bytes(void)
{
        return status_bytes("VmRSS");
}

uint64_t procfs_peak_bytes(void)
{
        return status_bytes("VmHWM");
}

void procfs_forget_peak(void)
{
        FILE *clear = fopen("/proc/self/clear_refs", "we");

        /* Refused, the peak of the warm-up stays in it: too high, never too low. */
        if (!clear)
                return;
        fputs("5", clear);
        fclose(clear);
}
