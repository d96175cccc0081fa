/* Small rings, overflowing rings, floods, signals and forks: every operation ends once, with its own result.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "support/in_loop.h"
#include "support/temp_dir.h"

TestSuite(rings, .init = temp_begin, .fini = temp_end, .timeout = 100);

enum { A_PASS = 128 /* switches */ };

static void turn(int passes)
{
        for (int i = 0; i < passes * A_PASS; i++)
                ouro_yield();
}

static intptr_t run_with_entries(unsigned entries, ouro_fn *fn)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.entries = entries;
        return ouro_run_with(&options, fn, NULL);
}

/* ---- more operations than entries ---- */

enum { WAITERS = 2000 };

struct waiter_on {
        int fds[2];
        uint64_t value;
};

static intptr_t read_event(void *arg)
{
        struct waiter_on *on = arg;

        EQ(ouro_read(on->fds[0], &on->value, sizeof on->value), sizeof on->value);
        return 0;
}

/* All wait at once, then all are told at once: nothing is lost, and each has its own. */
static intptr_t wait_in_a_crowd(void *arg)
{
        struct waiter_on *all = calloc(WAITERS, sizeof *all);
        ouro_task *tasks = calloc(WAITERS, sizeof *tasks);

        (void)arg;
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < WAITERS; i++) {
                        all[i].fds[0] = eventfd(0, EFD_CLOEXEC);
                        tasks[i] = ouro_create_task(read_event, &all[i]);
                }
                turn(WAITERS / A_PASS + 2);
                for (int i = 0; i < WAITERS; i++) {
                        uint64_t value = (uint64_t)i + 1;

                        EQ(write(all[i].fds[0], &value, sizeof value), sizeof value);
                }
                EQ(ouro_gather(tasks, WAITERS, NULL), 0);
                for (int i = 0; i < WAITERS; i++) {
                        EQ(all[i].value, i + 1);
                        close(all[i].fds[0]);
                }
        }
        free(all);
        free(tasks);
        return 0;
}

Test(rings, f31_two_thousand_waits_over_sixteen_entries_lose_none)
{
        EQ(run_with_entries(16, wait_in_a_crowd), 0);
        EQ(run_with_entries(1, wait_in_a_crowd), 0);
}

static intptr_t receive_one(void *arg)
{
        struct waiter_on *on = arg;

        EQ(ouro_recv(on->fds[0], &on->value, sizeof on->value, 0), sizeof on->value);
        return 0;
}

static intptr_t receive_in_a_crowd(void *arg)
{
        struct waiter_on *all = calloc(WAITERS, sizeof *all);
        ouro_task *tasks = calloc(WAITERS, sizeof *tasks);

        (void)arg;
        for (int i = 0; i < WAITERS; i++) {
                unix_pair(all[i].fds);
                tasks[i] = ouro_create_task(receive_one, &all[i]);
        }
        turn(WAITERS / A_PASS + 2);
        for (int i = 0; i < WAITERS; i++) {
                uint64_t value = (uint64_t)i + 1;

                EQ(send(all[i].fds[1], &value, sizeof value, 0), sizeof value);
        }
        EQ(ouro_gather(tasks, WAITERS, NULL), 0);
        for (int i = 0; i < WAITERS; i++) {
                EQ(all[i].value, i + 1);
                close_both(all[i].fds);
        }
        free(all);
        free(tasks);
        return 0;
}

Test(rings, f31_more_connections_than_completion_entries)
{
        struct rlimit files;

        EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
        if (files.rlim_max < 2 * WAITERS + 100) {
                PASSED_OVER("only %ju descriptors", (uintmax_t)files.rlim_max);
                return;
        }
        files.rlim_cur = files.rlim_max;
        EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
        EQ(run_with_entries(16, receive_in_a_crowd), 0);
}

