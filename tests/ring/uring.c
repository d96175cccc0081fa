/* Of lib/ring/uring.c: what it asks the kernel for, and what it makes of the answers that are rare.
 *
 * The calls into liburing and syscall() end here first: this program defines them itself, changes an answer
 * where a test says so, and passes the rest on. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ring/kernel.h"
#include "support/helper_threads.h"
#include "support/in_loop.h"
#include "support/temp_dir.h"

enum { FORMS_MOST = 8 };

static struct {
        int setup_error;        /* of every setup */
        unsigned refused_flags; /* -EINVAL for a setup with one of them */
        unsigned setups[FORMS_MOST];
        size_t setups_len;
        int lacks; /* opcode that the probe does not find; less than zero: no probe at all */
        int register_error;
        unsigned workers[2];
        int enter_error; /* of every enter_every-th enter */
        unsigned enter_every;
        bool spares_start;       /* the enters before the load runs */
        unsigned most_submitted; /* entries that an enter takes; 0: all */
        bool returns_early;      /* from waiting, as if it were done */
        unsigned enters, enter_flags, waits, waits_without_no_iowait;
} kernel;

static char backend[16]; /* that the load runs on; empty: it does not run yet */

static void begin(void)
{
        leaks_begin();
        memset(&kernel, 0, sizeof kernel);
        setenv("OURO_BACKEND", "auto", 1);
}

static void begin_in_dir(void)
{
        temp_begin();
        memset(&kernel, 0, sizeof kernel);
        setenv("OURO_BACKEND", "auto", 1);
}

TestSuite(uring, .init = begin, .fini = leaks_end);

static bool strikes(void)
{
        return kernel.enter_every && !(kernel.spares_start && !backend[0]) &&
               kernel.enters % kernel.enter_every == 0;
}

static long enter(long fd, long submit, long wait, long flags, long arg, long size)
{
        static long (*real)(long, ...);

        if (!real)
                *(void **)&real = dlsym(RTLD_NEXT, "syscall");
        kernel.enters++;
        kernel.enter_flags |= (unsigned)flags;
        kernel.waits += wait > 0;
        kernel.waits_without_no_iowait += wait > 0 && !(flags & IORING_ENTER_NO_IOWAIT);
        if (kernel.enter_error && strikes()) {
                errno = kernel.enter_error;
                return -1;
        }
        if (kernel.most_submitted && submit > (long)kernel.most_submitted) {
                submit = kernel.most_submitted;
                wait = 0; /* the kernel does not wait after a short submit */
        }
        if (kernel.returns_early && strikes())
                wait = 0;
        return real(__NR_io_uring_enter, fd, submit, wait, flags, arg, size);
}

long syscall(long number, ...)
{
        static long (*real)(long, ...);
        va_list args;
        long a[6];

        va_start(args, number);
        for (int i = 0; i < 6; i++)
                a[i] = va_arg(args, long);
        va_end(args);
        if (number == __NR_io_uring_enter)
                return enter(a[0], a[1], a[2], a[3], a[4], a[5]);
        if (!real)
                *(void **)&real = dlsym(RTLD_NEXT, "syscall");
        return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
        int (*real)(unsigned, struct io_uring *, struct io_uring_params *);

        if (kernel.setups_len < FORMS_MOST)
                kernel.setups[kernel.setups_len++] = params->flags;
        if (kernel.setup_error)
                return kernel.setup_error;
        if (params->flags & kernel.refused_flags)
                return -EINVAL;
        *(void **)&real = dlsym(RTLD_NEXT, "io_uring_queue_init_params");
        return real(entries, ring, params);
}

struct io_uring_probe *io_uring_get_probe_ring(struct io_uring *ring)
{
        struct io_uring_probe *(*real)(struct io_uring *), *probe;

        if (kernel.lacks < 0)
                return NULL;
        *(void **)&real = dlsym(RTLD_NEXT, "io_uring_get_probe_ring");
        probe = real(ring);
        if (kernel.lacks > 0)
                probe->ops[kernel.lacks].flags = 0;
        return probe;
}

int io_uring_register_ring_fd(struct io_uring *ring)
{
        int (*real)(struct io_uring *);

        if (kernel.register_error)
                return kernel.register_error;
        *(void **)&real = dlsym(RTLD_NEXT, "io_uring_register_ring_fd");
        return real(ring);
}

