/* worker.c - a process that runs jobs from its lane, one after another, until it is told to stop or dies.
 *
 * It trusts the host, and is not trusted by it. What a job may do to it, it is not protected from: it is the
 * process that can be lost.
 *
 * A job may fork. Its child has neither lane nor arena (they are not inherited over fork), and must never
 * come to act as the worker, even if it returns from the job: a page that the kernel empties in children
 * tells them apart for the price of a load.
 *
 * Sleeping is described in lane.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/spin.h"
#include "base/relax.h"
#include "base/sys.h"
#include "executors/confine.h"
#include "executors/crash.h"
#include "executors/job.h"
#include "executors/module.h"
#include "executors/worker.h"
#include "ouro/executor.h"

enum {
        SPIN_LOOKS = 64,
        RESOLVED_SLOTS = 64, /* a power of two */
        STATUS_BROKEN = 1,   /* what it exits with */
        MODULE_SHIFT = 48,
};

/* A function that has been found. */
struct resolved {
        uint64_t module_fn;
        ouro_job_fn *fn; /* NULL: an empty slot */
};

struct worker {
        struct lane lane;
        const struct config *config;
        bool forked;
        struct spin spin;
        int doorbell;
        int statm; /* or -1 */
        long page_bytes;
        const volatile uint32_t *mine; /* nonzero in the worker, zero in its children */
        struct ouro_job job;
        _Atomic int never_cancelled; /* the token of initializer and finalizer */
        uintptr_t bias[LANE_MODULES_MOST];
        bool loaded[LANE_MODULES_MOST];
        struct resolved resolved[RESOLVED_SLOTS];
};

/* ---- beginning ---- */

int worker_map_arena(uint64_t at, uint64_t bytes, int fd)
{
        /* The raw call: TSan's mmap() does not let a program choose such an address. */
        long got = sys_result(syscall(SYS_mmap, at, bytes, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, 0));

        return got < 0 && got > -4096 ? (int)got : 0;
}

/* Not inherited by a job's children, and not in core files, which would make every page of it real. */
static void keep_arena(uint64_t at, uint64_t bytes)
{
        madvise((void *)(uintptr_t)at, bytes, MADV_DONTFORK);
        madvise((void *)(uintptr_t)at, bytes, MADV_DONTDUMP);
}

static int map_arena(const struct config *config, const struct worker_start *start)
{
        uint64_t at = config->arena_at;
        int error = 0;

        if (config->arena_bytes == 0)
                return 0;
        if (config->arena_per_worker) {
                at += start->worker * config->arena_bytes;
                error = start->arena < 0 ? 0 : worker_map_arena(at, config->arena_bytes, start->arena);
        }
        if (start->arena >= 0)
                close(start->arena);
        if (error == 0)
                keep_arena(at, config->arena_bytes);
        return error;
}

static const volatile uint32_t *mark_as_mine(void)
{
        uint32_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        check(page != MAP_FAILED);
        check(madvise(page, 4096, MADV_WIPEONFORK) == 0);
        *page = 1;
        return page;
}

/* Its own session, so that a job's kill(0, ...) meets nobody else; ended with the zygote. */
static void be_a_process_of_its_own(const struct config *config, pid_t zygote)
{
        sigset_t none;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != zygote)
                _exit(0);
        prctl(PR_SET_NAME, config->name);
        setsid();
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

/* exit() in a fork would run what the host has registered with atexit(), and write what the host has not yet
 * written to its files. */
static void exit_of_fork(int status, void *unused)
{
        (void)unused;
        fflush(stdout);
        fflush(stderr);
        _exit(status);
}

static _Noreturn void end(const struct worker *worker, int status)
{
        if (worker->forked)
                exit_of_fork(status, NULL);
        fflush(NULL);
        _exit(status);
}

/* 0, or why there is no working here. */
static int set_up(struct worker *worker, const struct worker_start *start)
{
        int error;

        if (worker->config->measure_resident)
                worker->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
        worker->page_bytes = sysconf(_SC_PAGESIZE);
        if (start->forked)
                on_exit(exit_of_fork, NULL);
        error = map_arena(worker->config, start);
        if (error < 0)
                return error;
        crash_watch(worker->lane.head, worker->mine);
        return confine_worker(worker->config, start->doorbell, start->output);
}

/* ---- talking to the host ---- */

static void ring_if_listening(struct worker *worker)
{
        static const uint64_t one = 1;
        struct lane_head *head = worker->lane.head;

        if (likely(!atomic_load(&head->listening)) || !atomic_exchange(&head->listening, 0))
                return;
        while (write(worker->doorbell, &one, sizeof one) < 0 && errno == EINTR)
                ;
}

static void set_phase(struct worker *worker, enum lane_phase phase)
{
        atomic_store(&worker->lane.head->phase, phase);
        ring_if_listening(worker);
}

