/* sessions.c - what a client can resume, by host.
 *
 * The most recent stands first. A session of TLS 1.3 is used once, so that those who watch cannot tell that
 * two connections are the same client's; one of TLS 1.2 stays. A few are kept for each host (a server sends
 * two at a time), many in all. */
#include <string.h>

#include "tls/tls.h"

enum { PER_HOST = 4 };

struct tls_session {
        struct tls_session *next;
        SSL_SESSION *session;
        char key[];
};

static void forget(struct tls_sessions *sessions, struct tls_session **place)
{
        struct tls_session *gone = *place;

        *place = gone->next;
        sessions->count--;
        SSL_SESSION_free(gone->session);
        OPENSSL_free(gone);
}

SSL_SESSION *tls_session_take(struct tls_sessions *sessions, const char *key)
{
        struct tls_session **place = &sessions->first;

        while (*place && strcmp((*place)->key, key) != 0)
                place = &(*place)->next;
        if (!*place)
                return NULL;

        SSL_SESSION *session = (*place)->session;

        SSL_SESSION_up_ref(session);
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION || !SSL_SESSION_is_resumable(session))
                forget(sessions, place);
        return session;
}

/* The oldest of this host, or of all hosts. */
static void make_room(struct tls_sessions *sessions, const char *key)
{
        struct tls_session **oldest = NULL, **last = NULL;
        size_t of_host = 0;

        for (struct tls_session **place = &sessions->first; *place; place = &(*place)->next) {
                last = place;
                if (strcmp((*place)->key, key) == 0) {
                        oldest = place;
                        of_host++;
                }
        }
        if (of_host >= PER_HOST)
                forget(sessions, oldest);
        else if (last && sessions->count >= sessions->most)
                forget(sessions, last);
}

void tls_session_keep(struct tls_sessions *sessions, const char *key, SSL_SESSION *session)
{
        size_t bytes = strlen(key) + 1;
        struct tls_session *new = OPENSSL_malloc(sizeof *new + bytes);

        if (!new) {
                SSL_SESSION_free(session);
                return;
        }
        make_room(sessions, key);
        memcpy(new->key, key, bytes);
        new->session = session;
        new->next = sessions->first;
        sessions->first = new;
        sessions->count++;
}

void tls_sessions_free(struct tls_sessions *sessions)
{
        while (sessions->first)
                forget(sessions, &sessions->first);
}
