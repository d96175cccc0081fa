/* job_report.c - a report and its strings in one piece of memory: report, function, backtrace, output. */
#include <string.h>

#include "base/alloc.h"
#include "executors/job_report.h"

static size_t text_bytes(const char *text)
{
        return (text ? strlen(text) : 0) + 1;
}

static size_t report_bytes(const struct ouro_report *report)
{
        return sizeof *report + text_bytes(report->function) + text_bytes(report->backtrace) +
               report->output_bytes + 1;
}

/* Copies text and a NUL to *at, and moves that on. */
static const char *put(char **at, const char *text, size_t bytes)
{
        char *copy = *at;

        if (bytes)
                memcpy(copy, text, bytes);
        copy[bytes] = '\0';
        *at += bytes + 1;
        return copy;
}

struct ouro_report *report_copy(const struct ouro_report *from)
{
        struct ouro_report *copy = mem_alloc(report_bytes(from));
        char *at = (char *)(copy + 1);

        if (!copy)
                return NULL;
        *copy = *from;
        copy->function = put(&at, from->function, text_bytes(from->function) - 1);
        copy->backtrace = put(&at, from->backtrace, text_bytes(from->backtrace) - 1);
        copy->output = put(&at, from->output, from->output_bytes);
        return copy;
}

void ouro_report_free(struct ouro_report *report)
{
        if (report)
                mem_free(report, report_bytes(report));
}
