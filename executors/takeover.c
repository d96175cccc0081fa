/* takeover.c - in a process that was executed to be a zygote, main never runs.
 *
 * The library's own constructor is too early: the program's constructors have not run. It replaces the last
 * of those by run_last(), which calls it and then serves. Only where that is impossible does the program have
 * to call ouro_worker_main(), which then finds the greeting still in the socket.
 *
 * In an ordinary run the constructor compares one string. Constructors are given main's arguments by glibc.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/sys.h"
#include "executors/config.h"
#include "executors/module.h"
#include "executors/program.h"
#include "executors/takeover.h"
#include "executors/zygote.h"

static const char MAGIC[8] = "ouro-z1";

enum { LAYOUT = sizeof(struct lane_head) * 31 + sizeof(struct config) * 7 + sizeof(struct zygote_message) };

static program_constructor *original;
static bool accepted; /* the greeting was for us */
static bool pending;  /* between the library's constructor and the program's last */
static atomic_bool in_main;

int takeover_message_init(struct takeover_message *message)
{
        uint64_t unused;

        memset(message, 0, sizeof *message);
        memcpy(message->magic, MAGIC, sizeof MAGIC);
        strncpy(message->version, ouro_version(), sizeof message->version - 1);
        message->layout = LAYOUT;
        return module_find((const void *)takeover_message_init, &message->library, &unused) < 0 ? -ENOEXEC
                                                                                                : 0;
}

bool takeover_matches(const struct takeover_message *host, const struct takeover_message *zygote)
{
        if (memcmp(host->magic, zygote->magic, sizeof MAGIC) != 0 || host->layout != zygote->layout ||
            memcmp(host->version, zygote->version, sizeof host->version) != 0)
                return false;
        return host->any_build ||
               (host->library.id_bytes == zygote->library.id_bytes &&
                host->library.by_hash == zygote->library.by_hash &&
                memcmp(host->library.id, zygote->library.id, sizeof host->library.id) == 0);
}

/* ---- is this process to be a zygote? ---- */

/* A seqpacket socket that somebody with our user ID has made. */
static bool is_socket_of_ours(int fd)
{
        int domain, type;
        struct ucred peer;
        socklen_t domain_len = sizeof domain, type_len = sizeof type, peer_len = sizeof peer;

        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len) == 0 && domain == AF_UNIX &&
               getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_SEQPACKET &&
               getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) == 0 && peer.uid == geteuid();
}

/* It begins alike in every version. It stays where it is: it may be for another copy of the library in this
 * process. */
static bool is_greeted(int fd, struct takeover_message *ret_greeting)
{
        memset(ret_greeting, 0, sizeof *ret_greeting);
        return recv(fd, ret_greeting, sizeof *ret_greeting, MSG_PEEK | MSG_DONTWAIT) >= TAKEOVER_LEAST &&
               memcmp(ret_greeting->magic, MAGIC, sizeof MAGIC) == 0 &&
               ret_greeting->verb == TAKEOVER_GREETING;
}

static void answer(int fd, struct takeover_message *message, enum takeover_verb verb)
{
        message->verb = verb;
        while (send(fd, message, sizeof *message, MSG_NOSIGNAL) < 0 && errno == EINTR)
                ;
}

/* Nobody but a host puts that there. */
static bool is_zygote(int argc, char **argv, struct takeover_message *ret_greeting)
{
        return argc == 2 && argv && argv[1] && strcmp(argv[1], TAKEOVER_ARGUMENT) == 0 &&
               !getauxval(AT_SECURE) && is_socket_of_ours(TAKEOVER_FD) &&
               is_greeted(TAKEOVER_FD, ret_greeting);
}

/* Takes the greeting if it is for this copy of the library. */
static bool accept_greeting(const struct takeover_message *greeting)
{
        struct takeover_message own;

        if (takeover_message_init(&own) < 0 || !takeover_matches(greeting, &own))
                return false;
        return recv(TAKEOVER_FD, &own, sizeof own, 0) > 0;
}

/* The library has been replaced since the host has loaded it. */
static _Noreturn void refuse(void)
{
        struct takeover_message failed;

        takeover_message_init(&failed);
        failed.error = -ELIBBAD;
        answer(TAKEOVER_FD, &failed, TAKEOVER_FAILED);
        _exit(127);
}

/* ---- being one ---- */

static uint32_t count_threads(void)
{
        DIR *tasks = opendir("/proc/self/task");
        uint32_t n = 0;

        if (!tasks)
                return 0;
        for (const struct dirent *entry; (entry = readdir(tasks));)
                n += entry->d_name[0] != '.';
        closedir(tasks);
        return n;
}

_Noreturn void takeover_serve(int socket)
{
        struct takeover_message serving;

        takeover_message_init(&serving);
        serving.threads = count_threads();
        pending = false;
        answer(socket, &serving, TAKEOVER_SERVING);
        zygote_serve(socket);
}

static void serve_or_refuse(void)
{
        struct takeover_message greeting;

        if (accepted)
                takeover_serve(TAKEOVER_FD);
        if (is_greeted(TAKEOVER_FD, &greeting))
                refuse();
        /* Another copy of the library has taken the greeting: its turn comes. */
}

static void run_last(int argc, char **argv, char **envp)
{
        original(argc, argv, envp);
        serve_or_refuse();
}

/* Threads that constructors start inherit that: one that let it in would take it from the zygote's signalfd.
 */
static void hold_back_sigchld(void)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigprocmask(SIG_BLOCK, &set, NULL);
}

__attribute__((constructor(101))) static void take_over(int argc, char **argv)
{
        struct takeover_message greeting;
        program_constructor **last;

        if (!is_zygote(argc, argv, &greeting))
                return;
        last = program_last_constructor();
        if (!last)
                return; /* ouro_worker_main() will be called, or the host would not have executed us */
        accepted = accept_greeting(&greeting);
        pending = true;
        hold_back_sigchld();
        if ((void *)*last == (void *)take_over)
                serve_or_refuse();
        original = *last;
        if (program_replace_constructor(last, run_last) < 0)
                _exit(127); /* and the host is told that nobody serves */
}

bool takeover_pending(void)
{
        return pending;
}

bool takeover_in_main(void)
{
        return atomic_load(&in_main);
}

void ouro_worker_main(int argc, char **argv)
{
        struct takeover_message greeting;

        atomic_store(&in_main, true);
        if (!is_zygote(argc, argv, &greeting))
                return;
        accepted = accept_greeting(&greeting);
        serve_or_refuse();
}