/* A crowd that waits for ever must not keep out those that would wake it. */
static intptr_t wake_a_crowd(void *arg)
{
        struct waiter_on on = {.fds = {eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE)}};
        ouro_task tasks[WAITERS];
        uint64_t value = WAITERS;
        int fds[2];

        (void)arg;
        unix_pair(fds);
        for (int i = 0; i < WAITERS; i++)
                tasks[i] = ouro_create_task(read_event, &on);
        turn(WAITERS / A_PASS + 2);
        EQ(ouro_send(fds[0], "x", 1, 0), 1);
        EQ(ouro_recv(fds[1], (char[1]){0}, 1, 0), 1);
        EQ(ouro_write(on.fds[0], &value, sizeof value), 8);
        EQ(ouro_gather(tasks, WAITERS, NULL), 0);
        close(on.fds[0]);
        close_both(fds);
        return 0;
}

Test(rings, f31_those_who_wait_do_not_keep_out_the_one_that_wakes)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.entries = 4;
        options.stack_bytes = 128 << 10;
        EQ(ouro_run_with(&options, wake_a_crowd, NULL), 0);
}

static intptr_t write_and_read(void *arg)
{
        size_t number = *(size_t *)arg;
        char name[32], buf[32];

        snprintf(name, sizeof name, "file%zu", number);
        int fd = ouro_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

        cr_assert(fd >= 0, "%d", fd);
        EQ(ouro_pwrite(fd, name, sizeof name, 0), sizeof name);
        EQ(ouro_pread(fd, buf, sizeof buf, 0), sizeof buf);
        cr_assert_str_eq(buf, name);
        EQ(ouro_close(fd), 0);
        EQ(ouro_unlink(name), 0);
        return 0;
}

enum { FILES = 1000 };

static intptr_t flood_with_files(void *arg)
{
        static size_t numbers[FILES];
        static ouro_task tasks[FILES];

        (void)arg;
        for (size_t i = 0; i < FILES; i++) {
                numbers[i] = i;
                tasks[i] = ouro_create_task(write_and_read, &numbers[i]);
        }
        EQ(ouro_gather(tasks, FILES, NULL), 0);
        return 0;
}

Test(rings, f29_few_entries_serve_thousands_of_file_operations)
{
        for (unsigned entries = 1; entries <= 4; entries += 3)
                EQ(run_with_entries(entries, flood_with_files), 0);
}

/* ---- the kernel's workers ---- */

static unsigned workers_of_the_kernel(void)
{
        DIR *dir = opendir("/proc/self/task");
        struct dirent *entry;
        unsigned count = 0;

        while ((entry = readdir(dir)) != NULL) {
                char path[300], name[32] = "";

                snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
                FILE *file = fopen(path, "re");

                if (file && fgets(name, sizeof name, file) && strncmp(name, "iou-wrk", 7) == 0)
                        count++;
                if (file)
                        fclose(file);
        }
        closedir(dir);
        return count;
}

enum { FLOOD = 200, WORKERS = 3 };

/* Opening a FIFO blocks whatever thread does it until the other end comes. */
static intptr_t open_and_close(void *arg)
{
        int fd = ouro_open(arg, O_WRONLY, 0);

        return fd < 0 ? fd : ouro_close(fd);
}

static intptr_t flood_the_workers(void *arg)
{
        static ouro_task tasks[FLOOD];
        static char fifo[] = "fifo";
        unsigned most = 0;

        (void)arg;
        ONLY_ON("uring");
        EQ(mkfifo(fifo, 0600), 0);
        for (int i = 0; i < FLOOD; i++)
                tasks[i] = ouro_create_task(open_and_close, fifo);
        for (int i = 0; i < 20; i++) {
                unsigned now = workers_of_the_kernel();

                most = now > most ? now : most;
                ouro_sleep(OURO_MS(1));
        }
        cr_assert(most >= 1 && most <= 2 * WORKERS, "%u workers", most); /* of each of two kinds */
        EQ(ouro_task_state(tasks[FLOOD - 1]), OURO_STATE_WAITING);
        int reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

        EQ(ouro_gather(tasks, FLOOD, NULL), 0);
        close(reader);
        return 0;
}

Test(rings, f46_flood_of_punted_operations_makes_few_workers)
{
        struct ouro_options options = OURO_OPTIONS_INIT;

        options.kernel_workers = WORKERS;
        EQ(ouro_run_with(&options, flood_the_workers, NULL), 0);
}

/* ---- signals ---- */

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
        (void)number;
        alarms = alarms + 1;
}

