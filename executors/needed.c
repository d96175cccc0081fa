/* needed.c - the loaded files as the dynamic linker and the kernel tell them.
 *
 * What a file needs is given by names, and a name means the file that answers to it: by the name that it says
 * itself to have, else by its file name. All of this is looked at in one call of dl_iterate_phdr(), for as
 * long as which the linker unloads nothing. */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "executors/needed.h"

struct file {
        const ElfW(Dyn) * dynamic; /* NULL: linked statically */
        const char *strings;
        const char *soname; /* NULL: none */
        const char *name;   /* its path; "": the program */
        bool reached;
};

struct search {
        uintptr_t address;
        struct file *files;
        size_t len, room;
        size_t target; /* the file that address lies in; SIZE_MAX: none */
        bool needed;
};

static bool has(const struct dl_phdr_info *info, uintptr_t address)
{
        for (size_t i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];

                if (phdr->p_type == PT_LOAD && address - (info->dlpi_addr + phdr->p_vaddr) < phdr->p_memsz)
                        return true;
        }
        return false;
}

/* glibc has put an address there, others leave it as it is in the file. */
static const char *strings_at(const struct dl_phdr_info *info, uintptr_t value)
{
        return (const char *)(value < info->dlpi_addr ? info->dlpi_addr + value : value);
}

static void describe(const struct dl_phdr_info *info, struct file *file)
{
        *file = (struct file){.name = info->dlpi_name};
        for (size_t i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
                        file->dynamic = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        if (!file->dynamic)
                return;
        for (const ElfW(Dyn) *dyn = file->dynamic; dyn->d_tag != DT_NULL; dyn++)
                if (dyn->d_tag == DT_STRTAB)
                        file->strings = strings_at(info, dyn->d_un.d_ptr);
        for (const ElfW(Dyn) *dyn = file->dynamic; file->strings && dyn->d_tag != DT_NULL; dyn++)
                if (dyn->d_tag == DT_SONAME)
                        file->soname = file->strings + dyn->d_un.d_val;
}

static int collect(struct dl_phdr_info *info, size_t bytes, void *arg)
{
        struct search *search = arg;

        (void)bytes;
        if (has(info, search->address))
                search->target = search->len;
        if (search->len < search->room)
                describe(info, &search->files[search->len]);
        search->len++;
        return 0;
}

static bool answers_to(const struct file *file, const char *name)
{
        const char *slash = strrchr(file->name, '/');

        return (file->soname && strcmp(file->soname, name) == 0) || strcmp(file->name, name) == 0 ||
               (slash && strcmp(slash + 1, name) == 0);
}

/* Reaches what a file needs. True: some of it for the first time. */
static bool reach_from(struct search *search, const struct file *from)
{
        bool any = false;

        for (const ElfW(Dyn) *dyn = from->dynamic; from->strings && dyn->d_tag != DT_NULL; dyn++) {
                if (dyn->d_tag != DT_NEEDED)
                        continue;
                for (size_t i = 0; i < search->len; i++) {
                        struct file *file = &search->files[i];

                        if (file->reached || !answers_to(file, from->strings + dyn->d_un.d_val))
                                continue;
                        file->reached = true;
                        any = true;
                }
        }
        return any;
}

static bool is_reached(struct search *search)
{
        bool more = true;

        search->files[0].reached = true; /* the program */
        while (more) {
                more = false;
                for (size_t i = 0; i < search->len; i++)
                        more |= search->files[i].reached && reach_from(search, &search->files[i]);
        }
        return search->files[search->target].reached;
}

/* Called for the first file, and looks at all of them: the linker's lock may be taken again by its holder. */
static int look_at_all(struct dl_phdr_info *info, size_t bytes, void *arg)
{
        struct search *search = arg;

        (void)info, (void)bytes;
        dl_iterate_phdr(collect, search);
        search->room = search->len;
        search->files = mem_calloc(search->room * sizeof *search->files);
        if (!search->files)
                return 1;
        search->len = 0;
        dl_iterate_phdr(collect, search);
        search->needed = search->target < search->len && is_reached(search);
        mem_free(search->files, search->room * sizeof *search->files);
        return 1;
}

int needed_by_program(const void *address)
{
        struct search search = {.address = (uintptr_t)address, .target = SIZE_MAX};

        dl_iterate_phdr(look_at_all, &search);
        return search.files ? search.needed : -ENOMEM;
}

/* ---- */

/* Cuts what the kernel adds to the path of a file that has been unlinked or replaced. */
static bool cut_deleted(char *path)
{
        static const char deleted[] = " (deleted)";
        size_t len = strlen(path), cut = sizeof deleted - 1;

        if (len <= cut || strcmp(path + len - cut, deleted) != 0)
                return false;
        path[len - cut] = '\0';
        return true;
}

int mapped_path(uintptr_t address, char *ret_path, size_t bytes, bool *ret_deleted)
{
        char line[PATH_MAX + 128];
        int saved = errno, result = -EINVAL;
        FILE *maps = fopen("/proc/self/maps", "re");

        while (maps && fgets(line, sizeof line, maps)) {
                unsigned long from, to;
                int at = 0;
                bool cut;

                if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &from, &to, &at) < 2 || at == 0 ||
                    address < from || address >= to)
                        continue;
                line[strcspn(line, "\n")] = '\0';
                cut = cut_deleted(line + at);
                if (line[at] != '/' || strlen(line + at) >= bytes)
                        break;
                strcpy(ret_path, line + at);
                if (ret_deleted)
                        *ret_deleted = cut;
                result = 0;
                break;
        }
        if (maps)
                fclose(maps);
        errno = saved;
        return result;
}
