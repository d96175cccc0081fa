/* streams.c - a small protocol over streams: lines, a body of so many bytes, what is too long, and the end.
 *
 * The two ends are a pair in memory; over a descriptor it would be ouro_stream_open(). */
#include <errno.h>
#include <ouro.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE_MOST = 32 };

/* "put BYTES" and a body, or "get". */
static intptr_t answer(void *arg)
{
        ouro_stream *stream = arg;
        char body[16] = "nothing";
        const char *line;
        ssize_t n;

        while ((n = ouro_stream_read_line(stream, LINE_MOST, &line)) >= 0) {
                size_t len = n > 4 && line[0] == 'p' ? strtoul(line + 4, NULL, 10) : 0;

                if (len > 0 && len < sizeof body) {
                        int error = ouro_stream_read_exactly(stream, body, len, NULL);

                        if (error < 0)
                                return error;
                        body[len] = '\0';
                        ouro_stream_printf(stream, "stored %zu\n", len);
                } else {
                        ouro_stream_printf(stream, "%s\n", body);
                }
        }
        if (n == -EMSGSIZE)
                ouro_stream_printf(stream, "a line has %d bytes at most\n", LINE_MOST);
        return ouro_stream_close(stream);
}

static intptr_t ask(void *arg)
{
        ouro_stream *ends[2];
        const char *line;
        int error = ouro_stream_pair(0, NULL, ends);

        (void)arg;
        if (error < 0)
                return error;
        ouro_go(answer, ends[1]);

        /* Three requests at once. They go out when the first read has to wait. */
        ouro_stream_printf(ends[0], "get\r\nput 5\r\nhelloget\r\n");
        for (int i = 0; i < 3 && ouro_stream_read_line(ends[0], 0, &line) >= 0; i++)
                printf("%s\n", line);

        ouro_stream_printf(ends[0], "%100d\n", 1);
        while (ouro_stream_read_line(ends[0], 0, &line) >= 0)
                printf("%s\n", line);
        return ouro_stream_close(ends[0]);
}

int main(void)
{
        return ouro_run(ask, NULL) < 0;
}
