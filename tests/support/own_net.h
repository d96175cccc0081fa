/* own_net.h - a test's own network and its own /etc: namespaces that end with its process.
 *
 * Loopback alone is up. /etc/hosts, /etc/resolv.conf and /etc/nsswitch.conf are the test's; the name server
 * is 127.0.0.1, where the test may answer by itself. False where the machine denies namespaces. */
#ifndef OURO_TESTS_SUPPORT_OWN_NET_H
#define OURO_TESTS_SUPPORT_OWN_NET_H

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "support/in_loop.h"
#include "support/temp_dir.h"

static inline void own_net_write(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        cr_assert(fd >= 0, "%s", path);
        EQ(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static inline void own_net_etc(const char *name, const char *text)
{
        char ours[256], theirs[64];

        snprintf(ours, sizeof ours, "%s/%s", temp_dir, name);
        snprintf(theirs, sizeof theirs, "/etc/%s", name);
        own_net_write(ours, text);
        EQ(mount(ours, theirs, NULL, MS_BIND, NULL), 0);
}

static inline void own_net_up(void)
{
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

        EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
        close(fd);
}

/* temp_begin() has been called. hosts is the text of /etc/hosts. */
static inline bool own_net_begin(const char *hosts)
{
        char map[64];
        unsigned uid = getuid(), gid = getgid();

        if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0) { /* not root: one who is, for as long as it lasts */
                if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) < 0)
                        return false;
                own_net_write("/proc/self/setgroups", "deny");
                snprintf(map, sizeof map, "0 %u 1", uid);
                own_net_write("/proc/self/uid_map", map);
                snprintf(map, sizeof map, "0 %u 1", gid);
                own_net_write("/proc/self/gid_map", map);
        }
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return false;
        own_net_up();
        own_net_etc("hosts", hosts);
        own_net_etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
        own_net_etc("nsswitch.conf", "hosts: files dns\nservices: files\n");
        return true;
}

#endif
