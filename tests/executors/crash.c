/* crash.c - what a worker that crashes leaves in its lane, and what it dies of. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executors/symbol.h"
#include "support/leaks.h"
#include "support/played_host.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

TestSuite(crash, .init = leaks_begin, .fini = leaks_end, .timeout = 30);

static struct played_host host;

static const struct lane_head *head(void)
{
        return host.workers[0].lane.head;
}

static void no_core_files(void)
{
        const struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
}

/* Runs a job that does not come back. Returns the signal that its worker dies of, 0 if it exits. */
static int die_in(ouro_job_fn *fn)
{
        struct zygote_message death;

        no_core_files();
        host_begin(&host, NULL);
        host_spawn(&host, 0);
        host_put(&host, 0, fn, NULL, 0, 0);
        death = host_await_death(&host, 0);
        host_spawn(&host, 1);
        host_stop(&host, 1);
        cr_assert(host_await_death(&host, 1).status == 0, "the zygote goes on");
        return WIFSIGNALED(death.status) ? WTERMSIG(death.status) : 0;
}

/* The line of the frame, from its number on. */
static const char *frame(int number)
{
        static char line[300];
        char wanted[16];
        const char *at;

        snprintf(wanted, sizeof wanted, "\n%3d: ", number);
        at = strstr(head()->text, wanted);
        cr_assert(at, "no frame %d in\n%s", number, head()->text);
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
        return line;
}

/* Compilers append ".part.0" and the like to what they have split or cloned. */
static void check_frame(int number, const char *name)
{
        const char *line = frame(number), *at = strchr(line, '(');
        size_t length = strlen(name);

        cr_assert(at && strncmp(at + 1, name, length) == 0 && strchr(".)", at[1 + length]),
                  "frame %d is not in %s:\n%s", number, name, head()->text);
}

static void check_says(const char *what)
{
        cr_assert(strstr(head()->text, what), "not \"%s\":\n%s", what, head()->text);
}

/* ---- ways to crash ---- */

static volatile int never = 0, depth;

#define FRAME __attribute__((noinline))

FRAME static int write_to(volatile int *at)
{
        *at = 1;
        return *at;
}

static intptr_t writes_to_nowhere(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return write_to((int *)0x10 + never) + 1;
}

static intptr_t aborts(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        if (!never)
                abort();
        return 0;
}

FRAME static intptr_t call(intptr_t (*volatile fn)(int))
{
        return fn(1) + 1;
}

