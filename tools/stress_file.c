/* stress_file.c - one round is a file: written in parts, made durable, renamed, read back, removed.
 *
 * The clean-up of a round that is cut talks to the file system, and so stands in a shield with a deadline of
 * its own. A rename that is cut may have happened or not: both names are removed then. */
#include "stress.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
        NAME_ROOM = 64,
        READ_CHUNK_BYTES = 16 << 10,
        PARTS_MAX = 4,
};

struct file {
        struct slot *slot;
        const struct piece *piece;
        int fd;
        char name[NAME_ROOM];
        char new_name[NAME_ROOM + 16];
        bool renaming; /* the rename has begun: either name may be the one */
        bool renamed;
};

static int write_parts(const struct file *file)
{
        uint64_t parts = 1 + random_below(&file->slot->random, PARTS_MAX);
        size_t len = file->piece->len, part = len / parts;
        int r = 0;

        for (size_t at = 0; at < len && r == 0; at += part) {
                if (len - at < 2 * part)
                        part = len - at;
                r = ouro_pwrite_all(file->fd, file->piece->data + at, part, (off_t)at, NULL);
        }
        return r;
}

static int make_durable(const struct file *file)
{
        return random_one_in(&file->slot->random, 2) ? ouro_fsync(file->fd) : ouro_fdatasync(file->fd);
}

static int rename_file(struct file *file)
{
        int directory_fd = file->slot->stress->directory_fd, r;

        if (random_one_in(&file->slot->random, 2))
                return 0;
        file->renaming = true;
        r = ouro_renameat(directory_fd, file->name, directory_fd, file->new_name, 0);
        file->renamed = r == 0;
        return r;
}

static int read_back(const struct file *file)
{
        unsigned char buffer[READ_CHUNK_BYTES];
        size_t n;
        int r;

        for (size_t at = 0; at < file->piece->len; at += n) {
                n = file->piece->len - at < sizeof(buffer) ? file->piece->len - at : sizeof(buffer);
                r = ouro_pread_all(file->fd, buffer, n, (off_t)at, NULL);
                if (r < 0)
                        return r;
                if (memcmp(buffer, file->piece->data + at, n) != 0)
                        return -EBADMSG;
        }
        /* Nothing may follow. */
        r = ouro_pread_all(file->fd, buffer, 1, (off_t)file->piece->len, NULL);
        return r == -ENODATA ? 0 : r < 0 ? r : -EBADMSG;
}

static int use_file(struct file *file)
{
        int r = write_parts(file);

        if (r == 0)
                r = make_durable(file);
        if (r == 0)
                r = rename_file(file);
        if (r == 0)
                r = read_back(file);
        return r;
}

static int remove_names(const struct file *file)
{
        int directory_fd = file->slot->stress->directory_fd, old, new;

        if (!file->renaming)
                return ouro_unlinkat(directory_fd, file->name, 0);
        new = ouro_unlinkat(directory_fd, file->new_name, 0);
        if (file->renamed)
                return new;
        old = ouro_unlinkat(directory_fd, file->name, 0);
        if (old == 0)
                return new == 0 ? -EEXIST : 0;
        return new;
}

static int remove_file(const struct file *file)
{
        int r = 0;

        OURO_SHIELD
        {
                OURO_TIMEOUT(STRESS_STEP_NS) {
                        r = remove_names(file);
                }
        }
        return r;
}

static int open_file(struct file *file)
{
        struct slot *slot = file->slot;

        snprintf(file->name, sizeof(file->name), "%" PRIu64 "-%" PRIu64, slot->number, slot->rounds);
        snprintf(file->new_name, sizeof(file->new_name), "%s-renamed", file->name);
        file->fd = ouro_openat(slot->stress->directory_fd, file->name, O_RDWR | O_CREAT | O_EXCL, 0600);
        return file->fd < 0 ? file->fd : 0;
}

static int whole_file(struct file *file)
{
        int r = open_file(file), removed, closed;

        if (r < 0)
                return r;
        r = use_file(file);
        removed = remove_file(file);
        closed = ouro_close(file->fd);
        return r < 0 ? r : removed < 0 ? removed : closed;
}

intptr_t file_round(void *arg)
{
        struct slot *slot = arg;
        struct kind_totals *kind = slot_totals(slot);
        struct file file = {.slot = slot};
        int64_t begin_ns = tool_now_ns();
        int r = 0;

        file.piece = corpus_pick(slot->stress->corpus,
                                 (enum corpus_size)random_below(&slot->random, CORPUS_SIZES), &slot->random);
        OURO_TIMEOUT(slot_limit(slot, STRESS_STEP_NS)) {
                r = whole_file(&file);
        }
        if (r < 0)
                return r;
        kind->done++;
        kind->bytes += file.piece->len;
        histogram_add(&kind->latency_ns, tool_now_ns() - begin_ns);
        return 0;
}
