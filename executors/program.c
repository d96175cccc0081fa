/* program.c - the running program's file, how it was started, and its constructors.
 *
 * The file is /proc/self/exe, whatever has happened to its path since. Only if the program was started as an
 * argument of the dynamic linker (ld.so ./prog) is that the linker's, and then its command line is said
 * again, with the program's path, if its file is still there. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/raw.h"
#include "base/sys.h"
#include "executors/needed.h"
#include "executors/program.h"
#include "executors/takeover.h"

/* ---- the program among the loaded files ---- */

static int first(struct dl_phdr_info *info, size_t bytes, void *arg)
{
        (void)bytes;
        *(struct dl_phdr_info *)arg = *info;
        return 1;
}

/* It comes first, and is never unloaded. */
static struct dl_phdr_info program_file(void)
{
        struct dl_phdr_info info = {.dlpi_phnum = 0};

        dl_iterate_phdr(first, &info);
        return info;
}

static const ElfW(Phdr) * find_segment(const struct dl_phdr_info *info, uint32_t type)
{
        for (size_t i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == type)
                        return &info->dlpi_phdr[i];
        return NULL;
}

/* ---- constructors ---- */

/* Put there by the linker in a program that is linked statically; in a shared library they are not for us. */
extern __attribute__((weak, visibility("hidden"))) program_constructor *__init_array_start[];
extern __attribute__((weak, visibility("hidden"))) program_constructor *__init_array_end[];

static program_constructor **last_of(program_constructor **array, size_t n)
{
        return array && n > 0 ? &array[n - 1] : NULL;
}

program_constructor **program_last_constructor(void)
{
        struct dl_phdr_info info = program_file();
        const ElfW(Phdr) *segment = find_segment(&info, PT_DYNAMIC);
        program_constructor **array = NULL;
        size_t bytes = 0;

        if (!segment)
                return last_of(__init_array_start, (size_t)(__init_array_end - __init_array_start));
        for (const ElfW(Dyn) *dyn = (const void *)(info.dlpi_addr + segment->p_vaddr); dyn->d_tag != DT_NULL;
             dyn++) {
                if (dyn->d_tag == DT_INIT_ARRAY)
                        array = (program_constructor **)(info.dlpi_addr + dyn->d_un.d_ptr);
                if (dyn->d_tag == DT_INIT_ARRAYSZ)
                        bytes = dyn->d_un.d_val;
        }
        return last_of(array, bytes / sizeof *array);
}

/* The linker leaves the last page of the segment writable if only a part of it belongs to it. */
static bool is_made_read_only(uintptr_t page, uintptr_t page_bytes)
{
        struct dl_phdr_info info = program_file();
        const ElfW(Phdr) *segment = find_segment(&info, PT_GNU_RELRO);
        uintptr_t begin, end;

        if (!segment)
                return false;
        begin = (info.dlpi_addr + segment->p_vaddr) & ~(page_bytes - 1);
        end = (info.dlpi_addr + segment->p_vaddr + segment->p_memsz) & ~(page_bytes - 1);
        return page >= begin && page < end;
}

int program_replace_constructor(program_constructor **place, program_constructor *with)
{
        uintptr_t page_bytes = getauxval(AT_PAGESZ), page = (uintptr_t)place & ~(page_bytes - 1);
        long result = raw_call(SYS_mprotect, page, page_bytes, PROT_READ | PROT_WRITE, 0, 0);

        if (result < 0)
                return (int)result;
        *(program_constructor *volatile *)place = with;
        if (is_made_read_only(page, page_bytes))
                result = raw_call(SYS_mprotect, page, page_bytes, PROT_READ, 0, 0);
        return (int)result;
}

/* ---- can it be a zygote? ---- */

const char *program_privileged(void)
{
        struct stat st;

        if (getauxval(AT_SECURE))
                return "this process was given privileges by its file (set-user-ID, set-group-ID or "
                       "capabilities)";
        if (sys_result(stat("/proc/self/exe", &st)) < 0)
                return NULL; /* opening it will tell */
        if (st.st_mode & (S_ISUID | S_ISGID))
                return "this program's file is set-user-ID or set-group-ID";
        if (sys_result(getxattr("/proc/self/exe", "security.capability", NULL, 0)) > 0)
                return "this program's file has capabilities";
        return NULL;
}

int program_not_taken_over(const char **ret_why)
{
        int needed;

        *ret_why = NULL;
        if (takeover_in_main())
                return 0;
        needed = needed_by_program((const void *)program_not_taken_over);
        if (needed < 0)
                return needed;
        if (!needed)
                *ret_why = "ouro was loaded by dlopen(), so that a fresh execution would not load it before "
                           "main";
        else if (!program_last_constructor())
                *ret_why = "this program has no constructor after which it could be taken over; let it call "
                           "ouro_worker_main()";
        return 0;
}

/* ---- executing it ---- */

/* It has a linker, but the kernel has loaded none for it. */
static bool started_by_linker(void)
{
        struct dl_phdr_info info = program_file();

        return find_segment(&info, PT_INTERP) && getauxval(AT_BASE) == 0;
}

static ssize_t read_whole(const char *path, char *text, size_t bytes)
{
        int fd = sys_result(open(path, O_RDONLY | O_CLOEXEC));
        size_t done = 0;
        ssize_t n;

        if (fd < 0)
                return fd;
        while ((n = sys_result(read(fd, text + done, bytes - done))) > 0 && (done += (size_t)n) < bytes)
                ;
        close(fd);
        return n < 0 ? n : (ssize_t)done;
}

/* The linker's options that have an argument of their own. */
static bool takes_argument(const char *option)
{
        static const char *const options[] = {
                "--library-path",         "--inhibit-rpath",     "--audit", "--preload",
                "--glibc-hwcaps-prepend", "--glibc-hwcaps-mask", "--argv0",
        };

        for (size_t i = 0; i < sizeof options / sizeof *options; i++)
                if (strcmp(option, options[i]) == 0)
                        return true;
        return false;
}

/* Keeps the linker's part of the command line. The program's path comes after it, and may have been relative
 * to another directory. */
static int repeat_linker(struct program *program)
{
        struct dl_phdr_info info = program_file();
        ssize_t len = read_whole("/proc/self/cmdline", program->text, sizeof program->text - 1);
        bool argument = true, deleted;

        if (len <= 0 ||
            mapped_path((uintptr_t)info.dlpi_phdr, program->path, sizeof program->path, &deleted) < 0 ||
            deleted)
                return -ENOEXEC;
        for (char *at = program->text; at < program->text + len; at += strlen(at) + 1) {
                /* After it: what makes a zygote of it, and NULL. */
                if (program->argc + 2 == sizeof program->argv / sizeof *program->argv)
                        return -ENOEXEC;
                if (!argument && at[0] != '-') {
                        program->argv[program->argc++] = program->path;
                        return 0;
                }
                argument = !argument && takes_argument(at);
                program->argv[program->argc++] = at;
        }
        return -ENOEXEC;
}

int program_open(struct program *program)
{
        int result = 0;

        memset(program, 0, sizeof *program);
        program->fd = sys_result(open("/proc/self/exe", O_PATH | O_CLOEXEC));
        if (program->fd < 0)
                return program->fd;
        if (started_by_linker())
                result = repeat_linker(program);
        else
                program->argv[program->argc++] = program_invocation_name;
        if (result < 0)
                close(program->fd);
        return result;
}