static intptr_t calls_nowhere(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        return call(NULL) + 1;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winfinite-recursion"
FRAME static int goes_deeper(volatile char *above)
{
        volatile char frame_bytes[500];

        frame_bytes[0] = *above;
        depth++;
        return goes_deeper(frame_bytes) + frame_bytes[0];
}
#pragma GCC diagnostic pop

static intptr_t overflows(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        volatile char first = 0;

        (void)job, (void)in, (void)out;
        return goes_deeper(&first);
}

static intptr_t divides_by_nothing(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        raise(SIGFPE); /* not every processor traps */
        return 0;
}

static intptr_t is_terminated(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        raise(SIGTERM);
        return 0;
}

static void *crashing_thread(void *unused)
{
        write_to((int *)0x10 + never);
        return unused;
}

static intptr_t crashes_in_a_thread(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        pthread_t thread;

        (void)job, (void)in, (void)out;
        pthread_create(&thread, NULL, crashing_thread, NULL);
        pthread_join(thread, NULL);
        return 0;
}

static void own_handler(int sig)
{
        (void)sig;
        _exit(9);
}

static intptr_t has_a_handler_of_its_own(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        signal(SIGSEGV, own_handler);
        return writes_to_nowhere(job, in, out);
}

/* ---- tests ---- */

Test(crash, a_bad_address_is_told_with_the_functions_that_led_there, .disabled = SANITIZED)
{
        cr_assert(die_in(writes_to_nowhere) == SIGSEGV);
        cr_assert(head()->crashed == SIGSEGV);
        check_says("SIGSEGV at address 0x10\n");
        check_frame(0, "write_to");
        cr_assert(strstr(frame(0), "  0: test_executors_crash+0x"), "%s", frame(0));
        check_frame(1, "writes_to_nowhere");
        check_says("(ouro_job_run)");
        check_says("(worker_main)");
        host_end(&host);
}

Test(crash, an_abort_is_told)
{
        cr_assert(die_in(aborts) == SIGABRT);
        cr_assert(head()->crashed == SIGABRT);
        check_says("SIGABRT, raised\n");
        check_says("(aborts"); /* perhaps a part of it that is kept elsewhere */
        host_end(&host);
}

Test(crash, a_call_of_nothing_is_told_with_its_caller, .disabled = SANITIZED)
{
        cr_assert(die_in(calls_nowhere) == SIGSEGV);
        cr_assert(strcmp(frame(0), "  0: 0x0") == 0, "%s", head()->text);
        check_frame(1, "call");
        check_frame(2, "calls_nowhere");
        host_end(&host);
}

Test(crash, an_overflow_of_the_stack_is_told, .disabled = SANITIZED)
{
        cr_assert(die_in(overflows) == SIGSEGV);
        cr_assert(head()->crashed == SIGSEGV);
        check_says(", stack overflow\n");
        check_frame(0, "goes_deeper");
        check_frame(LANE_FRAMES_MOST - 1, "goes_deeper");
        host_end(&host);
}

Test(crash, a_bad_division_is_told, .disabled = SANITIZED)
{
        cr_assert(die_in(divides_by_nothing) == SIGFPE);
        cr_assert(head()->crashed == SIGFPE);
        check_says("SIGFPE");
        check_says("(divides_by_nothing)");
        host_end(&host);
}

Test(crash, a_crash_in_another_thread_is_told, .disabled = SANITIZED)
{
        cr_assert(die_in(crashes_in_a_thread) == SIGSEGV);
        check_frame(1, "crashing_thread");
        host_end(&host);
}

Test(crash, an_asked_for_end_is_no_crash)
{
        cr_assert(die_in(is_terminated) == SIGTERM);
        cr_assert(head()->crashed == 0 && head()->text[0] == '\0');
        host_end(&host);
}

Test(crash, a_handler_of_the_program_comes_first)
{
        cr_assert(die_in(has_a_handler_of_its_own) == 0);
        cr_assert(head()->crashed == 0);
        host_end(&host);
}

#if defined(__x86_64__)
/* A stack pointer into nowhere: the unwinder itself crashes. */
static intptr_t loses_its_stack(struct ouro_job *job, struct ouro_in in, struct ouro_out out)
{
        (void)job, (void)in, (void)out;
        __asm__ volatile("mov $0x1000, %%rsp\n\tcall abort" : : : "memory");
        return 0;
}

Test(crash, a_lost_stack_ends_it_all_the_same, .disabled = SANITIZED)
{
        cr_assert(die_in(loses_its_stack) == SIGSEGV);
        cr_assert(head()->crashed == SIGSEGV);
        check_says("SIGSEGV");
        host_end(&host);
}
#endif

static void *load_for_ever(void *unused)
{
        dlopen(SAMPLE_HANGS, RTLD_NOW);
        return unused;
}

/* Another thread holds the dynamic linker's lock. */
static intptr_t crashes_while_the_linker_is_locked(struct ouro_job *job, struct ouro_in in,
                                                   struct ouro_out out)
{
        pthread_t thread;
        char number[16], byte;
        int ends[2];

        if (pipe(ends) < 0)
                return -1;
        snprintf(number, sizeof number, "%d", ends[1]);
        setenv("SAMPLE_CLOSES", number, 1);
        pthread_create(&thread, NULL, load_for_ever, NULL);
        if (read(ends[0], &byte, 1) != 0) /* until it is there */
                return -1;
        return writes_to_nowhere(job, in, out);
}

Test(crash, nothing_that_is_locked_keeps_it_alive, .disabled = SANITIZED)
{
        cr_assert(die_in(crashes_while_the_linker_is_locked) == SIGSEGV);
        cr_assert(head()->crashed == SIGSEGV);
        check_says("SIGSEGV");
        host_end(&host);
}

/* ---- names ---- */

Test(crash, a_name_comes_only_from_the_file_that_is_in_memory)
{
        struct link_map *map = NULL;
        Dl_info info;
        char name[64];

        cr_assert(dladdr1((void *)(uintptr_t)write_to, &info, (void **)&map, RTLD_DL_LINKMAP) != 0);
        cr_assert(symbol_find("/proc/self/exe", (uintptr_t)info.dli_fbase, map->l_addr,
                              (uintptr_t)write_to + 1, name, sizeof name));
        cr_assert(strcmp(name, "write_to") == 0, "%s", name);
        cr_assert(symbol_find("/proc/self/exe", (uintptr_t)info.dli_fbase, map->l_addr,
                              (uintptr_t)write_to + 1, name, 4));
        cr_assert(strcmp(name, "wri") == 0, "%s", name);
        cr_assert(!symbol_find("/bin/sh", (uintptr_t)info.dli_fbase, map->l_addr, (uintptr_t)write_to, name,
                               sizeof name));
        cr_assert(!symbol_find("/dev/zero", (uintptr_t)info.dli_fbase, map->l_addr, (uintptr_t)write_to, name,
                               sizeof name));
        cr_assert(!symbol_find("/nowhere", (uintptr_t)info.dli_fbase, map->l_addr, (uintptr_t)write_to, name,
                               sizeof name));
}

/* Everything that the table says is broken in turn: the answer may be wrong, but nothing outside is read. */
Test(crash, a_broken_symbol_table_is_no_harm)
{
        int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        off_t bytes = lseek(in, 0, SEEK_END);
        char *file = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, in, 0), name[64];
        int fd = memfd_create("broken", MFD_CLOEXEC);
        uint64_t sections_at = ((const ElfW(Ehdr) *)file)->e_shoff;
        char path[64];

        cr_assert(file != MAP_FAILED);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        for (uint64_t at = sections_at; at < (uint64_t)bytes; at += sizeof(uint64_t)) {
                uint64_t saved = *(uint64_t *)(file + at);

                *(uint64_t *)(file + at) = at % 3 ? UINT64_MAX - 64 : UINT64_C(1) << 40;
                cr_assert(pwrite(fd, file, (size_t)bytes, 0) == bytes);
                symbol_find(path, (uintptr_t)file, 0, (uintptr_t)bytes / 2, name, sizeof name);
                *(uint64_t *)(file + at) = saved;
        }
        munmap(file, (size_t)bytes);
        close(in);
        close(fd);
}
