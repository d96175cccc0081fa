/* version.c - the version of the library that runs, which may be newer than the header a program saw. */
#include <ouro.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *ouro_version(void)
{
        return TEXT(OURO_VERSION_MAJOR) "." TEXT(OURO_VERSION_MINOR) "." TEXT(OURO_VERSION_PATCH);
}
