/* options.c - options structs of any age, see options.h. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/options.h"

static bool is_zero(const unsigned char *bytes, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (bytes[i])
                        return false;
        return true;
}

int options_read(void *dst, size_t dst_bytes, const void *src)
{
        size_t given;

        memcpy(&given, src, sizeof given);
        if (given < sizeof given || given > OPTIONS_MOST)
                return -EINVAL;
        if (given > dst_bytes && !is_zero((const unsigned char *)src + dst_bytes, given - dst_bytes))
                return -EINVAL;
        memset(dst, 0, dst_bytes);
        memcpy(dst, src, given < dst_bytes ? given : dst_bytes);
        memcpy(dst, &dst_bytes, sizeof dst_bytes);
        return 0;
}