int io_uring_register_iowq_max_workers(struct io_uring *ring, unsigned *workers)
{
        int (*real)(struct io_uring *, unsigned *);

        memcpy(kernel.workers, workers, sizeof kernel.workers);
        if (kernel.register_error)
                return kernel.register_error;
        *(void **)&real = dlsym(RTLD_NEXT, "io_uring_register_iowq_max_workers");
        return real(ring, workers);
}

/* ---- a load that needs every answer ---- */

enum { PAIRS = 40, ROUNDS = 50 };

static intptr_t echo(void *arg)
{
        int fd = *(int *)arg;
        char byte;

        for (int i = 0; i < ROUNDS; i++) {
                EQ(ouro_recv(fd, &byte, 1, 0), 1);
                EQ(ouro_send(fd, &byte, 1, 0), 1);
        }
        return 0;
}

static intptr_t ask(void *arg)
{
        int fd = *(int *)arg;

        for (int i = 0; i < ROUNDS; i++) {
                char byte = 0;

                EQ(ouro_send(fd, &(char){(char)i}, 1, 0), 1);
                EQ(ouro_recv(fd, &byte, 1, 0), 1);
                EQ(byte, (char)i);
        }
        return 0;
}

static intptr_t load(void *arg)
{
        ouro_task tasks[2 * PAIRS];
        int fds[PAIRS][2];

        (void)arg;
        snprintf(backend, sizeof backend, "%s", ouro_backend_name());
        for (int i = 0; i < PAIRS; i++) {
                unix_pair(fds[i]);
                tasks[2 * i] = ouro_create_task(echo, &fds[i][0]);
                tasks[2 * i + 1] = ouro_create_task(ask, &fds[i][1]);
        }
        EQ(ouro_gather(tasks, 2 * PAIRS, NULL), 0);
        for (int i = 0; i < PAIRS; i++)
                close_both(fds[i]);
        return 0;
}

static intptr_t run_load(enum ouro_backend wanted, unsigned entries)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.backend = wanted;
        options.entries = entries;
        backend[0] = '\0';
        return ouro_run_with(&options, load, NULL);
}

/* ---- opening ---- */

static void check_form(const char *version, unsigned wanted, unsigned unwanted)
{
        kernel.setups_len = 0;
        EQ(setenv("OURO_KERNEL", version, 1), 0);
        EQ(run_load(OURO_BACKEND_URING, 0), 0);
        EQ(kernel.setups[0] & wanted, wanted);
        EQ(kernel.setups[0] & unwanted, 0);
}

Test(uring, f100_masked_kernel_is_asked_for_nothing_newer)
{
        const unsigned newest = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
        const unsigned middle = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

        check_form("6.1", newest, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SQPOLL);
        check_form("6.0", middle, newest);
        check_form("5.15", 0, newest | middle);
        kernel.enter_flags = 0;
        check_form("6.1", newest, 0);
        EQ(kernel.enter_flags & IORING_ENTER_NO_IOWAIT, 0);
        kernel.enter_flags = 0;
        check_form("5.15", 0, 0);
        EQ(kernel.enter_flags & (IORING_ENTER_NO_IOWAIT | IORING_ENTER_REGISTERED_RING), 0);
        unsetenv("OURO_KERNEL");
}

Test(uring, f49_flag_that_is_unknown_leads_to_the_next_lesser_form)
{
        unsetenv("OURO_KERNEL");
        kernel.refused_flags = IORING_SETUP_DEFER_TASKRUN;
        EQ(run_load(OURO_BACKEND_URING, 0), 0);
        EQ(kernel.setups_len, 2);
        kernel.setups_len = 0;
        kernel.refused_flags |= IORING_SETUP_COOP_TASKRUN;
        EQ(run_load(OURO_BACKEND_URING, 0), 0);
        EQ(kernel.setups_len, 3);
        EQ(kernel.setups[2] & kernel.refused_flags, 0);
}

static char log_text[256];
static int log_lines;

static void take_log(enum ouro_log_level level, const char *message, void *arg)
{
        (void)arg, (void)level;
        snprintf(log_text, sizeof log_text, "%s", message);
        log_lines++;
}

