/* Confined to files: what the paths name can be opened, as they say, and nothing else. */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "confined.h"
#include "support/temp_dir.h"

static struct ouro_process_options options;

static void put(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

        EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        EQ(close(fd), 0);
}

static void begin(void)
{
        static const char *const read_paths[] = {"read", "one", NULL};
        static const char *const write_paths[] = {"write", "log", NULL};

        temp_begin();
        EQ(mkdir("read", 0700), 0);
        EQ(mkdir("read/below", 0700), 0);
        EQ(mkdir("write", 0700), 0);
        EQ(mkdir("other", 0700), 0);
        put("read/below/file", "read");
        put("write/file", "#!/bin/true\n");
        put("other/file", "other");
        put("one", "one");
        put("log", "log");
        EQ(symlink("../other/file", "read/link"), 0);
        options = (struct ouro_process_options)OURO_PROCESS_OPTIONS_INIT;
        options.confine = OURO_CONFINE_FILES;
        options.read_paths = read_paths;
        options.write_paths = write_paths;
}

/* In each test, because there is no way to pass over one from its init. */
#define NEEDS_LANDLOCK()                                                                                     \
        do {                                                                                                 \
                if (landlock_version() < 0) {                                                                \
                        PASSED_OVER("this kernel has no Landlock");                                          \
                        return;                                                                              \
                }                                                                                            \
        } while (0)

TestSuite(landlock, .init = begin, .fini = temp_end);

/* 0 or an errno. */
static int try_open(const char *path, int flags)
{
        int fd = open(path, flags | O_CLOEXEC, 0600);

        if (fd < 0)
                return errno;
        close(fd);
        return 0;
}

static int reads_what_it_may(void)
{
        MUST(try_open("read/below/file", O_RDONLY) == 0);
        MUST(try_open("read", O_RDONLY | O_DIRECTORY) == 0);
        MUST(try_open("one", O_RDONLY) == 0);
        MUST(try_open("read/below/file", O_WRONLY) == EACCES);
        MUST(try_open("read/new", O_WRONLY | O_CREAT) == EACCES);
        MUST(try_open("one", O_RDWR) == EACCES);
        REFUSED(EACCES, unlink("read/below/file"));
        REFUSED(EACCES, mkdir("read/new", 0700));
        return 0;
}

static int writes_what_it_may(void)
{
        MUST(try_open("write/new", O_RDWR | O_CREAT | O_TRUNC) == 0);
        MUST(try_open("write/new", O_RDONLY) == 0);
        MUST(rename("write/new", "write/newer") == 0);
        MUST(mkdir("write/below", 0700) == 0 && rename("write/newer", "write/below/newer") == 0);
        MUST(symlink("newer", "write/below/link") == 0 && try_open("write/below/link", O_RDONLY) == 0);
        MUST(truncate("write/below/newer", 10) == 0);
        MUST(unlink("write/below/newer") == 0 && unlink("write/below/link") == 0);
        MUST(rmdir("write/below") == 0);
        MUST(try_open("log", O_RDWR) == 0);
        return 0;
}

Test(landlock, what_the_paths_name_can_be_used)
{
        NEEDS_LANDLOCK();
        confined_holds(&options, NULL, reads_what_it_may);
        if (landlock_version() >= 2) /* before that nothing is moved between directories */
                confined_holds(&options, NULL, writes_what_it_may);
}

static int finds_no_way_out(void)
{
        char path[64];

        MUST(try_open("other/file", O_RDONLY) == EACCES);
        MUST(try_open("/etc/passwd", O_RDONLY) == EACCES);
        MUST(try_open("/", O_RDONLY | O_DIRECTORY) == EACCES);
        MUST(try_open("read/../other/file", O_RDONLY) == EACCES);
        MUST(try_open("read/link", O_RDONLY) == EACCES);
        MUST(symlink("../other/file", "write/link") == 0 && try_open("write/link", O_RDONLY) == EACCES);
        MUST(link("other/file", "write/hard") == -1 && (errno == EXDEV || errno == EACCES));
        MUST(rename("other/file", "write/moved") == -1 && (errno == EXDEV || errno == EACCES));
        MUST(rename("write/file", "other/moved") == -1 && (errno == EXDEV || errno == EACCES));
        MUST(mknod("write/device", S_IFCHR | 0600, makedev(1, 1)) == -1);
        MUST(try_open("/proc/self/mem", O_RDWR) == EACCES);
        snprintf(path, sizeof path, "/proc/%d/mem", getppid());
        MUST(try_open(path, O_RDONLY) == EACCES);
        MUST(chdir("other") == 0 && try_open("file", O_RDONLY) == EACCES);
        return 0;
}

