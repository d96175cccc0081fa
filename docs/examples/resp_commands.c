/* resp_commands.c - the commands of the RESP server, each a function that writes its answer. */
#include "resp_commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>

#include "resp_store.h"

enum { NUMBER_BYTES = 24 };

/* ---- answers. A write that fails is not looked at: its error stays, and the next read tells --------- */

static void say(ouro_stream *to, const char *line)
{
        ouro_stream_write(to, line, strlen(line));
}

/* "kind digits CR LF" at the end of line; the begin of it. */
static char *format_number(char line[static NUMBER_BYTES], char kind, long long number)
{
        unsigned long long rest = number < 0 ? -(unsigned long long)number : (unsigned long long)number;
        char *at = line + NUMBER_BYTES;

        *--at = '\n';
        *--at = '\r';
        do
                *--at = (char)('0' + rest % 10);
        while ((rest /= 10) > 0);
        if (number < 0)
                *--at = '-';
        *--at = kind;
        return at;
}

static void say_number(ouro_stream *to, char kind, long long number)
{
        char line[NUMBER_BYTES], *at = format_number(line, kind, number);

        ouro_stream_write(to, at, (size_t)(line + sizeof line - at));
}

static void say_bytes(ouro_stream *to, const char *bytes, size_t len)
{
        char line[NUMBER_BYTES], *at = format_number(line, '$', (long long)len);
        const struct iovec pieces[] = {
                {at, (size_t)(line + sizeof line - at)},
                {(void *)(uintptr_t)bytes, len},
                {(char[]){"\r\n"}, 2},
        };

        ouro_stream_writev(to, pieces, 3);
}

/* Others may change or remove the entry while this waits for a client that does not read. */
static void say_value(ouro_stream *to, const struct entry *entry)
{
        struct value *value = entry ? value_hold(entry->value) : NULL;

        if (value)
                say_bytes(to, value->bytes, entry->len);
        else
                say(to, "$-1\r\n");
        value_release(value);
}

static void say_stored(ouro_stream *to, bool stored)
{
        say(to, stored ? "+OK\r\n" : "-OOM command not allowed: out of memory\r\n");
}

/* ---- commands: n words, the first of which is the command's name ---------------------------------- */

static struct entry *find_word(const struct word *key)
{
        return store_find(key->str, key->len);
}

static struct entry *store_word(const struct word *key, const struct word *value)
{
        return store_set(key->str, key->len, value->str, value->len);
}

static bool parse_number(const char *text, size_t len, long long *ret_number)
{
        char digits[24], *end;

        if (len == 0 || len >= sizeof digits)
                return false;
        memcpy(digits, text, len);
        digits[len] = '\0';
        errno = 0;
        *ret_number = strtoll(digits, &end, 10);
        return end == digits + len && errno == 0 && digits[0] != ' ';
}

static void do_get(ouro_stream *to, const struct word *words, size_t n)
{
        (void)n;
        say_value(to, find_word(&words[1]));
}

/* From now in seconds or milliseconds; 0: no such time. */
static int64_t moment(const struct word *number, int64_t unit_ns)
{
        long long ns;

        if (!parse_number(number->str, number->len, &ns) || ns <= 0 || ns > INT64_MAX / 2 / unit_ns)
                return 0;
        return ouro_now() + ns * unit_ns;
}

/* SET key value [EX seconds | PX milliseconds] */
static void do_set(ouro_stream *to, const struct word *words, size_t n)
{
        bool px = n == 5 && strcasecmp(words[3].str, "PX") == 0;
        int64_t expires_ns = n == 5 ? moment(&words[4], px ? OURO_MS(1) : OURO_SEC(1)) : 0;
        struct entry *entry;

        if (n != 3 && (n != 5 || (!px && strcasecmp(words[3].str, "EX") != 0))) {
                say(to, "-ERR syntax error\r\n");
        } else if (n == 5 && expires_ns == 0) {
                say(to, "-ERR invalid expire time in 'set' command\r\n");
        } else {
                entry = store_word(&words[1], &words[2]);
                if (entry)
                        store_expire(entry, expires_ns);
                say_stored(to, entry != NULL);
        }
}

static void do_del(ouro_stream *to, const struct word *words, size_t n)
{
        long long found = 0;

        for (size_t i = 1; i < n; i++) {
                struct entry *entry = find_word(&words[i]);

                found += entry != NULL;
                if (entry)
                        store_remove(entry);
        }
        say_number(to, ':', found);
}

static void do_exists(ouro_stream *to, const struct word *words, size_t n)
{
        long long found = 0;

        for (size_t i = 1; i < n; i++)
                found += find_word(&words[i]) != NULL;
        say_number(to, ':', found);
}