enum { STREAM_BYTES = 4 << 20 };

struct stream {
        int fd;
        char *buf;
        int result;
        size_t done;
};

static intptr_t send_stream(void *arg)
{
        struct stream *stream = arg;

        stream->result = ouro_send_all(stream->fd, stream->buf, STREAM_BYTES, &stream->done);
        return 0;
}

/* No assertion in here: what reports it is not made for storms. */
static intptr_t live_through_a_storm(void *arg)
{
        int *failures = arg, fds[2];
        char *in = malloc(STREAM_BYTES);
        struct stream out = {.buf = malloc(STREAM_BYTES)};

        fill(out.buf, STREAM_BYTES, 1);
        for (int i = 0; i < 1000 && alarms < 300; i++) {
                size_t done = 0;
                int fd = ouro_open("file", O_RDWR | O_CREAT, 0600);

                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                        return -EILSEQ;
                out.fd = fds[0];
                out.done = 0;
                ouro_task task = ouro_create_task(send_stream, &out);

                *failures += ouro_recv_all(fds[1], in, STREAM_BYTES, &done) != 0;
                *failures += ouro_await(task) != 0 || out.result != 0;
                *failures += !filled(in, STREAM_BYTES, 1);
                *failures += ouro_sleep(OURO_US(200)) != 0;
                *failures += fd < 0 || ouro_pwrite_all(fd, in, STREAM_BYTES, 0, NULL) != 0;
                *failures += ouro_fsync(fd) != 0;
                *failures += ouro_pread_all(fd, in, STREAM_BYTES, 0, NULL) != 0;
                *failures += !filled(in, STREAM_BYTES, 1);
                *failures += ouro_close(fd) != 0;
                *failures += ouro_close(fds[0]) != 0;
                *failures += ouro_close(fds[1]) != 0;
        }
        free(out.buf);
        free(in);
        return 0;
}

static void storm(int which, int number)
{
        const struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
        struct sigaction action = {.sa_handler = count_alarm}, before; /* no SA_RESTART */
        int failures = 0;

        EQ(sigaction(number, &action, &before), 0);
        EQ(setitimer((__itimer_which_t)which, &often, NULL), 0);
        intptr_t result = ouro_run(live_through_a_storm, &failures);

        setitimer((__itimer_which_t)which, &never, NULL);
        sigaction(number, &before, NULL);
        EQ(result, 0);
        EQ(failures, 0);
        cr_assert(alarms > 10, "only %d signals", (int)alarms);
}

Test(rings, f44_storm_of_alarms_fails_no_operation)
{
        storm(ITIMER_REAL, SIGALRM);
}

Test(rings, f44_profilers_timer_fails_no_operation)
{
        storm(ITIMER_PROF, SIGPROF);
}

static intptr_t live_and_be_stopped(void *arg)
{
        char buf[8];
        int fds[2];

        (void)arg;
        unix_pair(fds);
        pid_t parent = getpid(), child = fork();

        if (child == 0) {
                for (int i = 0; i < 30; i++) {
                        kill(parent, SIGSTOP);
                        usleep(2000);
                        kill(parent, SIGCONT);
                        usleep(1000);
                }
                (void)!write(fds[1], "done", 4);
                _exit(0);
        }
        OURO_TIMEOUT(OURO_SEC(50)) {
                for (int i = 0; i < 20; i++)
                        EQ(ouro_sleep(OURO_MS(1)), 0);
                EQ(ouro_recv(fds[0], buf, sizeof buf, 0), 4);
        }
        EQ(waitpid(child, NULL, 0), child);
        close_both(fds);
        return 0;
}

Test(rings, f44_stopped_and_continued_it_goes_on)
{
        EQ(ouro_run(live_and_be_stopped, NULL), 0);
}

/* ---- fork ---- */

