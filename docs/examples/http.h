/* http.h - the parts of the HTTP server: a request is read (http_request.c), the file that it names is found
 * (http_files.c), and an answer is sent (http_answer.c), again and again on each connection (http_server.c).
 */
#ifndef HTTP_H
#define HTTP_H

#include <ouro.h>

#include <errno.h>
#include <http_parser.h>
#include <string.h>
#include <uthash.h>

enum {
        TARGET_MOST = 4096, /* of a request's path and query, in bytes */
        HEAD_MOST = 16384,  /* of its first line and header fields */
        BODY_MOST = 65536,  /* that is passed over */
        VALUE_MOST = 256,   /* of a header field that matters here */
};

/* ---- http_request.c ---- */

struct request {
        http_parser parser;
        int status; /* 0, or what it must be answered with, and the connection then ends */
        bool complete, head_complete, in_value, has_host;
        size_t head_len, body_len, target_len, name_len, value_len;
        char *value; /* of the field that is being read, if it matters; VALUE_MOST bytes */
        char name[24];
        char target[TARGET_MOST + 1];
        char range[VALUE_MOST], if_range[VALUE_MOST], if_none_match[VALUE_MOST],
                if_modified_since[VALUE_MOST];
};

/* Waits for the next request. 1; 0: the peer asks no more; less than zero: the connection's error. */
int request_read(ouro_stream *stream, struct request *request);

bool request_keeps_alive(const struct request *request);

/* The path that a request names, decoded and relative to the root; a directory's is that of its index. 0, or
 * the status that says what is wrong with it. */
int request_path(const struct request *request, char path[TARGET_MOST + 16]);

/* ---- http_files.c ---- */

/* A file that has been opened, looked at and, if it is small, read. */
struct file {
        UT_hash_handle hh; /* by path, in the cache */
        int fd;            /* -1: its content is enough */
        uint64_t inode;
        off_t size;
        struct timespec modified;
        int64_t looked_at_ns;
        unsigned users;
        bool cached;
        char *content; /* all of it, or NULL */
        char etag[64], last_modified[32];
        const char *type;
        char fields[320]; /* of an answer: its type, date and tag */
        char length[40];  /* and one more, where all of it is sent */
        char path[];
};

struct files {
        int root;         /* a directory: nothing outside it is ever opened */
        int64_t cache_ns; /* how long what is known of a file is believed; 0: nothing is kept */
        size_t content_bytes;
        unsigned open; /* files in the table with a descriptor */
        struct file *table;
};

/* 0 and a file to be given back; -EISDIR: it is a directory; -ENOENT, -EXDEV (outside the root), ... */
int file_get(struct files *files, const char *path, struct file **ret_file);
void file_put(struct files *files, struct file *file);
void files_forget_all(struct files *files);

void http_date(time_t time, char text[32]);

/* ---- http_answer.c ---- */

/* What all connections share. */
struct site {
        struct files files;
        bool tls;
        bool log;
        time_t now; /* that date is the text of */
        char date[32];
};

/* 0, or the connection's error. */
int answer(struct site *site, ouro_stream *stream, const struct request *request);

#endif
