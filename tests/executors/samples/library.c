/* library.c - a shared library with a function and a constant to find. Built several times: with a build id
 * and without, and with another constant. */
#include <stdint.h>

#ifndef SAMPLE_VALUE
#define SAMPLE_VALUE 17
#endif

__attribute__((visibility("default"))) intptr_t sample_value(void);
__attribute__((visibility("default"))) intptr_t sample_other(void);
__attribute__((visibility("default"))) extern const intptr_t sample_constant[2];

const intptr_t sample_constant[2] = {1, SAMPLE_VALUE};

intptr_t sample_other(void)
{
        return sample_constant[0];
}

intptr_t sample_value(void)
{
        return sample_constant[1];
}