/* uring fails as it has been set up to: the load then runs on epoll, with one line about it. */
static void check_falls_back(void)
{
        log_lines = 0;
        EQ(run_load(OURO_BACKEND_AUTO, 0), 0);
        cr_assert_str_eq(backend, "epoll");
        EQ(log_lines, 1);
        cr_assert(strstr(log_text, "uring") && strstr(log_text, "epoll"), "%s", log_text);
        EQ(run_load(OURO_BACKEND_URING, 0), -ENOSYS);
        cr_assert_str_eq(backend, "");
}

Test(uring, f49_denied_setup_leads_to_epoll_with_one_line)
{
        const int errors[] = {-ENOSYS, -EPERM, -EOPNOTSUPP, -EINVAL, -EACCES};

        ouro_set_log(take_log, NULL);
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
                kernel.setup_error = errors[i];
                check_falls_back();
        }
}

Test(uring, f50_shortage_at_setup_is_told_and_not_papered_over)
{
        const int errors[] = {-EMFILE, -ENFILE, -ENOMEM};

        ouro_set_log(take_log, NULL);
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
                kernel.setup_error = errors[i];
                EQ(run_load(OURO_BACKEND_AUTO, 0), errors[i]);
                cr_assert_str_eq(backend, "");
        }
        EQ(log_lines, 0);
}

Test(uring, f51_enter_that_is_denied_is_found_by_the_nop)
{
        const int errors[] = {EPERM, ENOSYS, EACCES, EBADFD};

        ouro_set_log(take_log, NULL);
        kernel.enter_every = 1;
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
                kernel.enter_error = errors[i];
                check_falls_back();
        }
        kernel.enter_error = ENOMEM;
        EQ(run_load(OURO_BACKEND_AUTO, 0), -ENOMEM);
}

Test(uring, f52_missing_opcode_that_helpers_cannot_replace_means_epoll)
{
        const int opcodes[] = {IORING_OP_SEND, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
                               IORING_OP_SHUTDOWN};

        ouro_set_log(take_log, NULL);
        for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++) {
                kernel.lacks = opcodes[i];
                check_falls_back();
        }
        kernel.lacks = IORING_OP_EPOLL_CTL; /* which nobody needs */
        EQ(run_load(OURO_BACKEND_URING, 0), 0);
        kernel.lacks = -1;
        check_falls_back();
}

static intptr_t name_files(void *arg)
{
        struct statx st;
        int fd;

        (void)arg;
        fd = ouro_open("old", O_WRONLY | O_CREAT, 0600);
        EQ(ouro_write(fd, "text", 4), 4);
        EQ(ouro_fsync(fd), 0);
        EQ(ouro_close(fd), 0);
        EQ(ouro_rename("old", "new"), 0);
        EQ(ouro_statx(AT_FDCWD, "new", 0, STATX_SIZE, &st), 0);
        EQ(st.stx_size, 4);
        EQ(ouro_unlink("old"), -ENOENT);
        EQ(ouro_unlink("new"), 0);
        EQ(runs_on("uring"), 1);
        return (intptr_t)helper_threads();
}

/* Each by itself, so that the others show that they are still the kernel's. */
Test(uring, f52_missing_opcode_of_files_is_done_by_helpers, .init = begin_in_dir, .fini = temp_end)
{
        const int opcodes[] = {IORING_OP_OPENAT, IORING_OP_RENAMEAT, IORING_OP_STATX, IORING_OP_UNLINKAT,
                               IORING_OP_FSYNC};
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.backend = OURO_BACKEND_URING;
        kernel.lacks = 0;
        EQ(ouro_run_with(&options, name_files, NULL), 0);
        for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++) {
                kernel.lacks = opcodes[i];
                EQ(ouro_run_with(&options, name_files, NULL), 1);
        }
}

Test(uring, f47_registrations_that_fail_change_nothing_but_speed)
{
        const int errors[] = {-ENOMEM, -EINVAL, -EPERM, -EMFILE};

        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
                kernel.register_error = errors[i];
                EQ(run_load(OURO_BACKEND_URING, 0), 0);
        }
        EQ(kernel.enter_flags & IORING_ENTER_REGISTERED_RING, 0);
}

