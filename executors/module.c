/* module.c - which file a function lies in, and where that file is in another process.
 *
 * What is compared is what the dynamic linker mapped, never a file: the file may have been replaced since.
 * Without a build id, all that the file maps and may not write is hashed: text, constants, symbol names. That
 * takes a millisecond for some megabytes, so the last few are remembered, until something is unloaded.
 *
 * dlopen() is referred to weakly. A static program has none unless it uses it itself, and then it is not
 * warned about by the linker because of us. */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "executors/module.h"
#include "executors/needed.h"

#pragma weak dlopen
#pragma weak dlclose
#pragma weak dlinfo

/* ---- what one loaded file is ---- */

static bool is_text(const ElfW(Phdr) * phdr)
{
        return phdr->p_type == PT_LOAD && (phdr->p_flags & PF_X);
}

static bool is_constant(const ElfW(Phdr) * phdr)
{
        return phdr->p_type == PT_LOAD && (phdr->p_flags & PF_R) && !(phdr->p_flags & PF_W);
}

static bool text_has(const struct dl_phdr_info *info, uintptr_t address)
{
        for (size_t i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];

                if (is_text(phdr) && address - (info->dlpi_addr + phdr->p_vaddr) < phdr->p_memsz)
                        return true;
        }
        return false;
}

static const char *padded(const char *at, size_t bytes, size_t align)
{
        return at + (bytes + align - 1) / align * align;
}

/* The build id in one segment of notes. */
static bool note_id(const char *at, size_t bytes, size_t align, struct lane_module *ret_module)
{
        const char *end = at + bytes;

        while ((size_t)(end - at) > sizeof(ElfW(Nhdr))) {
                const ElfW(Nhdr) *note = (const void *)at;
                const char *name = at + sizeof *note;
                const char *id = padded(name, note->n_namesz, align);

                if (id > end || note->n_descsz > (size_t)(end - id))
                        return false;
                if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
                        if (note->n_descsz == 0 || note->n_descsz > sizeof ret_module->id)
                                return false;
                        memcpy(ret_module->id, id, note->n_descsz);
                        ret_module->id_bytes = note->n_descsz;
                        return true;
                }
                at = padded(id, note->n_descsz, align);
        }
        return false;
}

static bool build_id(const struct dl_phdr_info *info, struct lane_module *ret_module)
{
        for (size_t i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
                const char *at = (const char *)(info->dlpi_addr + phdr->p_vaddr);

                if (phdr->p_type == PT_NOTE &&
                    note_id(at, phdr->p_memsz, phdr->p_align == 8 ? 8 : 4, ret_module))
                        return true;
        }
        return false;
}

/* The linker has written into its text, at addresses that differ from process to process. */
static bool text_is_relocated(const struct dl_phdr_info *info)
{
        for (size_t i = 0; i < info->dlpi_phnum; i++) {
                if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
                        continue;
                for (const ElfW(Dyn) *dyn = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
                     dyn->d_tag != DT_NULL; dyn++)
                        if (dyn->d_tag == DT_TEXTREL ||
                            (dyn->d_tag == DT_FLAGS && (dyn->d_un.d_val & DF_TEXTREL)))
                                return true;
        }
        return false;
}

/* ---- hash ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        return hash ^ hash >> 32;
}

typedef uint64_t __attribute__((aligned(1), may_alias)) unaligned_word;

/* Four lanes, so that the multiplications overlap. ASan keeps red zones between constants. */
__attribute__((no_sanitize_address)) static void hash_bytes(uint64_t hash[4], const char *at, size_t bytes)
{
        const unaligned_word *words = (const unaligned_word *)at;
        uint64_t rest = bytes;
        size_t n = bytes / 8;

        for (size_t i = 0; i < n; i++)
                hash[i % 4] = mix(hash[i % 4], words[i]);
        for (size_t i = n * 8; i < bytes; i++)
                rest = rest << 8 | (unsigned char)at[i];
        hash[0] = mix(hash[0], rest);
}

static void hash_constants(const struct dl_phdr_info *info, uint8_t ret_id[32])
{
        uint64_t hash[4] = {1, 2, 3, 4};

        for (size_t i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];

                if (is_constant(phdr))
                        hash_bytes(hash, (const char *)(info->dlpi_addr + phdr->p_vaddr), phdr->p_filesz);
        }
        for (size_t round = 0; round < 2; round++)
                for (size_t i = 0; i < 4; i++)
                        hash[i] = mix(hash[i], hash[(i + 1) % 4]);
        memcpy(ret_id, hash, 32);
}

static struct remembered {
        const void *phdr; /* the file's, in memory */
        uint64_t unloaded;
        uint8_t id[32];
} remembered[8];
static unsigned remembered_next;
static pthread_mutex_t remembered_lock = PTHREAD_MUTEX_INITIALIZER;

static void hash_once(const struct dl_phdr_info *info, uint8_t ret_id[32])
{
        struct remembered *place = NULL;

        pthread_mutex_lock(&remembered_lock);
        for (size_t i = 0; i < 8; i++)
                if (remembered[i].phdr == info->dlpi_phdr && remembered[i].unloaded == info->dlpi_subs)
                        place = &remembered[i];
        if (!place) {
                place = &remembered[remembered_next++ % 8];
                place->phdr = info->dlpi_phdr;
                place->unloaded = info->dlpi_subs;
                hash_constants(info, place->id);
        }
        memcpy(ret_id, place->id, 32);
        pthread_mutex_unlock(&remembered_lock);
}

