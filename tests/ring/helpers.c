/* Of lib/ring/helpers.c: threads that block in the loop's stead. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring/calls.h"
#include "ring/drive.h"
#include "ring/helpers.h"
#include "support/helper_threads.h"
#include "support/leaks.h"

TestSuite(helpers, .init = leaks_begin, .fini = leaks_end, .timeout = 60);

static void open_slash(struct op *op)
{
        io_uring_prep_openat(op_begin(op), AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

/* A FIFO whose opening blocks a helper until release_fifo(). */
static char fifo_dir[] = "/tmp/ouro-helpers-XXXXXX", fifo_path[64];

static void make_fifo(void)
{
        cr_assert_not_null(mkdtemp(fifo_dir));
        snprintf(fifo_path, sizeof fifo_path, "%s/fifo", fifo_dir);
        cr_assert_eq(mkfifo(fifo_path, 0600), 0);
}

static void open_fifo(struct op *op)
{
        io_uring_prep_openat(op_begin(op), AT_FDCWD, fifo_path, O_WRONLY | O_CLOEXEC, 0);
}

static int release_fifo(void)
{
        int fd = open(fifo_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

        unlink(fifo_path);
        rmdir(fifo_dir);
        return fd;
}

Test(helpers, none_before_the_first_is_needed)
{
        struct drive drive;
        struct op op;
        int fd;

        cr_assert_eq(drive_open(&drive, &backend_epoll, 0, 0), 0);
        io_uring_prep_nop(op_begin(&op));
        cr_assert_eq(drive_run(&drive, &op), 0);
        cr_assert_eq(helper_threads(), 0);
        open_slash(&op);
        fd = drive_run(&drive, &op);
        cr_assert_geq(fd, 0);
        cr_assert_eq(helper_threads(), 1);
        close(fd);
        ring_close(&drive.ring);
        cr_assert_eq(helper_threads(), 0);
}

static void stay_within(unsigned kernel_workers, unsigned bound)
{
        enum { OPS = 500 };
        static struct op ops[OPS];
        struct drive drive;
        unsigned most = 0;

        cr_assert_eq(drive_open(&drive, &backend_epoll, 0, kernel_workers), 0);
        for (int i = 0; i < OPS; i++) {
                open_slash(&ops[i]);
                drive_start(&drive, &ops[i]);
        }
        for (int i = 0; i < OPS; i++) {
                unsigned count = i % 50 == 0 ? helper_threads() : 0;

                most = count > most ? count : most;
                cr_assert_geq(drive_finish(&drive, &ops[i]), 0);
                close(ops[i].res);
        }
        cr_assert_geq(most, 1);
        cr_assert_leq(most, bound);
        ring_close(&drive.ring);
}

Test(helpers, f46_a_flood_of_files_takes_four_threads)
{
        stay_within(0, 4);
}

Test(helpers, fewer_kernel_workers_are_fewer_helpers)
{
        stay_within(2, 2);
        stay_within(1, 1);
}

Test(helpers, fifos_without_a_peer_do_not_hold_up_files)
{
        struct op fifos[8], op;
        struct drive drive;
        int fd;

        make_fifo();
        cr_assert_eq(drive_open(&drive, &backend_epoll, 0, 2), 0);
        for (int i = 0; i < 8; i++) {
                open_fifo(&fifos[i]);
                drive_start(&drive, &fifos[i]);
        }
        for (int i = 0; i < 20; i++) {
                open_slash(&op);
                cr_assert_geq(drive_run(&drive, &op), 0);
                close(op.res);
        }
        drive_waits(&drive, &fifos[7]);
        fd = release_fifo();
        for (int i = 0; i < 8; i++) {
                cr_assert_geq(drive_finish(&drive, &fifos[i]), 0);
                close(fifos[i].res);
        }
        close(fd);
        ring_close(&drive.ring);
}

/* ---- the pool by itself ---- */

static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told_cond = PTHREAD_COND_INITIALIZER;
static unsigned told;

static void tell(void *arg)
{
        (void)arg;
        pthread_mutex_lock(&told_lock);
        told++;
        pthread_cond_signal(&told_cond);
        pthread_mutex_unlock(&told_lock);
}

static void wait_until_told(unsigned times)
{
        pthread_mutex_lock(&told_lock);
        while (told < times)
                pthread_cond_wait(&told_cond, &told_lock);
        pthread_mutex_unlock(&told_lock);
}

static unsigned list_len(const struct ouro_list *head)
{
        unsigned len = 0;

        for (const struct ouro_list *node = head->next; node != head; node = node->next)
                len++;
        return len;
}

static void sync_bad(struct op *op)
{
        io_uring_prep_fsync(op_begin(op), -1, 0);
        call_begin(op);
}

Test(helpers, idle_ones_end_and_are_joined)
{
        struct helpers helpers;
        struct ouro_list done;
        struct op op;

        list_init(&done);
        cr_assert_eq(helpers_open(&helpers, 2, tell, NULL), 0);
        helpers.idle_ns = 1000000;
        sync_bad(&op);
        helpers_give(&helpers, &op, false);
        wait_until_told(1);
        while (helper_threads() > 0)
                usleep(1000);
        helpers_collect(&helpers, &done);
        cr_assert_eq(list_len(&done), 1);
        cr_assert_eq(op.res, -EBADF);
        cr_assert(list_empty(&helpers.ended));
        helpers_give(&helpers, &op, false); /* a new one comes */
        wait_until_told(2);
        helpers_close(&helpers);
}

Test(helpers, what_is_not_begun_can_be_taken_back)
{
        struct helpers helpers;
        struct ouro_list done;
        struct op ops[2], fifo;
        int fd;

        make_fifo();
        list_init(&done);
        cr_assert_eq(helpers_open(&helpers, 1, tell, NULL), 0);
        pthread_mutex_lock(&told_lock); /* the helper that finishes ops[0] stays in tell() */
        sync_bad(&ops[0]);
        helpers_give(&helpers, &ops[0], false);
        open_fifo(&fifo);
        call_begin(&fifo);
        helpers_give(&helpers, &fifo, false);
        sync_bad(&ops[1]);
        pthread_mutex_unlock(&told_lock);
        wait_until_told(1);
        for (bool begun = false; !begun; usleep(1000)) {
                pthread_mutex_lock(&helpers.lock);
                begun = helpers.waiting == 1;
                pthread_mutex_unlock(&helpers.lock);
        }
        cr_assert_not(helpers_take_back(&helpers, &fifo));
        fd = release_fifo();
        wait_until_told(2);
        helpers_collect(&helpers, &done);
        cr_assert_eq(list_len(&done), 2);
        close(fifo.res);
        close(fd);
        helpers_close(&helpers);
}

Test(helpers, cancelled_while_queued_is_never_done)
{
        enum { OPS = 200 };
        static struct op ops[OPS];
        struct drive drive;
        int done = 0, spared = 0;

        cr_assert_eq(drive_open(&drive, &backend_epoll, 0, 1), 0);
        for (int i = 0; i < OPS; i++) {
                open_slash(&ops[i]);
                drive_start(&drive, &ops[i]);
        }
        for (int i = 0; i < OPS; i++)
                ring_cancel(&drive.ring, &ops[i]);
        for (int i = 0; i < OPS; i++) {
                int32_t res = drive_finish(&drive, &ops[i]);

                cr_assert(res >= 0 || res == -ECANCELED);
                done += res >= 0;
                spared += res == -ECANCELED;
                if (res >= 0)
                        close(res);
        }
        cr_assert_eq(done + spared, OPS);
        cr_assert_gt(spared, 0);
        ring_close(&drive.ring);
}

Test(helpers, signals_are_not_theirs)
{
        struct drive drive;
        struct op op;
        DIR *dir;
        struct dirent *entry;
        unsigned looked = 0;

        cr_assert_eq(drive_open(&drive, &backend_epoll, 0, 0), 0);
        open_slash(&op);
        close(drive_run(&drive, &op));
        dir = opendir("/proc/self/task");
        while ((entry = readdir(dir))) {
                char path[300], line[256];
                bool is_helper = false;
                FILE *file;

                snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
                file = fopen(path, "r");
                while (file && fgets(line, sizeof line, file)) {
                        if (strcmp(line, "Name:\touro-io\n") == 0)
                                is_helper = true;
                        if (!is_helper || strncmp(line, "SigBlk:", 7) != 0)
                                continue;
                        looked++; /* all but KILL, STOP and the two that libc keeps for itself */
                        cr_assert_eq(strtoull(line + 8, NULL, 16) | 0x1800401ULL << 8,
                                     0xfffffffe7ffbfeffULL | 0x1800401ULL << 8);
                }
                if (file)
                        fclose(file);
        }
        closedir(dir);
        cr_assert_eq(looked, 1);
        ring_close(&drive.ring);
}

/* From now on no thread can be created; processes can, as the leak check of ASan needs. */
static void deny_threads(void)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 3, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)), /* little-endian */
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {sizeof code / sizeof *code, code};

        cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(helpers_denied, f47_without_threads_the_results_are_the_same, .timeout = 60)
{
        struct drive drive;
        struct op op;
        int fds[2], null = open("/dev/null", O_RDWR);
        sigset_t pending;

        cr_assert_eq(drive_open(&drive, &backend_epoll, 0, 0), 0);
        deny_threads();
        errno = ESTALE; /* a task's */
        for (int i = 0; i < 10; i++) {
                open_slash(&op);
                cr_assert_geq(drive_run(&drive, &op), 0);
                close(op.res);
        }
        cr_assert_eq(errno, ESTALE);
        cr_assert_eq(helper_threads(), 0);
        cr_assert_eq(pipe(fds), 0);
        close(fds[0]);
        io_uring_prep_write(op_begin(&op), fds[1], "x", 1, (__u64)-1);
        call_begin(&op);
        call_block_here(&op, false); /* a write that nobody could take */
        cr_assert_eq(op.res, -EPIPE);
        sigpending(&pending);
        cr_assert_not(sigismember(&pending, SIGPIPE));
        close(fds[1]);
        close(null);
        ring_close(&drive.ring);
}