Test(landlock, f95_nothing_else_can_be_opened)
{
        NEEDS_LANDLOCK();
        confined_holds(&options, NULL, finds_no_way_out);
}

static int executes_nothing_it_wrote(void)
{
        REFUSED(EACCES, execl("write/file", "file", NULL));
        return 0;
}

static int executes_what_it_reads(void)
{
        MUST(system("true") == 0);
        return 0;
}

Test(landlock, what_can_be_read_can_be_executed_and_what_can_be_written_cannot)
{
        static const char *const all[] = {"/", NULL};

        NEEDS_LANDLOCK();
        confined_holds(&options, NULL, executes_nothing_it_wrote);
        options.read_paths = all;
        options.write_paths = NULL;
        confined_holds(&options, NULL, executes_what_it_reads);
}

static int kept_fd;

static int opens_nothing(void)
{
        char buf[8];

        MUST(try_open("one", O_RDONLY) == EACCES);
        MUST(try_open("/dev/null", O_RDWR) == EACCES);
        MUST(read(kept_fd, buf, sizeof buf) == 3); /* what is open stays so */
        return 0;
}

Test(landlock, without_paths_nothing_can_be_opened)
{
        NEEDS_LANDLOCK();
        options.read_paths = options.write_paths = NULL;
        kept_fd = open("one", O_RDONLY | O_CLOEXEC);
        confined_holds(&options, NULL, opens_nothing);
        EQ(close(kept_fd), 0);
}

/* ---- other processes ---- */

static char secret[16] = "secret";

static ssize_t read_parent(void)
{
        char copy[16];
        struct iovec here = {copy, sizeof copy}, there = {secret, sizeof secret};

        return process_vm_readv(getppid(), &here, 1, &there, 1, 0);
}

static int parent_is_open(void)
{
        MUST(read_parent() == sizeof secret);
        MUST(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0);
        MUST(kill(getppid(), 0) == 0);
        return 0;
}

static int parent_is_closed(void)
{
        REFUSED(EPERM, read_parent());
        REFUSED(EPERM, ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
        if (landlock_version() >= 6)
                REFUSED(EPERM, kill(getppid(), 0));
        MUST(kill(getpid(), 0) == 0);
        return 0;
}

Test(landlock, f95_other_processes_cannot_be_traced_nor_sent_signals)
{
        NEEDS_LANDLOCK();
        confined_holds(&options, NULL, parent_is_closed);
        options = (struct ouro_process_options)OURO_PROCESS_OPTIONS_INIT;
        if (confined_run(&options, NULL, parent_is_open).line != 0)
                PASSED_OVER("here no process can be traced anyway");
}

static struct sockaddr_un abstract = {.sun_family = AF_UNIX};
static socklen_t abstract_len;

static int hears_nobody(void)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        MUST(fd >= 0);
        REFUSED(EPERM, connect(fd, (struct sockaddr *)&abstract, abstract_len));
        return 0;
}

Test(landlock, f95_sockets_without_a_file_cannot_be_reached_either)
{
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), len;

        if (landlock_version() < 6) {
                close(listener);
                PASSED_OVER("needs Landlock 6");
                return;
        }
        len = snprintf(abstract.sun_path + 1, 64, "ouro-test-%d", getpid());
        abstract_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
        EQ(bind(listener, (struct sockaddr *)&abstract, abstract_len), 0);
        EQ(listen(listener, 1), 0);
        confined_holds(&options, NULL, hears_nobody);
        EQ(close(listener), 0);
}
