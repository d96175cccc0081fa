/* symbol.c - reading the symbol table of an ELF file that may be anything.
 *
 * It is not part of what is loaded, so that the file is mapped for it. Another file may lie under that name
 * by now: the first page, with headers and build id, must be the one in memory. No offset is believed. */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "executors/symbol.h"

enum { FIRST_BYTES = 1024 };

struct file {
        const char *base;
        size_t bytes;
};

static bool map_file(const char *path, struct file *file)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat stat;
        void *base = MAP_FAILED;

        if (fd < 0)
                return false;
        if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size >= FIRST_BYTES)
                base = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        close(fd);
        if (base == MAP_FAILED)
                return false;
        *file = (struct file){base, (size_t)stat.st_size};
        return true;
}

/* n things of that size at that offset; NULL: they are not all in the file. */
static const void *in_file(const struct file *file, uint64_t at, uint64_t n, uint64_t size)
{
        if (at > file->bytes || n > (file->bytes - at) / size || at % sizeof(uint32_t))
                return NULL;
        return file->base + at;
}

static const ElfW(Shdr) * section(const struct file *file, uint64_t number)
{
        const ElfW(Ehdr) *header = (const void *)file->base;
        const ElfW(Shdr) *sections = in_file(file, header->e_shoff, header->e_shnum, sizeof *sections);

        return sections && number < header->e_shnum ? &sections[number] : NULL;
}

static const ElfW(Shdr) * symbol_table(const struct file *file)
{
        const ElfW(Ehdr) *header = (const void *)file->base;

        if (header->e_shentsize != sizeof(ElfW(Shdr)))
                return NULL;
        for (uint64_t i = 0; i < header->e_shnum; i++) {
                const ElfW(Shdr) *table = section(file, i);

                if (table && table->sh_type == SHT_SYMTAB && table->sh_entsize == sizeof(ElfW(Sym)))
                        return table;
        }
        return NULL;
}

static bool covers(const ElfW(Sym) * symbol, uintptr_t address)
{
        return (symbol->st_info & 15) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
               address - symbol->st_value < symbol->st_size;
}

static bool copy_name(const struct file *file, const ElfW(Shdr) * strings, uint64_t at, char *ret_name,
                      size_t bytes)
{
        const char *text = in_file(file, strings->sh_offset, strings->sh_size, 1);
        size_t length;

        if (!text || at >= strings->sh_size)
                return false;
        length = strnlen(text + at, strings->sh_size - at);
        if (length >= bytes)
                length = bytes - 1;
        memcpy(ret_name, text + at, length);
        ret_name[length] = '\0';
        return length > 0;
}

/* address: as the file has it. */
static bool find(const struct file *file, uintptr_t address, char *ret_name, size_t bytes)
{
        const ElfW(Shdr) *table = symbol_table(file), *strings = table ? section(file, table->sh_link) : NULL;
        uint64_t n = table ? table->sh_size / sizeof(ElfW(Sym)) : 0;
        const ElfW(Sym) *symbols = table ? in_file(file, table->sh_offset, n, sizeof *symbols) : NULL;

        if (!strings || !symbols)
                return false;
        for (uint64_t i = 0; i < n; i++)
                if (covers(&symbols[i], address))
                        return copy_name(file, strings, symbols[i].st_name, ret_name, bytes);
        return false;
}

bool symbol_find(const char *path, uintptr_t base, uintptr_t bias, uintptr_t address, char *ret_name,
                 size_t bytes)
{
        struct file file;
        bool found;

        if (!map_file(path, &file))
                return false;
        found = memcmp(file.base, (const void *)base, FIRST_BYTES) == 0 &&
                memcmp(file.base, ELFMAG, SELFMAG) == 0 && find(&file, address - bias, ret_name, bytes);
        munmap((void *)(uintptr_t)file.base, file.bytes);
        return found;
}