/* What it is known by. 0 or -EINVAL: nothing. */
static int identify(const struct dl_phdr_info *info, struct lane_module *ret_module)
{
        memset(ret_module, 0, sizeof *ret_module);
        if (build_id(info, ret_module))
                return 0;
        if (text_is_relocated(info))
                return -EINVAL;
        hash_once(info, ret_module->id);
        ret_module->id_bytes = 32;
        ret_module->by_hash = 1;
        return 0;
}

static bool same_id(const struct lane_module *a, const struct lane_module *b)
{
        return a->id_bytes == b->id_bytes && a->by_hash == b->by_hash &&
               memcmp(a->id, b->id, a->id_bytes) == 0;
}

/* ---- host ---- */

struct finding {
        uintptr_t function;
        struct lane_module *module;
        uintptr_t bias;
        const char *name; /* the linker's, of a file that stays loaded meanwhile: the function is in it */
        bool found;
        int result;
};

static int find_one(struct dl_phdr_info *info, size_t bytes, void *arg)
{
        struct finding *finding = arg;

        (void)bytes;
        if (!text_has(info, finding->function))
                return 0;
        finding->found = true;
        finding->bias = info->dlpi_addr;
        finding->name = info->dlpi_name;
        finding->result = identify(info, finding->module);
        return 1;
}

static int find_path(const struct finding *finding, char *ret_path, size_t bytes)
{
        size_t len = strlen(finding->name);

        if (len == 0 || finding->name[0] == '/') {
                if (len >= bytes)
                        return -EINVAL;
                memcpy(ret_path, finding->name, len + 1);
                return 0;
        }
        /* Relative to a working directory of the past. */
        return mapped_path(finding->function, ret_path, bytes, NULL);
}

int module_find(const void *function, struct lane_module *ret_module, uint64_t *ret_offset)
{
        struct lane_module module;
        struct finding finding = {.function = (uintptr_t)function, .module = &module, .result = -EINVAL};

        dl_iterate_phdr(find_one, &finding);
        if (!finding.found || finding.result < 0)
                return -EINVAL;
        finding.result = find_path(&finding, module.path, sizeof module.path);
        if (finding.result < 0)
                return finding.result;
        *ret_module = module;
        *ret_offset = finding.function - finding.bias;
        return 0;
}

/* ---- worker ---- */

struct search {
        const struct lane_module *wanted;
        uintptr_t bias;
        bool by_id;     /* found, under whatever name */
        bool by_name;   /* found under the name that the host knows it by: there may be copies */
        bool only_bias; /* look at the file that is at bias alone */
};

static int search_one(struct dl_phdr_info *info, size_t bytes, void *arg)
{
        struct search *search = arg;
        struct lane_module here = {.by_hash = 0};

        (void)bytes;
        if (search->only_bias && info->dlpi_addr != search->bias)
                return 0;
        if (search->wanted->by_hash ? build_id(info, &here) || identify(info, &here) < 0
                                    : !build_id(info, &here))
                return 0; /* and hash no file without need */
        if (!same_id(&here, search->wanted))
                return 0;
        search->by_name = strcmp(info->dlpi_name, search->wanted->path) == 0;
        if (!search->by_id || search->by_name)
                search->bias = info->dlpi_addr;
        search->by_id = true;
        return search->by_name;
}

/* 0, or -ENOEXEC: there is no such file, or it is another one now. */
static int load(const struct lane_module *module, uintptr_t *ret_bias)
{
        struct search search = {.wanted = module, .only_bias = true};
        struct link_map *map;
        void *handle;

        if (!dlopen || !dlinfo || module->path[0] != '/')
                return -ENOEXEC;
        /* Lazily, as what the host has may have been: it need not be complete. */
        handle = dlopen(module->path, RTLD_LAZY | RTLD_LOCAL);
        if (!handle)
                return -ENOEXEC;
        if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0) {
                search.bias = map->l_addr;
                dl_iterate_phdr(search_one, &search);
        }
        if (!search.by_id) {
                dlclose(handle);
                return -ENOEXEC;
        }
        *ret_bias = search.bias;
        return 0;
}

int module_load(const struct lane_module *module, uintptr_t *ret_bias)
{
        struct search search = {.wanted = module};

        if (module->id_bytes == 0 || module->id_bytes > sizeof module->id ||
            !memchr(module->path, '\0', sizeof module->path))
                return -ENOEXEC;
        dl_iterate_phdr(search_one, &search);
        if (search.by_name) {
                *ret_bias = search.bias;
                return 0;
        }
        if (load(module, ret_bias) == 0)
                return 0;
        if (!search.by_id)
                return -ENOEXEC;
        *ret_bias = search.bias; /* a copy, or the same by another name: what it was known as is gone */
        return 0;
}

struct place {
        uintptr_t bias, address;
};

static int has_one(struct dl_phdr_info *info, size_t bytes, void *arg)
{
        const struct place *place = arg;

        (void)bytes;
        return info->dlpi_addr == place->bias && text_has(info, place->address);
}

int module_has(uintptr_t bias, uint64_t offset)
{
        struct place place = {bias, bias + offset};

        return dl_iterate_phdr(has_one, &place) ? 0 : -ENOEXEC;
}
