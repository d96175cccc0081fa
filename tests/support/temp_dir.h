/* temp_dir.h - a directory of a test's own, gone with all that is in it when the test ends.
 *
 *      TestSuite(file, .init = temp_begin, .fini = temp_end);
 *
 * The working directory is inside it, so that names need no prefix. Leaks are looked for too. */
#ifndef OURO_TESTS_SUPPORT_TEMP_DIR_H
#define OURO_TESTS_SUPPORT_TEMP_DIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "support/leaks.h"

static char temp_dir[] = "/tmp/ouro-test-XXXXXX";

static inline void temp_begin(void)
{
        leaks_begin();
        cr_assert_not_null(mkdtemp(temp_dir));
        cr_assert(chdir(temp_dir) == 0);
}

static inline int temp_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
        (void)st, (void)flag, (void)ftw;
        return remove(path);
}

static inline void temp_end(void)
{
        cr_assert(chdir("/") == 0);
        cr_assert(nftw(temp_dir, temp_remove, 16, FTW_DEPTH | FTW_PHYS) == 0);
        leaks_end();
}

#endif
