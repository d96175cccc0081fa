/* module.c - functions are found by what their file is, wherever it is loaded, and nothing else is taken for
 * it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "executors/module.h"
#include "support/temp_dir.h"

TestSuite(module, .init = temp_begin, .fini = temp_end, .timeout = 30);

typedef intptr_t sample_fn(void);

static intptr_t here(void)
{
        return 5;
}

static intptr_t data_of_ours = 5;

static void copy_file(const char *from, const char *to)
{
        char buf[4096];
        FILE *in = fopen(from, "re"), *out = fopen(to, "we");
        size_t n;

        cr_assert(in && out, "%s to %s", from, to);
        while ((n = fread(buf, 1, sizeof buf, in)) > 0)
                cr_assert(fwrite(buf, 1, n, out) == n);
        fclose(in);
        cr_assert(fclose(out) == 0);
}

static void *open_library(const char *path)
{
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

        cr_assert(handle, "%s", dlerror());
        return handle;
}

static const char *absolute(const char *name)
{
        static char path[2][256];
        static unsigned next;
        char *at = path[next++ % 2];

        snprintf(at, sizeof path[0], "%s/%s", temp_dir, name);
        return at;
}

/* The function of that name: where it is, found as a host does and then as a worker does. */
static sample_fn *find_again(const struct lane_module *module, uint64_t offset)
{
        uintptr_t bias = 1;

        cr_assert_eq(module_load(module, &bias), 0);
        cr_assert_eq(module_has(bias, offset), 0);
        return (sample_fn *)(bias + offset);
}

Test(module, function_of_the_program_is_found_again)
{
        struct lane_module module;
        uint64_t offset;

        errno = 55;
        cr_assert_eq(module_find((void *)here, &module, &offset), 0);
        cr_assert_eq(errno, 55);
        cr_assert_str_eq(module.path, "");
        cr_assert_eq(module.by_hash, 0);
        cr_assert(module.id_bytes >= 8);
        cr_assert(find_again(&module, offset) == here);
}

static void finds(void *function)
{
        struct lane_module module;
        uint64_t offset;

        cr_assert_eq(module_find(function, &module, &offset), 0);
        cr_assert((void *)find_again(&module, offset) == function);
}

Test(module, function_of_a_library_is_found_again)
{
        void *id = open_library(SAMPLE_WITH_ID), *none = open_library(SAMPLE_WITHOUT_ID);

        finds(dlsym(id, "sample_value"));
        finds(dlsym(none, "sample_value"));
        finds(dlsym(none, "sample_other"));
        finds(dlsym(RTLD_DEFAULT, "getpid"));
        dlclose(id);
        dlclose(none);
}

static void is_loaded_from_its_path(const char *path, uint32_t by_hash)
{
        void *handle = open_library(path);
        struct lane_module module;
        uint64_t offset;

        cr_assert_eq(module_find(dlsym(handle, "sample_value"), &module, &offset), 0);
        cr_assert_eq(module.by_hash, by_hash);
        dlclose(handle);
        cr_assert_null(dlopen(path, RTLD_NOW | RTLD_NOLOAD), "or nothing is shown");
        cr_assert_eq(find_again(&module, offset)(), 17);
        handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
        dlclose(handle);
        dlclose(handle); /* that of module_load() */
}

Test(module, what_is_not_loaded_is_loaded_from_its_path)
{
        is_loaded_from_its_path(SAMPLE_WITH_ID, 0);
}

Test(module, without_a_build_id_it_is_known_by_its_hash)
{
        is_loaded_from_its_path(SAMPLE_WITHOUT_ID, 1);
}

/* Only a constant is not the same in these two. */
Test(module, another_constant_is_another_hash)
{
        void *one = open_library(SAMPLE_WITHOUT_ID), *other = open_library(SAMPLE_CHANGED);
        struct lane_module modules[2];
        uint64_t offsets[2];

        cr_assert_eq(module_find(dlsym(one, "sample_value"), &modules[0], &offsets[0]), 0);
        cr_assert_eq(module_find(dlsym(other, "sample_value"), &modules[1], &offsets[1]), 0);
        cr_assert_eq(offsets[0], offsets[1], "the text is the same");
        cr_assert(memcmp(modules[0].id, modules[1].id, sizeof modules[0].id) != 0);
        cr_assert_eq(find_again(&modules[0], offsets[0])(), 17);
        cr_assert_eq(find_again(&modules[1], offsets[1])(), 18);
        dlclose(one);
        dlclose(other);
}

static void replaced_is_refused(const char *old, const char *new)
{
        struct lane_module module;
        uintptr_t bias = 1;
        uint64_t offset;
        void *handle;

        copy_file(old, "l.so");
        handle = open_library(absolute("l.so"));
        cr_assert_eq(module_find(dlsym(handle, "sample_value"), &module, &offset), 0);
        dlclose(handle);
        cr_assert(unlink("l.so") == 0);
        cr_assert_eq(module_load(&module, &bias), -ENOEXEC, "gone");
        copy_file(new, "l.so");
        cr_assert_eq(module_load(&module, &bias), -ENOEXEC, "another file");
        cr_assert_eq(bias, 1, "untouched");
        cr_assert_null(dlopen(absolute("l.so"), RTLD_NOW | RTLD_NOLOAD), "nothing stays loaded");
}

