/* played_host.c - the host's side of lanes and socket, as plainly as it can be written. */
#include <criterion/criterion.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executors/config.h"
#include "executors/launch.h"
#include "executors/module.h"
#include "support/played_host.h"

enum ouro_start played_start = OURO_START_FORK;

static void fork_zygote(struct played_host *host)
{
        int ends[2];

        cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        host->zygote = fork();
        cr_assert(host->zygote >= 0);
        if (host->zygote == 0) {
                close(ends[0]);
                zygote_serve(ends[1]);
        }
        close(ends[1]);
        host->socket = ends[0];
}

static void launch(struct played_host *host)
{
        int error = launch_zygote(played_start, NULL, &host->socket);

        cr_assert(error == 0, "no zygote: %s", strerror(-error));
        host->zygote = -1;
        host->launched = true;
}

void host_start_zygote(struct played_host *host)
{
        memset(host, 0, sizeof *host);
        for (unsigned i = 0; i < PLAYED_WORKERS; i++)
                host->workers[i].pidfd = -1;
        host->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        host->config = -1;
        cr_assert(host->doorbell >= 0);
        if (played_start == OURO_START_FORK)
                fork_zygote(host);
        else
                launch(host);
}

int host_configure(struct played_host *host, const struct ouro_process_options *given,
                   struct played_extras extras)
{
        struct ouro_process_options options = OURO_PROCESS_OPTIONS_INIT;
        struct zygote_message answer;
        int fds[3] = {-1, host->doorbell, extras.arena};

        if (given)
                options = *given;
        for (size_t i = 0; i < extras.fds_len; i++)
                cr_assert(zygote_send(host->socket,
                                      &(struct zygote_message){.verb = ZYGOTE_FD, .pid = extras.fds[i]},
                                      &extras.fds[i], 1) == 0);
        cr_assert(config_pack(&options, extras.arena_at, &host->config) == 0);
        fds[0] = host->config;
        cr_assert(zygote_send(host->socket, &(struct zygote_message){.verb = ZYGOTE_CONFIG}, fds, 3) == 0);
        answer = host_receive(host, NULL);
        if (answer.verb == ZYGOTE_REFUSED)
                return answer.error;
        cr_assert(answer.verb == ZYGOTE_READY);
        return 0;
}

void host_begin_with(struct played_host *host, const struct ouro_process_options *options,
                     struct played_extras extras)
{
        int error;

        host_start_zygote(host);
        error = host_configure(host, options, extras);
        cr_assert(error == 0, "the zygote refuses: %s", strerror(-error));
}

void host_begin(struct played_host *host, const struct ouro_process_options *options)
{
        host_begin_with(host, options, PLAYED_NOTHING);
}

void host_end(struct played_host *host)
{
        int status;

        if (host->launched)
                launch_end(host->socket);
        else
                close(host->socket);
        if (host->zygote > 0) {
                cr_assert(waitpid(host->zygote, &status, 0) == host->zygote);
                cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the zygote ended with %x", status);
        }
        close(host->doorbell);
        if (host->config >= 0)
                close(host->config);
        for (unsigned i = 0; i < PLAYED_WORKERS; i++) {
                if (host->workers[i].pidfd >= 0)
                        close(host->workers[i].pidfd);
                if (host->workers[i].lane.base)
                        lane_unmap(&host->workers[i].lane);
        }
}

struct zygote_message host_receive(struct played_host *host, int *ret_fd)
{
        struct zygote_message message;
        int fds[ZYGOTE_FDS_MOST], result = zygote_receive(host->socket, &message, fds);

        cr_assert(result == 1, "the zygote has gone: %d", result);
        for (unsigned i = 0; i < ZYGOTE_FDS_MOST; i++)
                if (fds[i] >= 0 && !(ret_fd && i == 0))
                        close(fds[i]);
        if (ret_fd)
                *ret_fd = fds[0];
        return message;
}

void host_spawn_with(struct played_host *host, unsigned worker, int arena, int output)
{
        struct played_worker *played = &host->workers[worker];
        struct zygote_message message = {.verb = ZYGOTE_SPAWN, .worker = worker, .generation = 7 + worker};
        int fds[3] = {-1, arena, output};

        if (played->pidfd >= 0)
                close(played->pidfd);
        if (played->lane.base)
                lane_unmap(&played->lane);
        cr_assert(lane_create(&played->lane, worker, PLAYED_ENTRIES, PLAYED_DATA_BYTES, &fds[0]) == 0);
        cr_assert(zygote_send(host->socket, &message, fds, 3) == 0);
        close(fds[0]);
        message = host_receive(host, &played->pidfd);
        cr_assert(message.verb == ZYGOTE_SPAWNED, "the zygote says %u, %d", message.verb, message.error);
        cr_assert(message.worker == worker && message.generation == 7 + worker);
        cr_assert(played->pidfd >= 0);
        played->pid = message.pid;
        played->next = 0;
}

void host_spawn(struct played_host *host, unsigned worker)
{
        host_spawn_with(host, worker, -1, -1);
}

struct zygote_message host_await_death(struct played_host *host, unsigned worker)
{
        struct zygote_message message = host_receive(host, NULL);

        cr_assert(message.verb == ZYGOTE_DIED && message.worker == worker, "the zygote says %u of %u",
                  message.verb, message.worker);
        cr_assert(message.generation == 7 + worker);
        cr_assert(message.pid == host->workers[worker].pid);
        return message;
}