/* INCR key, INCRBY key by */
static void do_incr(ouro_stream *to, const struct word *words, size_t n)
{
        struct entry *entry = find_word(&words[1]);
        long long sum = 0, by = 1;
        char digits[24];

        if ((entry && !parse_number(entry->value->bytes, entry->len, &sum)) ||
            (n > 2 && !parse_number(words[2].str, words[2].len, &by)))
                say(to, "-ERR value is not an integer or out of range\r\n");
        else if (__builtin_add_overflow(sum, by, &sum))
                say(to, "-ERR increment or decrement would overflow\r\n");
        else if (!store_set(words[1].str, words[1].len, digits,
                            (size_t)snprintf(digits, sizeof digits, "%lld", sum)))
                say_stored(to, false);
        else
                say_number(to, ':', sum);
}

static void do_mget(ouro_stream *to, const struct word *words, size_t n)
{
        say_number(to, '*', (long long)n - 1);
        for (size_t i = 1; i < n; i++)
                say_value(to, find_word(&words[i]));
}

static void do_mset(ouro_stream *to, const struct word *words, size_t n)
{
        bool stored = true;

        if (n % 2 == 0) {
                say(to, "-ERR wrong number of arguments for 'mset' command\r\n");
                return;
        }
        for (size_t i = 1; stored && i < n; i += 2) {
                struct entry *entry = store_word(&words[i], &words[i + 1]);

                stored = entry != NULL;
                if (entry)
                        store_expire(entry, 0);
        }
        say_stored(to, stored);
}

static void do_expire(ouro_stream *to, const struct word *words, size_t n)
{
        struct entry *entry = find_word(&words[1]);
        int64_t expires_ns = moment(&words[2], OURO_SEC(1));

        (void)n;
        if (expires_ns == 0) {
                say(to, "-ERR invalid expire time in 'expire' command\r\n");
                return;
        }
        if (entry)
                store_expire(entry, expires_ns);
        say_number(to, ':', entry != NULL);
}

static void do_ttl(ouro_stream *to, const struct word *words, size_t n)
{
        const struct entry *entry = find_word(&words[1]);

        (void)n;
        if (!entry || !entry->expires_ns)
                say_number(to, ':', entry ? -1 : -2);
        else
                say_number(to, ':', (entry->expires_ns - ouro_now() + OURO_MS(500)) / OURO_SEC(1));
}

static void do_ping(ouro_stream *to, const struct word *words, size_t n)
{
        if (n == 1)
                say(to, "+PONG\r\n");
        else
                say_bytes(to, words[1].str, words[1].len);
}

static void do_echo(ouro_stream *to, const struct word *words, size_t n)
{
        (void)n;
        say_bytes(to, words[1].str, words[1].len);
}

static void do_dbsize(ouro_stream *to, const struct word *words, size_t n)
{
        (void)words, (void)n;
        say_number(to, ':', (long long)store_len());
}

static void do_flush(ouro_stream *to, const struct word *words, size_t n)
{
        (void)words, (void)n;
        store_clear();
        say_stored(to, true);
}

/* What clients ask as they start (CONFIG GET, COMMAND): there is nothing to tell. */
static void do_nothing(ouro_stream *to, const struct word *words, size_t n)
{
        (void)words, (void)n;
        say(to, "*0\r\n");
}

static const struct command {
        const char *name;
        size_t least, most; /* words, the name among them */
        void (*run)(ouro_stream *to, const struct word *words, size_t n);
} commands[] = {
        {"get", 2, 2, do_get},
        {"set", 3, SIZE_MAX, do_set},
        {"incr", 2, 2, do_incr},
        {"mset", 3, SIZE_MAX, do_mset},
        {"mget", 2, SIZE_MAX, do_mget},
        {"del", 2, SIZE_MAX, do_del},
        {"ping", 1, 2, do_ping},
        {"exists", 2, SIZE_MAX, do_exists},
        {"incrby", 3, 3, do_incr},
        {"expire", 3, 3, do_expire},
        {"ttl", 2, 2, do_ttl},
        {"echo", 2, 2, do_echo},
        {"dbsize", 1, 1, do_dbsize},
        {"flushall", 1, 1, do_flush},
        {"config", 2, SIZE_MAX, do_nothing},
        {"command", 1, SIZE_MAX, do_nothing},
};

void run_command(ouro_stream *to, const struct word *words, size_t n)
{
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
                const struct command *command = &commands[i];

                if (strcasecmp(words[0].str, command->name) != 0)
                        continue;
                if (n >= command->least && n <= command->most)
                        command->run(to, words, n);
                else
                        ouro_stream_printf(to, "-ERR wrong number of arguments for '%s' command\r\n",
                                           command->name);
                return;
        }
        ouro_stream_printf(to, "-ERR unknown command '%.64s'\r\n", words[0].str);
}