static _Noreturn void end_broken(struct worker *worker, int error)
{
        atomic_store(&worker->lane.head->phase_error, error);
        set_phase(worker, LANE_BROKEN);
        end(worker, STATUS_BROKEN);
}

static int64_t clock_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- finding functions ---- */

static ouro_job_fn *find_function(const struct lane_module *module, uintptr_t *bias, bool *loaded,
                                  uint64_t offset)
{
        if (!*loaded) {
                if (module_load(module, bias) < 0)
                        return NULL;
                *loaded = true;
        }
        if (module_has(*bias, offset) < 0)
                return NULL;
        return (ouro_job_fn *)(*bias + offset);
}

static ouro_job_fn *resolve(struct worker *worker, uint64_t module_fn)
{
        struct resolved *slot = &worker->resolved[(module_fn >> 4 ^ module_fn >> 12) % RESOLVED_SLOTS];
        uint64_t module = module_fn >> MODULE_SHIFT;

        if (likely(slot->module_fn == module_fn && slot->fn))
                return slot->fn;
        if (module >= LANE_MODULES_MOST || module >= atomic_load(&worker->lane.head->modules))
                return NULL;
        slot->module_fn = module_fn;
        slot->fn = find_function(&worker->lane.modules[module], &worker->bias[module],
                                 &worker->loaded[module], module_fn & ((1ull << MODULE_SHIFT) - 1));
        return slot->fn;
}

/* ---- running ---- */

static intptr_t call(struct worker *worker, ouro_job_fn *fn, struct ouro_in in, struct ouro_out out,
                     _Atomic int *token, unsigned attempt)
{
        struct ouro_job *job = &worker->job;
        intptr_t result;

        job->fn = fn;
        job->in = in;
        job->out = out;
        job->of_executor = token;
        job->attempt = attempt;
        job->worker = worker->lane.head->worker; /* one that stood by has got another's */
        result = ouro_job_run(job);
        if (unlikely(!*worker->mine))
                _exit(0); /* a child that the job has forked, and that has come back from it */
        return result;
}

/* What an entry says where something is: an address in the arena, or an offset in the lane. */
static void *at(const struct worker *worker, uint64_t where, bool is_address)
{
        return is_address ? (void *)(uintptr_t)where : worker->lane.base + where;
}

struct map {
        const char *in;
        char *out;
        intptr_t *values; /* or NULL */
        uint64_t items;
};

static intptr_t run_map(struct worker *worker, ouro_job_fn *fn, const struct lane_entry *entry,
                        struct lane_note *note, const struct map *map)
{
        const uint64_t in_bytes = note->item_bytes, out_bytes = note->result_bytes;
        uint64_t done = 0;
        intptr_t result = 0;

        for (; done < map->items && result >= 0; done++) {
                intptr_t value;

                if (atomic_load_explicit(&note->cancelled, memory_order_relaxed)) {
                        result = -ECANCELED;
                        break;
                }
                value = call(worker, fn, ouro_in(in_bytes ? map->in + done * in_bytes : NULL, in_bytes),
                             ouro_out(out_bytes ? map->out + done * out_bytes : NULL, out_bytes),
                             &note->cancelled, entry->attempt);
                if (map->values)
                        map->values[done] = value;
                else if (value < 0)
                        result = value;
        }
        for (; map->values && done < map->items; done++)
                map->values[done] = -ECANCELED;
        return result;
}

static intptr_t run_entry(struct worker *worker, const struct lane_entry *entry, struct lane_note *note)
{
        const char *in = at(worker, entry->in, entry->flags & LANE_IN_ADDRESS);
        char *out = at(worker, entry->out, entry->flags & LANE_OUT_ADDRESS);
        ouro_job_fn *fn = resolve(worker, entry->module_fn);

        if (unlikely(!fn))
                return -ENOEXEC;
        if (entry->flags & LANE_MAP) {
                const struct map map = {
                        .in = in,
                        .out = out,
                        .values = note->values ? at(worker, note->values, note->values >= worker->lane.bytes)
                                               : NULL,
                        .items = note->items,
                };

                return run_map(worker, fn, entry, note, &map);
        }
        return call(worker, fn, ouro_in(in, entry->in_len), ouro_out(out, entry->out_len), &note->cancelled,
                    entry->attempt);
}

static void measure(struct worker *worker)
{
        char text[128];
        long total, resident;
        ssize_t n;

        if (likely(worker->statm < 0))
                return;
        n = pread(worker->statm, text, sizeof text - 1, 0);
        if (n <= 0)
                return;
        text[n] = '\0';
        if (sscanf(text, "%ld %ld", &total, &resident) == 2)
                atomic_store(&worker->lane.head->resident_bytes,
                             (uint64_t)resident * (uint64_t)worker->page_bytes);
}

/* What is refused, because too much is captured already, must not come out in the next job's. */
static void flush_stdout(void)
{
        if (fflush(stdout) != 0)
                __fpurge(stdout);
}