Test(module, f89_file_that_was_replaced_is_refused)
{
        replaced_is_refused(SAMPLE_WITH_ID, SAMPLE_WITHOUT_ID);
        replaced_is_refused(SAMPLE_WITHOUT_ID, SAMPLE_CHANGED);
        replaced_is_refused(SAMPLE_WITHOUT_ID, SAMPLE_WITH_ID);
}

Test(module, f89_loaded_file_matches_even_when_it_is_gone)
{
        struct lane_module module;
        uint64_t offset;
        void *handle;

        copy_file(SAMPLE_WITH_ID, "l.so");
        handle = open_library(absolute("l.so"));
        cr_assert(unlink("l.so") == 0);
        finds(dlsym(handle, "sample_value"));
        cr_assert_eq(module_find(dlsym(handle, "sample_value"), &module, &offset), 0);
        strcpy(module.path, "/nowhere/l.so"); /* the host has loaded it from elsewhere */
        cr_assert(find_again(&module, offset) == dlsym(handle, "sample_value"));
        dlclose(handle);
}

Test(module, copies_are_told_apart_by_their_path)
{
        void *a, *b;

        copy_file(SAMPLE_WITH_ID, "a.so");
        copy_file(SAMPLE_WITH_ID, "b.so");
        a = open_library(absolute("a.so"));
        b = open_library(absolute("b.so"));
        cr_assert(dlsym(a, "sample_value") != dlsym(b, "sample_value"));
        finds(dlsym(a, "sample_value"));
        finds(dlsym(b, "sample_value"));
        dlclose(a);
        dlclose(b);
}

Test(module, hash_of_an_unloaded_file_is_forgotten)
{
        struct lane_module modules[2];
        uint64_t offset;

        /* The second is likely to be put where the first was. */
        for (size_t i = 0; i < 2; i++) {
                void *handle = open_library(i == 0 ? SAMPLE_WITHOUT_ID : SAMPLE_CHANGED);

                cr_assert_eq(module_find(dlsym(handle, "sample_value"), &modules[i], &offset), 0);
                dlclose(handle);
        }
        cr_assert(memcmp(modules[0].id, modules[1].id, sizeof modules[0].id) != 0);
}

Test(module, a_relative_name_becomes_a_path)
{
        struct lane_module module;
        uint64_t offset;
        void *handle;

        copy_file(SAMPLE_WITH_ID, "l (1).so");
        handle = open_library("./l (1).so");
        cr_assert(chdir("/") == 0);
        errno = 55;
        cr_assert_eq(module_find(dlsym(handle, "sample_value"), &module, &offset), 0);
        cr_assert_eq(errno, 55);
        cr_assert_str_eq(module.path, absolute("l (1).so"));
        cr_assert(find_again(&module, offset) == dlsym(handle, "sample_value"));
        dlclose(handle);
}

Test(module, what_is_no_function_of_a_file_is_refused)
{
        struct lane_module module = {.id_bytes = 77};
        uint64_t offset = 77;
        int on_the_stack;

        cr_assert_eq(module_find(NULL, &module, &offset), -EINVAL);
        cr_assert_eq(module_find(&on_the_stack, &module, &offset), -EINVAL);
        cr_assert_eq(module_find(&data_of_ours, &module, &offset), -EINVAL);
        cr_assert_eq(module_find((void *)UINTPTR_MAX, &module, &offset), -EINVAL);
        cr_assert_eq(module.id_bytes, 77);
        cr_assert_eq(offset, 77);
}

Test(module, an_offset_outside_of_the_text_is_refused)
{
        struct lane_module module;
        uint64_t offset;
        uintptr_t bias;

        cr_assert_eq(module_find((void *)here, &module, &offset), 0);
        cr_assert_eq(module_load(&module, &bias), 0);
        cr_assert_eq(module_has(bias, (uintptr_t)&data_of_ours - bias), -ENOEXEC);
        cr_assert_eq(module_has(bias, UINT64_MAX), -ENOEXEC);
        cr_assert_eq(module_has(bias, 1u << 30), -ENOEXEC);
        cr_assert_eq(module_has(bias + 1, offset), -ENOEXEC);
}

Test(module, a_module_that_makes_no_sense_is_refused)
{
        struct lane_module module = {.id_bytes = 0};
        uintptr_t bias;

        cr_assert_eq(module_load(&module, &bias), -ENOEXEC);
        module.id_bytes = UINT32_MAX;
        cr_assert_eq(module_load(&module, &bias), -ENOEXEC);
        module.id_bytes = 20;
        cr_assert_eq(module_load(&module, &bias), -ENOEXEC, "nobody has it");
        memset(module.path, 'x', sizeof module.path);
        cr_assert_eq(module_load(&module, &bias), -ENOEXEC, "a path without an end");
}