/* What a call gives in a child that has our memory and not our loop. */
static int calls_in_the_child(int fd)
{
        int wrong = 0;

        wrong += ouro_send(fd, "c", 1, 0) != -EPERM;
        wrong += ouro_recv(fd, (char[1]){0}, 1, 0) != -EPERM;
        wrong += ouro_read(fd, (char[1]){0}, 1) != -EPERM;
        wrong += ouro_open("file", O_RDONLY, 0) != -EPERM;
        wrong += ouro_poll(fd, POLLIN) != -EPERM;
        wrong += ouro_close(fd) != -EPERM;
        wrong += ouro_shutdown(fd, SHUT_RDWR) != -EPERM;
        wrong += ouro_sleep(1) != -EPERM;
        wrong += ouro_yield() != -EPERM;
        wrong += ouro_listen("tcp:127.0.0.1:0") != -EPERM;
        wrong += ouro_socket(AF_INET, SOCK_STREAM, 0) != -EPERM;
        wrong += ouro_backend_name() != NULL;
        wrong += ouro_this_loop() != NULL;
        return wrong;
}

static intptr_t run_of_its_own(void *arg)
{
        int fds[2];

        (void)arg;
        if (pipe2(fds, O_CLOEXEC) < 0 || ouro_write(fds[1], "x", 1) != 1)
                return -EIO;
        return ouro_read(fds[0], (char[1]){0}, 1);
}

static intptr_t hold_a_recv(void *arg)
{
        return ouro_recv(*(int *)arg, (char[8]){0}, 8, 0);
}

static intptr_t fork_in_the_midst(void *arg)
{
        int fds[2], status;

        (void)arg;
        unix_pair(fds);
        ouro_task task = ouro_create_task(hold_a_recv, &fds[0]);

        for (int i = 0; i < 3; i++) {
                turn(i); /* at first, the recv has not been handed over */
                pid_t child = fork();

                if (child == 0) {
                        int wrong = calls_in_the_child(fds[1]);

                        wrong += ouro_run(run_of_its_own, NULL) != 1; /* but a loop of its own it may have */
                        _exit(wrong);
                }
                EQ(waitpid(child, &status, 0), child);
                EQ(WIFEXITED(status), true);
                EQ(WEXITSTATUS(status), 0);
                EQ(ouro_sleep(OURO_US(100)), 0);
                EQ(ouro_task_state(task), OURO_STATE_WAITING);
        }
        EQ(ouro_send(fds[1], "mine", 4, 0), 4);
        EQ(ouro_await(task), 4);
        int fd = ouro_open("file", O_RDWR | O_CREAT, 0600);

        EQ(ouro_pwrite(fd, "text", 4, 0), 4);
        EQ(ouro_fsync(fd), 0);
        EQ(ouro_close(fd), 0);
        EQ(ouro_close(fds[0]), 0);
        EQ(ouro_close(fds[1]), 0);
        return 0;
}

Test(rings, f43_forked_child_is_refused_and_the_parent_unharmed)
{
        EQ(ouro_run(fork_in_the_midst, NULL), 0);
}

/* ---- pairs ---- */

enum { BOUNDED = 64 };

static intptr_t receive_for_a_moment(void *arg)
{
        struct waiter_on *on = arg;
        bool expired = false;
        ssize_t result = 0;

        OURO_TIMEOUT(OURO_MS(5), &expired) {
                result = ouro_read(on->fds[0], &on->value, sizeof on->value);
        }
        EQ(expired, true);
        return result;
}

static intptr_t bound_each(void *arg)
{
        static struct waiter_on all[BOUNDED];
        ouro_task tasks[BOUNDED];
        intptr_t results[BOUNDED];

        (void)arg;
        for (int i = 0; i < BOUNDED; i++) {
                all[i].fds[0] = eventfd(0, EFD_CLOEXEC);
                tasks[i] = ouro_create_task(receive_for_a_moment, &all[i]);
        }
        EQ(ouro_gather(tasks, BOUNDED, results), -ETIME);
        for (int i = 0; i < BOUNDED; i++) {
                EQ(results[i], -ETIME);
                EQ(ouro_close(all[i].fds[0]), 0);
        }
        return 0;
}

/* An operation and its deadline would be a pair of linked entries. Here a deadline needs no entry, and a
 * cancel waits for one: where there is room for one only, each operation is under way alone, and each ends in
 * time. */
Test(rings, f07_where_a_pair_has_no_room_a_bounded_operation_has)
{
        EQ(run_with_entries(1, bound_each), 0);
}