static void run_claimed(struct worker *worker, uint64_t n)
{
        struct lane_entry *entry = lane_entry(&worker->lane, n);
        struct lane_note *note = lane_note(&worker->lane, n);
        const bool timed = entry->flags & LANE_TIMED;

        if (timed)
                atomic_store(&note->began_ns, clock_ns());
        entry->result = run_entry(worker, entry, note);
        if (timed)
                atomic_store(&note->ended_ns, clock_ns());
        if (unlikely(__fpending(stdout) > 0)) /* what a job prints is out when it is done */
                flush_stdout();
        measure(worker);
        atomic_exchange(&entry->state, lane_lap(&worker->lane, n) | LANE_DONE);
        ring_if_listening(worker);
}

/* ---- waiting ---- */

/* The next entry has been filled in or taken back, or nothing will come any more. */
static bool is_news(const struct worker *worker, uint64_t n)
{
        uint32_t state = atomic_load(&lane_entry(&worker->lane, n)->state) - lane_lap(&worker->lane, n);

        return state == LANE_READY || state == LANE_TAKEN || atomic_load(&worker->lane.head->stop);
}

static bool poll_for_news(struct worker *worker, uint64_t n)
{
        int64_t end_ns;

        if (!spin_is_due(&worker->spin))
                return is_news(worker, n);
        end_ns = clock_ns() + worker->spin.ns;
        do
                for (int i = 0; i < SPIN_LOOKS; i++) {
                        if (is_news(worker, n)) {
                                spin_paid(&worker->spin);
                                return true;
                        }
                        cpu_relax();
                }
        while (clock_ns() < end_ns);
        spin_failed(&worker->spin);
        return false;
}

static void sleep_until_news(struct worker *worker, uint64_t n)
{
        _Atomic uint32_t *asleep = &worker->lane.head->asleep;

        if (poll_for_news(worker, n))
                return;
        for (;;) {
                atomic_store(asleep, 1);
                atomic_thread_fence(memory_order_seq_cst);
                if (is_news(worker, n))
                        break;
                syscall(SYS_futex, asleep, FUTEX_WAIT, 1, NULL, NULL, 0);
        }
        atomic_store(asleep, 0);
}

/* One entry after the other. Returns when there are none and it has been told to stop. */
static void work(struct worker *worker)
{
        for (uint64_t n = 0;;) {
                const uint32_t lap = lane_lap(&worker->lane, n);
                struct lane_entry *entry = lane_entry(&worker->lane, n);
                uint32_t state = lap | LANE_READY;

                if (likely(atomic_load(&entry->state) == state &&
                           atomic_compare_exchange_strong(&entry->state, &state, lap | LANE_CLAIMED)))
                        run_claimed(worker, n++);
                else if ((state = atomic_load(&entry->state)) == (lap | LANE_TAKEN)) {
                        atomic_store(&entry->state, lap | LANE_SKIPPED);
                        ring_if_listening(worker);
                        n++;
                } else if (state != (lap | LANE_READY)) {
                        if (atomic_load(&worker->lane.head->stop))
                                return;
                        sleep_until_news(worker, n);
                }
        }
}

/* ---- a life ---- */

/* Initializer or finalizer. */
static intptr_t run_hook(struct worker *worker, const struct lane_module *module, uint64_t offset)
{
        const struct config *config = worker->config;
        uintptr_t bias;
        bool loaded = false;
        ouro_job_fn *fn;

        if (offset == UINT64_MAX)
                return 0;
        fn = find_function(module, &bias, &loaded, offset);
        if (!fn)
                return -ENOEXEC;
        return call(worker, fn, ouro_in((const char *)config + config->in.at, config->in.bytes), OURO_NO_OUT,
                    &worker->never_cancelled, 0);
}

_Noreturn void worker_main(const struct config *config, const struct worker_start *start)
{
        static struct worker worker;
        intptr_t error;

        worker.config = config;
        worker.forked = start->forked;
        worker.doorbell = start->doorbell;
        worker.spin.ns = config->spin_ns;
        worker.statm = -1;
        worker.job.options = &job_defaults;
        be_a_process_of_its_own(config, start->zygote);
        worker.mine = mark_as_mine();
        error = lane_attach(&worker.lane, start->lane);
        if (error < 0) { /* the host sees it end */
                log_line(OURO_LOG_ERROR, "worker %u cannot map its lane: %s", start->worker,
                         strerror((int)-error));
                _exit(STATUS_BROKEN);
        }
        close(start->lane);
        error = set_up(&worker, start);
        if (error == 0)
                error = run_hook(&worker, &config->initializer_module, config->initializer);
        if (error < 0)
                end_broken(&worker, (int)error);
        set_phase(&worker, LANE_WORKING);
        work(&worker);
        set_phase(&worker, LANE_ENDING);
        run_hook(&worker, &config->finalizer_module, config->finalizer);
        end(&worker, 0);
}
