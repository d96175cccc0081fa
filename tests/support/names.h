/* names.h - what tests of names have in common: a network and an /etc of their own, and short ways to ask. */
#ifndef OURO_TESTS_SUPPORT_NAMES_H
#define OURO_TESTS_SUPPORT_NAMES_H

#include <errno.h>

#include "support/leaks.h"
#include "support/own_net.h"

static bool has_own_net;

static inline void names_begin(void)
{
        temp_begin();
        has_own_net = own_net_begin("127.0.0.1 localhost\n"
                                    "192.0.2.9 filed.test alias.test\n"
                                    "2001:db8::9 filed.test\n");
        leaks_begin();
}

static inline void names_end(void)
{
        leaks_end();
        temp_end();
}

#define NEEDS_OWN_NET()                                                                                      \
        do {                                                                                                 \
                if (!has_own_net) {                                                                          \
                        PASSED_OVER("no namespaces here");                                                   \
                        return 0;                                                                            \
                }                                                                                            \
        } while (0)

static inline int outcome(const char *host, const struct ouro_resolve_options *options)
{
        struct ouro_addresses *addresses;
        int error = ouro_resolve(host, "80", options, &addresses);

        if (error == 0)
                ouro_addresses_free(addresses);
        return error;
}

static inline intptr_t resolve_task(void *arg)
{
        return outcome(arg, NULL);
}

static inline struct ouro_resolve_options fresh(void)
{
        struct ouro_resolve_options options = OURO_RESOLVE_OPTIONS_INIT;

        options.flags = OURO_RESOLVE_FRESH;
        return options;
}

#endif
