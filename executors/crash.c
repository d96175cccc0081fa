/* crash.c - what a worker writes into its lane as it dies.
 *
 * Everything here runs in a signal handler, in a process whose memory may be broken. It calls nothing that
 * allocates; two things may take the dynamic linker's lock (the unwinder, to find how frames look, and
 * dladdr(), for names), and so may wait for ever: an alarm then ends it, with what has been written so far.
 *
 * The worker dies of the very signal it got, at the very instruction: the handler sends it again, with all
 * that the kernel had said about it, and returns. So status and core file are what they would have been. */
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "executors/crash.h"
#include "executors/registers.h"
#include "executors/symbol.h"

enum {
        STACK_BYTES = 64 << 10,
        GUARD_BYTES = 4096,
        FRAMES_OF_OURS = 8, /* handler and what the kernel puts between */
        HANG_SECONDS = 5,
        NAME_BYTES = 256,
        PATH_BYTES = 4096,
        OVERFLOW_BYTES = 64 << 10, /* so near to the stack pointer, an address is the stack's */
};

static struct lane_head *crash_head;
static const volatile uint32_t *crash_mine;
static pid_t crash_process;
static atomic_int crash_signal; /* that this process dies of; 0: none yet */
static pid_t crash_thread;
static size_t text_used;
static char program_path[PATH_BYTES]; /* where the program's file is, as far as it is known */

static const struct {
        int signal;
        const char *name;
} watched[] = {
        {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGILL, "SIGILL"},
        {SIGFPE, "SIGFPE"},   {SIGABRT, "SIGABRT"}, {SIGSYS, "SIGSYS"},
};

enum { WATCHED_LEN = sizeof watched / sizeof *watched };

/* ---- writing ---- */

static void put_char(char c)
{
        if (text_used < LANE_TEXT_BYTES - 1)
                crash_head->text[text_used++] = c;
}

static void put(const char *text)
{
        while (*text)
                put_char(*text++);
}

static void put_number(uintptr_t number, unsigned base, unsigned width)
{
        char digits[24];
        unsigned n = 0;

        do {
                digits[n++] = "0123456789abcdef"[number % base];
                number /= base;
        } while (number > 0);
        for (unsigned i = n; i < width; i++)
                put_char(' ');
        while (n > 0)
                put_char(digits[--n]);
}

static void put_hex(uintptr_t number)
{
        put("0x");
        put_number(number, 16, 0);
}

/* ---- frames ---- */

struct wanted {
        uintptr_t address;
        const char *name; /* of the file that it is in; "" for the program */
        uintptr_t base;   /* where the file's beginning is in memory */
        uintptr_t bias;   /* what is added to its addresses */
};

/* Whether code of this file is at the wanted address. */
static int is_loaded_here(struct dl_phdr_info *file, size_t size, void *of_wanted)
{
        struct wanted *wanted = of_wanted;
        bool found = false;

        (void)size;
        wanted->base = 0;
        wanted->bias = file->dlpi_addr;
        wanted->name = file->dlpi_name ? file->dlpi_name : "";
        for (unsigned i = 0; i < file->dlpi_phnum; i++) {
                const ElfW(Phdr) *part = &file->dlpi_phdr[i];
                uintptr_t start = file->dlpi_addr + part->p_vaddr;

                if (part->p_type != PT_LOAD)
                        continue;
                if (part->p_offset == 0)
                        wanted->base = start;
                if ((part->p_flags & PF_X) && wanted->address - start < part->p_memsz)
                        found = true;
        }
        return found && wanted->base != 0;
}

/* What dladdr1() tells, without the symbol. In a static program dladdr1() itself knows nothing. */
static bool find_loaded(uintptr_t address, Dl_info *info, struct link_map *map)
{
        struct wanted wanted = {.address = address};

        if (!dl_iterate_phdr(is_loaded_here, &wanted))
                return false;
        *info = (Dl_info){.dli_fname = wanted.name, .dli_fbase = (void *)wanted.base};
        map->l_name = (char *)(uintptr_t)wanted.name;
        map->l_addr = wanted.bias;
        return true;
}

