/* Of lib/io/birth.c: signals, limits, rights, groups and sessions are as asked for, and not as they are here.
 */
#include <sys/prctl.h>

#include "support/spawned.h"

TestSuite(birth, .init = leaks_begin, .fini = leaks_end);

#define SIGNAL_STATE OURO_ARGV("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")

IN_LOOP(birth, f86_signals_begin_as_asked_for_and_not_as_they_are_here)
{
        struct ouro_spawn_options options = usual();
        sigset_t set, before, one;

        sigfillset(&set);
        sigemptyset(&one);
        sigaddset(&one, SIGUSR1);
        pthread_sigmask(SIG_BLOCK, &set, &before);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        PRINTS(SIGNAL_STATE, NULL, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
        options.ignored = options.blocked = &one;
        PRINTS(SIGNAL_STATE, &options, "SigBlk:\t0000000000000200\nSigIgn:\t0000000000000200\n");
        signal(SIGPIPE, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return 0;
}

IN_LOOP(birth, f86_limits_nice_and_umask_are_as_asked_for)
{
        struct ouro_spawn_options options = usual();
        const struct ouro_limit limits[] = {{RLIMIT_NOFILE, 64, 65}, {RLIMIT_CORE, 0, 0}};
        const mode_t mask = 0;
        char wanted[32];

        options.limits = limits;
        options.limits_len = 2;
        options.umask = &mask;
        options.nice = 3;
        snprintf(wanted, sizeof wanted, "64 65 0000 %d\n", getpriority(PRIO_PROCESS, 0) + 3);
        PRINTS(SH("echo $(ulimit -Sn) $(ulimit -Hn) $(umask) $(nice)"), &options, wanted);
        return 0;
}

IN_LOOP(birth, groups_and_sessions_are_as_asked_for)
{
        struct ouro_spawn_options options = usual();
        ouro_process *leader, *member;
        const char *failed = NULL;
        pid_t pid;

        options.new_group = true;
        leader = begin(OURO_ARGV("sleep", "1000"), &options);
        pid = ouro_process_pid(leader);
        EQ(getpgid(pid), pid);
        EQ(getsid(pid), getsid(0));
        options = usual();
        options.join_group = pid;
        member = begin(OURO_ARGV("sleep", "1000"), &options);
        EQ(getpgid(ouro_process_pid(member)), pid);
        EQ(ouro_process_close(member), 0);
        EQ(ouro_process_close(leader), 0);
        options = usual();
        options.new_session = true;
        leader = begin(OURO_ARGV("sleep", "1000"), &options);
        EQ(getsid(ouro_process_pid(leader)), ouro_process_pid(leader));
        options = usual();
        options.join_group = ouro_process_pid(leader); /* of another session */
        options.ret_failed = &failed;
        EQ(ouro_spawn(OURO_ARGV("true"), &options, &member), -EPERM);
        cr_assert_str_eq(failed, "group");
        EQ(ouro_process_close(leader), 0);
        return 0;
}

IN_LOOP(birth, it_has_another_users_rights_if_asked_for)
{
        struct ouro_spawn_options options = usual();
        const gid_t groups[] = {7, 8};
        const struct ouro_spawn_user user = {.uid = 65534, .gid = 65533, .groups = groups, .groups_len = 2};
        const char *failed = NULL;
        ouro_process *process;

        options.user = &user;
        options.ret_failed = &failed;
        if (getuid() != 0) {
                EQ(ouro_spawn(OURO_ARGV("true"), &options, &process), -EPERM);
                cr_assert_str_eq(failed, "user");
                return 0;
        }
        PRINTS(SH("echo $(id -u) $(id -g) $(id -G)"), &options, "65534 65533 65533 7 8\n");
        EQ(getuid(), 0);
        return 0;
}

/* Its memory is ours until exec, and the kernel closes memory whose owner changes to all that would look. */
IN_LOOP(birth, another_users_child_leaves_this_process_as_open_to_debuggers_as_it_was)
{
        struct ouro_spawn_options options = usual();
        const struct ouro_spawn_user user = {.uid = 65534, .gid = 65533};
        ouro_process *process;

        options.user = &user;
        for (int dumpable = 0; dumpable < 2; dumpable++) {
                EQ(prctl(PR_SET_DUMPABLE, dumpable), 0);
                if (getuid() == 0)
                        PRINTS(SH("id -u"), &options, "65534\n");
                EQ(prctl(PR_GET_DUMPABLE), dumpable);
                EQ(ouro_spawn(OURO_ARGV("/no such file"), &options, &process),
                   getuid() == 0 ? -ENOENT : -EPERM);
                EQ(prctl(PR_GET_DUMPABLE), dumpable);
        }
        return 0;
}

static void *spawns_and_ends(void *arg)
{
        return (void *)ouro_run(arg, NULL);
}

static ouro_process *bound;

static intptr_t leaves_one_bound(void *unused)
{
        struct ouro_spawn_options options = usual();

        (void)unused;
        options.parent_death_signal = SIGKILL;
        options.leave_running = true;
        bound = begin(OURO_ARGV("sleep", "1000"), &options);
        return 0;
}

Test(birth, it_dies_with_the_thread_that_started_it_if_asked_for)
{
        pthread_t thread;
        int status;

        EQ(pthread_create(&thread, NULL, spawns_and_ends, (void *)leaves_one_bound), 0);
        EQ(pthread_join(thread, NULL), 0);
        EQ(waitpid(ouro_process_pid(bound), &status, 0), ouro_process_pid(bound));
        EQ(ouro_process_close(bound), 0);
        EQ(WTERMSIG(status), SIGKILL);
}