/* The module's number in the lane; a new one is appended. */
static uint64_t module_number(struct lane *lane, const struct lane_module *module)
{
        uint32_t n = atomic_load(&lane->head->modules);

        for (uint32_t i = 0; i < n; i++)
                if (memcmp(&lane->modules[i], module, sizeof *module) == 0)
                        return i;
        cr_assert(n < LANE_MODULES_MOST);
        lane->modules[n] = *module;
        atomic_store(&lane->head->modules, n + 1);
        return n;
}

struct lane_entry *host_prepare(struct played_host *host, unsigned worker, ouro_job_fn *fn, const void *in,
                                size_t in_bytes, size_t out_bytes)
{
        struct played_worker *played = &host->workers[worker];
        struct lane_entry *entry = lane_entry(&played->lane, played->next);
        struct lane_note *note = lane_note(&played->lane, played->next);
        struct lane_module module;
        uint64_t offset;

        cr_assert(host_is(host, worker, played->next, LANE_FREE));
        cr_assert(in_bytes + out_bytes <= LANE_PLACE_BYTES - 32);
        memset(&module, 0, sizeof module);
        cr_assert(module_find((const void *)fn, &module, &offset) == 0);
        entry->module_fn = module_number(&played->lane, &module) << 48 | offset;
        entry->flags = entry->attempt = 0;
        entry->in = lane_place(&played->lane, played->next);
        entry->in_len = in_bytes;
        entry->out = entry->in + (in_bytes + 15) / 16 * 16;
        entry->out_len = out_bytes;
        if (in_bytes)
                memcpy(played->lane.base + entry->in, in, in_bytes);
        memset(note, 0, sizeof *note);
        return entry;
}

void host_wake(struct played_host *host, unsigned worker)
{
        struct lane_head *head = host->workers[worker].lane.head;

        atomic_thread_fence(memory_order_seq_cst);
        if (atomic_exchange(&head->asleep, 0))
                syscall(SYS_futex, &head->asleep, FUTEX_WAKE, 1, NULL, NULL, 0);
}

uint64_t host_hand_over(struct played_host *host, unsigned worker)
{
        struct played_worker *played = &host->workers[worker];
        uint64_t n = played->next++;

        atomic_store(&lane_entry(&played->lane, n)->state, lane_lap(&played->lane, n) | LANE_READY);
        host_wake(host, worker);
        return n;
}

uint64_t host_put(struct played_host *host, unsigned worker, ouro_job_fn *fn, const void *in, size_t in_bytes,
                  size_t out_bytes)
{
        host_prepare(host, worker, fn, in, in_bytes, out_bytes);
        return host_hand_over(host, worker);
}

bool host_is(const struct played_host *host, unsigned worker, uint64_t n, enum lane_state state)
{
        const struct lane *lane = &host->workers[worker].lane;

        return atomic_load(&lane_entry(lane, n)->state) == (lane_lap(lane, n) | state);
}

static void sleep_on_doorbell(struct played_host *host)
{
        struct pollfd bell = {.fd = host->doorbell, .events = POLLIN};
        uint64_t rung;

        cr_assert(poll(&bell, 1, -1) == 1);
        cr_assert(read(host->doorbell, &rung, sizeof rung) == sizeof rung);
}

void host_await(struct played_host *host, unsigned worker, uint64_t n, enum lane_state state)
{
        while (!host_is(host, worker, n, state)) {
                atomic_store(&host->workers[worker].lane.head->listening, 1);
                if (host_is(host, worker, n, state))
                        break;
                sleep_on_doorbell(host);
        }
        atomic_store(&host->workers[worker].lane.head->listening, 0);
}

void host_await_phase(struct played_host *host, unsigned worker, enum lane_phase phase)
{
        struct lane_head *head = host->workers[worker].lane.head;

        while (atomic_load(&head->phase) != phase) {
                atomic_store(&head->listening, 1);
                if (atomic_load(&head->phase) == phase)
                        break;
                sleep_on_doorbell(host);
        }
        atomic_store(&head->listening, 0);
}

void host_free_entry(struct played_host *host, unsigned worker, uint64_t n)
{
        struct lane *lane = &host->workers[worker].lane;

        atomic_store(&lane_entry(lane, n)->state, lane_lap(lane, n + lane->mask + 1) | LANE_FREE);
}

intptr_t host_call(struct played_host *host, unsigned worker, ouro_job_fn *fn, const void *in,
                   size_t in_bytes, void *out, size_t out_bytes)
{
        uint64_t n = host_put(host, worker, fn, in, in_bytes, out_bytes);
        struct lane *lane = &host->workers[worker].lane;
        intptr_t result;

        host_await(host, worker, n, LANE_DONE);
        result = (intptr_t)lane_entry(lane, n)->result;
        if (out)
                memcpy(out, lane->base + lane_entry(lane, n)->out, out_bytes);
        host_free_entry(host, worker, n);
        return result;
}

void host_stop(struct played_host *host, unsigned worker)
{
        atomic_store(&host->workers[worker].lane.head->stop, 1);
        host_wake(host, worker);
}

void host_cancel(struct played_host *host, unsigned worker, uint64_t n)
{
        struct lane_note *note = lane_note(&host->workers[worker].lane, n);

        atomic_store(&note->cancelled, 1);
        syscall(SYS_futex, &note->cancelled, FUTEX_WAKE, 1, NULL, NULL, 0);
}