/* The dynamic linker knows the program by argv[0], which may be anything. */
static const char *path_of(const Dl_info *info, const struct link_map *map)
{
        bool is_program = !map->l_name || !map->l_name[0];

        return is_program && program_path[0] ? program_path : info->dli_fname;
}

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

/* By the names that the file exports, or else by its symbol table, if it has one and may be opened. */
static void put_name(const Dl_info *info, const struct link_map *map, uintptr_t address)
{
        const char *path = map->l_name && map->l_name[0] ? map->l_name : "/proc/self/exe";
        const char *name = info->dli_sname;
        char found[NAME_BYTES];

        if (!name && symbol_find(path, (uintptr_t)info->dli_fbase, map->l_addr, address, found, sizeof found))
                name = found;
        if (!name)
                return;
        put(" (");
        put(name);
        put_char(')');
}

/* "  3: libfoo.so+0x1234 (name)": the offset is what addr2line takes. look_at lies within the function, where
 * the address that it returns to may lie behind its end. */
static void put_frame(unsigned number, uintptr_t address, uintptr_t look_at)
{
        const struct link_map *map = NULL;
        Dl_info info = {.dli_fname = NULL};
        struct link_map loaded;

        put_number(number, 10, 3);
        put(": ");
        if (dladdr1((void *)look_at, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || !info.dli_fname || !map)
                map = find_loaded(look_at, &info, &loaded) ? &loaded : NULL;
        if (!map) {
                put_hex(address);
        } else {
                put(base_name(path_of(&info, map)));
                put_char('+');
                put_hex(address - map->l_addr);
                put_name(&info, map, look_at);
        }
        put_char('\n');
}

/* Where in frames the interrupted function is; n: it is not there. */
static int find_frame(void *const *frames, int n, uintptr_t address)
{
        for (int i = 0; i < n; i++)
                if ((uintptr_t)frames[i] == address)
                        return i;
        return n;
}

static bool is_code(uintptr_t address)
{
        struct link_map map;
        Dl_info info;

        return dladdr((void *)address, &info) != 0 || find_loaded(address, &info, &map);
}

/* The unwinder goes through the handler's own frames and the kernel's to the context, and on from there. */
static void put_frames(ucontext_t *context)
{
        static void *frames[LANE_FRAMES_MOST + FRAMES_OF_OURS];
        const uintptr_t crashed_at = *program_counter(context);
        uintptr_t start = crashed_at;
        unsigned number = 0;
        int n, first;

        if (!is_code(crashed_at)) {
                put_frame(number++, crashed_at, crashed_at);
                return_from_nowhere(context);
                start = *program_counter(context);
        }
        n = backtrace(frames, LANE_FRAMES_MOST + FRAMES_OF_OURS);
        first = find_frame(frames, n, start);
        if (first == n) /* it cannot see how that function's frame looks */
                put_frame(number++, start, start);
        for (int i = first; i < n && number < LANE_FRAMES_MOST; i++) {
                uintptr_t address = (uintptr_t)frames[i];

                put_frame(number++, address, i == first ? address : address - 1);
        }
}

/* ---- what happened ---- */

static const char *signal_name(int sig)
{
        for (size_t i = 0; i < WATCHED_LEN; i++)
                if (watched[i].signal == sig)
                        return watched[i].name;
        return "a signal";
}

static bool is_overflow(const siginfo_t *info, ucontext_t *context)
{
        uintptr_t address = (uintptr_t)info->si_addr, sp = *stack_pointer(context);

        return info->si_signo == SIGSEGV && info->si_code > 0 && address < sp + GUARD_BYTES &&
               address + OVERFLOW_BYTES > sp;
}

static void put_what(const siginfo_t *info, ucontext_t *context)
{
        put(signal_name(info->si_signo));
        if (info->si_code <= 0) {
                put(info->si_pid == getpid() ? ", raised" : ", sent by another process");
        } else if (info->si_signo == SIGSYS) {
                put(", system call ");
                put_number((uintptr_t)info->si_syscall, 10, 0);
        } else {
                put(" at address ");
                put_hex((uintptr_t)info->si_addr);
        }
        if (is_overflow(info, context))
                put(", stack overflow");
        put_char('\n');
}

/* ---- dying ---- */

static void tell(void)
{
        crash_head->text[text_used] = '\0';
        atomic_store(&crash_head->crashed, (uint32_t)atomic_load(&crash_signal));
}

static void set_blocked(int how, int sig)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, sig);
        sigprocmask(how, &set, NULL);
}

