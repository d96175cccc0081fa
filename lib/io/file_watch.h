/* file_watch.h - what a watch knows of the directories of its trees.
 *
 *      ouro_file_watch --- roots: what was added --- node of the root --- nodes of directories below it
 *
 * A node is a watch descriptor and a name; its path is that of its parent with the name behind it, so that
 * moving it moves all below it. Everything here belongs to the loop's thread. A helper gets paths and a
 * descriptor, and never sees a node. */
#ifndef OURO_IO_FILE_WATCH_H
#define OURO_IO_FILE_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/types.h>

#include "io/dents.h"
#include "ouro.h"
#include "ring/ring.h"

enum {
        WATCH_BUCKETS_FIRST = 64,
        WATCH_BUFFER = 16 << 10,
        /* Of every directory in a tree, to follow what comes and goes. */
        WATCH_TREE_MASK = IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE,
};

struct watch_root {
        struct watch_root *next;
        struct watch_node *node; /* NULL: none yet, or no more */
        int id;
        /* Of a tree: where its paths begin. No descriptor: the kernel would not tell that it is removed. */
        char *path;
        dev_t device;
        ino_t inode;
        uint32_t mask;
        unsigned users; /* that hold it while they wait */
        bool removed;   /* to be freed by the last of them */
        bool tree;
};

struct watch_node {
        struct watch_node *next; /* in its bucket */
        struct watch_node *parent, *children, *sibling;
        struct watch_root *root;
        struct dents found; /* told when it was scanned: their own events may still come */
        int wd;
        unsigned seen;   /* ouro_file_watch.turn when it was last found in its place */
        unsigned looked; /* ... and when what is in it was last looked at */
        char *name;      /* the root: "" */
};

enum watch_scan_kind {
        SCAN_NEW,   /* what is in it is told */
        SCAN_ADD,   /* it is part of what is being added: nothing is told, errors go to whoever adds it */
        SCAN_AGAIN, /* events were lost: it may be known, or new */
};

/* A directory that is to be watched, and what is in it looked at. */
struct watch_scan {
        struct watch_scan *next;
        struct watch_root *root; /* held */
        int parent_wd;
        enum watch_scan_kind kind;
        char name[]; /* "": the parent itself */
};

struct watch_event {
        struct watch_event *next;
        struct ouro_file_event event;
        size_t bytes; /* of it all */
        char path[];
};

struct ouro_file_watch {
        const struct sched *owner;
        int fd;
        int next_id;
        struct watch_root *roots;
        struct watch_node **buckets; /* by wd */
        size_t buckets_len, nodes_len;
        struct watch_scan *scans, **scans_tail; /* of new directories */
        struct watch_event *events, **events_tail;
        struct watch_event *told; /* the last one */
        struct watch_node *moved; /* out of its place; to where is not known yet */
        uint32_t moved_cookie;
        bool found_any; /* some node has found something, and the queue has not been empty since */
        bool rescan;    /* events were lost */
        bool sweep;     /* all has been looked at again since: what was not found is to be given up */
        unsigned turn;  /* counts these looks */
        void *waiters;  /* queue of those who wait for their turn */
        bool taken;     /* it is somebody's turn */
        bool closed;
        size_t inside;  /* tasks in a call that may wait */
        size_t adding;  /* of them: in ouro_file_watch_add() */
        size_t at, len; /* in buf */
        _Alignas(struct inotify_event) char buf[WATCH_BUFFER];
};

/* ---- file_watch_tree.c ---- */
struct watch_node *file_watch_find(const ouro_file_watch *watch, int wd);
struct watch_node *file_watch_child(const struct watch_node *node, const char *name);
/* NULL: no memory. */
struct watch_node *file_watch_node_new(ouro_file_watch *watch, struct watch_root *root,
                                       struct watch_node *parent, const char *name, int wd);
int file_watch_node_move(struct watch_node *node, struct watch_node *parent, const char *name);
/* Frees it and all below it. The kernel's watches go too. */
void file_watch_node_drop(ouro_file_watch *watch, struct watch_node *node);
/* Drops what the last look at everything has not found where it should be. */
void file_watch_drop_unseen(ouro_file_watch *watch);
/* Bytes of its path, followed by name, with the zero; written to buf if there is one. */
size_t file_watch_path(const struct watch_node *node, const char *name, char *buf);
bool file_watch_is_below(const struct watch_node *node, const struct watch_node *top);
void file_watch_root_release(struct watch_root *root); /* gives a hold back */
void file_watch_root_remove(ouro_file_watch *watch, struct watch_root *root);

/* ---- file_watch_scan.c ---- */
/* Puts one at the end of a list. 0 or -ENOMEM. */
int file_watch_scan_push(struct watch_scan ***tail, const struct watch_node *parent, const char *name,
                         enum watch_scan_kind kind);
void file_watch_scan_free(struct watch_scan *scan);
/* Does the first of a list, whose subdirectories come to its end. 0 or an error; on -ECANCELED, -ETIME and
 * -ENOMEM it is still in the list. */
int file_watch_scan_one(ouro_file_watch *watch, struct watch_scan **first, struct watch_scan ***tail);
/* A path that is added. Returns the root's node's descriptor, or an error. */
int file_watch_add_root(ouro_file_watch *watch, struct watch_root *root, int dirfd, const char *path);

/* ---- file_watch_events.c ---- */
/* Takes in what the kernel has to tell, up to the first event that is told or needs a look inside. 1:
 * something was taken in, 0: the queue is empty, or an error. */
int file_watch_take_in(ouro_file_watch *watch);
void file_watch_event_free(struct watch_event *event);
int file_watch_tell(ouro_file_watch *watch, const struct watch_node *node, const char *name,
                    const struct ouro_file_event *event);

#endif