Test(uring, f46_workers_of_the_kernel_are_bounded)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.backend = OURO_BACKEND_URING;
        EQ(ouro_run_with(&options, load, NULL), 0);
        EQ(kernel.workers[0], 16);
        EQ(kernel.workers[1], 16);
        options.kernel_workers = 3;
        EQ(ouro_run_with(&options, load, NULL), 0);
        EQ(kernel.workers[0], 3);
        EQ(kernel.workers[1], 3);
}

/* ---- answers of enter ---- */

Test(uring, f30_moments_of_weakness_are_passed_over)
{
        const int errors[] = {EAGAIN, EBUSY, EINTR, ETIME};

        kernel.spares_start = true;
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
                kernel.enter_error = errors[i];
                kernel.enter_every = 2;
                EQ(run_load(OURO_BACKEND_URING, 0), 0);
                EQ(run_load(OURO_BACKEND_URING, 2), 0);
                kernel.enter_every = 3;
                EQ(run_load(OURO_BACKEND_URING, 0), 0);
        }
}

Test(uring, f30_short_submit_is_followed_by_exactly_the_rest)
{
        for (unsigned most = 1; most <= 5; most += 2) {
                kernel.most_submitted = most;
                EQ(run_load(OURO_BACKEND_URING, 0), 0);
                EQ(run_load(OURO_BACKEND_URING, 4), 0);
        }
}

Test(uring, f45_wait_that_returns_with_nothing_is_waited_again)
{
        kernel.returns_early = kernel.spares_start = true;
        kernel.enter_every = 2;
        EQ(run_load(OURO_BACKEND_URING, 0), 0);
        EQ(run_load(OURO_BACKEND_URING, 1), 0);
}

/* Runs fn in a child, and takes what it says. Returns its wait status. */
static int run_in_child(void (*fn)(void), char *ret_text, size_t text_bytes)
{
        int fds[2], status;
        size_t len = 0;
        ssize_t n;

        EQ(pipe(fds), 0);
        pid_t child = fork();

        if (child == 0) {
                signal(SIGABRT, SIG_DFL);
                dup2(fds[1], STDERR_FILENO);
                fn();
                _exit(0);
        }
        close(fds[1]);
        while (len < text_bytes - 1 && (n = read(fds[0], ret_text + len, text_bytes - 1 - len)) > 0)
                len += (size_t)n;
        ret_text[len] = '\0';
        close(fds[0]);
        EQ(waitpid(child, &status, 0), child);
        return status;
}

static void lose_a_completion(void)
{
        kernel.spares_start = true;
        kernel.enter_error = EBADR;
        kernel.enter_every = 5;
        run_load(OURO_BACKEND_URING, 0);
}

Test(uring, f32_lost_completion_ends_the_process_with_a_clear_message)
{
        char text[1024];
        int status = run_in_child(lose_a_completion, text, sizeof text);

        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x", (unsigned)status);
        cr_assert(strstr(text, "lost a completion"), "%s", text);
        cr_assert(strchr(text, '\n') == text + strlen(text) - 1, "%s", text); /* one line */
}

static intptr_t sleep_a_while(void *arg)
{
        (void)arg;
        for (int i = 0; i < 5; i++)
                EQ(ouro_sleep(OURO_MS(1)), 0);
        return 0;
}

/* The kernel counts a task that waits here as one that waits for a disk, unless told otherwise. */
Test(uring, f48_idle_loop_is_not_waiting_for_a_disk)
{
        struct io_uring ring;

        unsetenv("OURO_KERNEL");
        EQ(io_uring_queue_init(1, &ring, 0), 0);
        bool known = ring.features & IORING_FEAT_NO_IOWAIT;

        io_uring_queue_exit(&ring);
        if (!known) {
                PASSED_OVER("this kernel knows no IORING_ENTER_NO_IOWAIT");
                return;
        }
        memset(&kernel, 0, sizeof kernel);
        EQ(ouro_run(sleep_a_while, NULL), 0);
        cr_assert(kernel.waits >= 5, "%u", kernel.waits);
        cr_assert(kernel.waits_without_no_iowait <= 2, "%u of %u", kernel.waits_without_no_iowait,
                  kernel.waits); /* the NOP at the start */
}

/* ---- a ring of a few entries ---- */

Test(uring, f29_ring_of_one_entry_serves_thousands_of_operations)
{
        for (unsigned entries = 1; entries <= 4; entries++)
                EQ(run_load(OURO_BACKEND_URING, entries), 0);
}