/* Something in here hangs, or has crashed in its turn. */
static void give_up(int unused)
{
        int sig = atomic_load(&crash_signal);

        (void)unused;
        tell();
        signal(sig, SIG_DFL);
        set_blocked(SIG_UNBLOCK, sig);
        syscall(SYS_tgkill, getpid(), crash_thread, sig);
}

static void arm_alarm(void)
{
        struct sigaction action = {.sa_handler = give_up, .sa_flags = SA_ONSTACK | SA_NODEFER};

        sigaction(SIGALRM, &action, NULL);
        set_blocked(SIG_UNBLOCK, SIGALRM);
        alarm(HANG_SECONDS);
}

/* The signal is pending when the handler returns; its action is the default by then. */
static void die_of(int sig, siginfo_t *info)
{
        set_blocked(SIG_BLOCK, sig);
        signal(sig, SIG_DFL);
        if (syscall(SYS_rt_tgsigqueueinfo, getpid(), crash_thread, sig, info) < 0)
                syscall(SYS_tgkill, getpid(), crash_thread, sig);
}

static void handle(int sig, siginfo_t *info, void *ucontext)
{
        const pid_t thread = (pid_t)syscall(SYS_gettid);
        ucontext_t *context = ucontext;
        uintptr_t pc = *program_counter(context), sp = *stack_pointer(context);
        int none = 0;

        if (!*crash_mine || getpid() != crash_process) { /* a child of a job, by fork() or vfork() */
                signal(sig, SIG_DFL);
                set_blocked(SIG_UNBLOCK, sig);
                syscall(SYS_tgkill, getpid(), thread, sig);
                return;
        }
        if (!atomic_compare_exchange_strong(&crash_signal, &none, sig)) {
                if (thread == crash_thread)
                        give_up(0);
                for (;;) /* another thread is at it, and the process dies of that */
                        pause();
        }
        crash_thread = thread;
        arm_alarm();
        put_what(info, context);
        put_frames(context);
        tell();
        *program_counter(context) = pc;
        *stack_pointer(context) = sp;
        die_of(sig, info);
}

/* ---- beginning ---- */

void crash_prepare(void)
{
        ssize_t n = readlink("/proc/self/exe", program_path, sizeof program_path - 1);
        void *frame;

        program_path[n > 0 ? n : 0] = '\0';
        backtrace(&frame, 1);
}

/* A stack that has overflowed is no place for a handler. */
static void use_own_stack(void)
{
        stack_t stack = {.ss_size = STACK_BYTES};
        stack_t old;
        char *base;

        if (sigaltstack(NULL, &old) == 0 && !(old.ss_flags & SS_DISABLE) && old.ss_size >= STACK_BYTES)
                return; /* the program, or a sanitizer, has made one that is large enough */
        base = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                    0);
        if (base == MAP_FAILED)
                return;
        mprotect(base, GUARD_BYTES, PROT_NONE);
        stack.ss_sp = base + GUARD_BYTES;
        sigaltstack(&stack, NULL);
}

void crash_watch(struct lane_head *head, const volatile uint32_t *mine)
{
        /* SA_NODEFER: a crash in the handler comes to it again, and is given up. */
        struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

        crash_head = head;
        crash_mine = mine;
        crash_process = getpid();
        use_own_stack();
        sigemptyset(&action.sa_mask);
        for (size_t i = 0; i < WATCHED_LEN; i++) {
                struct sigaction now;

                if (sigaction(watched[i].signal, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
                        sigaction(watched[i].signal, &action, NULL);
        }
}
