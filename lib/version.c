/* version.c - what version this is. */
#include "ouro.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *ouro_version(void)
{
        return TEXT(OURO_VERSION_MAJOR) "." TEXT(OURO_VERSION_MINOR) "." TEXT(OURO_VERSION_PATCH);
}
