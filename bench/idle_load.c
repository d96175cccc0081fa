/* idle_load.c - connections that do nothing: what each costs an echo server.
 *
 * idle_load ADDRESS --pid SERVER [--connections N] prints one line:
 *
 *   idle connections=10000 resident_bytes=4310 page_table_bytes=.. kernel_bytes=.. warm_bytes=..
 *
 * Every connection sends one message and gets its echo, so that its task has run, and then is left alone.
 * resident_bytes and page_table_bytes are what the server process has grown by, per connection. kernel_bytes
 * is the growth of the kernel's slab and of the memory of TCP, which has both ends of each connection in it,
 * on a machine on which others do things too. The server has served 100 connections before it is first looked
 * at. */
#include "bench.h"
#include "echo.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WARM = 100, CONNECTIONS_MAX = 60000 };

/* The number after a name in a file of /proc: "VmRSS:   1234 kB". */
static long number_in(const char *path, const char *name)
{
        FILE *file = fopen(path, "r");
        char line[256];
        long number = -1;

        if (!file)
                bench_die(path);
        while (number < 0 && fgets(line, sizeof(line), file)) {
                if (strncmp(line, name, strlen(name)) == 0)
                        number = strtol(line + strlen(name), NULL, 10);
        }
        fclose(file);
        if (number < 0) {
                errno = ENODATA;
                bench_die(name);
        }
        return number;
}

/* Pages of TCP's buffers, of all sockets: "TCP: inuse 5 orphan 0 tw 0 alloc 6 mem 3". */
static long tcp_pages(void)
{
        FILE *file = fopen("/proc/net/sockstat", "r");
        char line[256], *mem;
        long pages = 0;

        if (!file)
                return 0;
        while (fgets(line, sizeof(line), file)) {
                mem = strstr(line, " mem ");
                if (strncmp(line, "TCP:", 4) == 0 && mem)
                        pages = strtol(mem + 5, NULL, 10);
        }
        fclose(file);
        return pages;
}

struct memory {
        long resident, page_tables, kernel; /* bytes */
};

static struct memory look(int pid)
{
        struct memory memory;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        memory.resident = number_in(path, "VmRSS:") * 1024;
        memory.page_tables = number_in(path, "VmPTE:") * 1024;
        memory.kernel = number_in("/proc/meminfo", "Slab:") * 1024 + tcp_pages() * sysconf(_SC_PAGESIZE);
        return memory;
}

static int connect_one(const char *address)
{
        char message[ECHO_MESSAGE_BYTES] = "idle", answer[ECHO_MESSAGE_BYTES];
        int fd = echo_dial(address);

        if (send(fd, message, sizeof(message), MSG_NOSIGNAL) != sizeof(message) ||
            recv(fd, answer, sizeof(answer), MSG_WAITALL) != sizeof(answer))
                bench_die("the echo");
        return fd;
}

static void warm_up(const char *address)
{
        int fds[WARM];

        for (int i = 0; i < WARM; i++)
                fds[i] = connect_one(address);
        for (int i = 0; i < WARM; i++)
                close(fds[i]);
        usleep(200 * 1000); /* the server sees their end */
}

int main(int argc, char **argv)
{
        static const struct option known[] = {{"connections", required_argument, NULL, 'n'},
                                              {"pid", required_argument, NULL, 'p'},
                                              {NULL, 0, NULL, 0}};
        int connections = 10000, pid = 0, option;
        struct memory before, after;

        while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
                if (option == 'n')
                        connections = atoi(optarg);
                else if (option == 'p')
                        pid = atoi(optarg);
        }
        if (optind + 1 != argc || pid == 0 || connections < 1 || connections > CONNECTIONS_MAX) {
                fprintf(stderr, "usage: idle_load ADDRESS --pid SERVER [--connections N]\n");
                return 2;
        }
        echo_end_with_parent();
        echo_many_descriptors();
        warm_up(argv[optind]);
        before = look(pid);
        for (int i = 0; i < connections; i++)
                connect_one(argv[optind]); /* ours until the end of the process */
        after = look(pid);
        printf("idle connections=%d resident_bytes=%.0f page_table_bytes=%.0f kernel_bytes=%.0f "
               "warm_bytes=%ld\n",
               connections, (double)(after.resident - before.resident) / connections,
               (double)(after.page_tables - before.page_tables) / connections,
               (double)(after.kernel - before.kernel) / connections, before.resident);
        return 0;
}
