/* leftovers.h - what a run has not given back: descriptors, threads, children, mappings, names.
 *
 * What is compared is what the kernel tells of the process, before and after, as lists of names:
 *
 *   descriptors   number and target of each
 *   threads       number and name of each; the kernel's own workers for a ring stand there too
 *   children      number and name of each, whatever signal it ends with; as far as this kernel tells
 *   names         files, sockets and the like whose names begin with "ouro" in /dev/shm and in the directory
 *                 for temporary files, but for those of other runs of this command and of tests
 *   mappings      the name of each mapping that has one: files, rings, memfds, shared memory. Not the heap
 *                 and the main stack, which only grow.
 *
 * Mappings without a name merge and split as the kernel likes, so their count says nothing. Their bytes do,
 * once the allocator's own are taken off, which it counts exactly (see allocator.h), and once glibc's cache
 * of thread stacks is emptied. Where the allocator cannot tell, they are not compared. */
#ifndef OURO_TOOL_LEFTOVERS_H
#define OURO_TOOL_LEFTOVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names {
        char **items; /* sorted */
        size_t count;
};

struct snapshot {
        struct names descriptors;
        struct names threads;
        struct names children;
        struct names names;
        struct names mappings;
        bool anonymous_known;
        int64_t anonymous_bytes; /* mapped without a name, and not by the allocator */
};

struct leftover {
        size_t before;
        size_t after;
        size_t extra;   /* in after, but not in before */
        char first[96]; /* the name of the first extra one, or "" */
};

struct leftovers {
        struct leftover descriptors;
        struct leftover threads;
        struct leftover children;
        struct leftover names;
        struct leftover mappings;
        bool anonymous_known;
        int64_t anonymous_before_bytes;
        int64_t anonymous_after_bytes;
};

/* Returns 0, or a negative errno with nothing to free. */
int snapshot_take(struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);

void leftovers_compare(const struct snapshot *before, const struct snapshot *after,
                       struct leftovers *ret_leftovers);

/* Whether all was given back; and whether at least no descriptor, thread or child is left. */
typedef bool leftovers_fn(const struct leftovers *leftovers);
leftovers_fn leftovers_none;
leftovers_fn leftovers_none_open;

/* Takes snapshots until the comparison with *before has settled, for at most limit_ns: the kernel takes down
 * a ring and its workers some time after it was closed. Returns 0 or a negative errno; *ret_after and
 * *ret_leftovers are the last ones. */
int leftovers_settle(const struct snapshot *before, int64_t limit_ns, leftovers_fn *settled,
                     struct snapshot *ret_after, struct leftovers *ret_leftovers);

#endif
