/* failure.c - what OpenSSL says of a failure, as an errno and in words.
 *
 * Its queue of errors belongs to the thread, on which other tasks run too: it is emptied before the task that
 * has found something in it can be suspended. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tls/tls.h"

/* Reasons from here on are alerts that the peer sent. */
enum { FIRST_ALERT = SSL_AD_REASON_OFFSET, LAST_ALERT = SSL_AD_REASON_OFFSET + 255 };

int tls_fail(struct ouro_tls_failure_info *failure, int error, const char *format, ...)
{
        va_list args;

        if (!failure)
                return error;
        *failure = (struct ouro_tls_failure_info){.error = error, .alert = -1};
        va_start(args, format);
        vsnprintf(failure->reason, sizeof failure->reason, format, args);
        va_end(args);
        return error;
}

static const char *words(unsigned long code)
{
        const char *text = ERR_reason_error_string(code);

        return text ? text : "OpenSSL gives no reason";
}

/* The first is nearest to the cause. */
int tls_fail_by_queue(struct ouro_tls_failure_info *failure, int error)
{
        unsigned long code = ERR_peek_error();

        if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
                error = -ENOMEM;
        error = code ? tls_fail(failure, error, "%s", words(code)) : tls_fail(failure, error, "%s", "");
        ERR_clear_error();
        return error;
}

static int errno_of_alert(int alert)
{
        switch (alert) {
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_EXPIRED:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_UNKNOWN_CA:
        case SSL_AD_ACCESS_DENIED:
        case SSL_AD_CERTIFICATE_REQUIRED:
                return -EACCES;
        case SSL_AD_HANDSHAKE_FAILURE:
        case SSL_AD_PROTOCOL_VERSION:
        case SSL_AD_INSUFFICIENT_SECURITY:
        case SSL_AD_NO_APPLICATION_PROTOCOL:
                return -EPROTONOSUPPORT;
        default:
                return -EPROTO;
        }
}

static int errno_of_reason(int reason)
{
        switch (reason) {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
                return -EKEYREJECTED;
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_CIPHERS_AVAILABLE:
        case SSL_R_NO_PROTOCOLS_AVAILABLE:
        case SSL_R_NO_APPLICATION_PROTOCOL:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
                return -EPROTONOSUPPORT;
        case SSL_R_UNEXPECTED_EOF_WHILE_READING:
                return -ECONNRESET;
        case ERR_R_MALLOC_FAILURE:
                return -ENOMEM;
        default:
                return reason > FIRST_ALERT && reason <= LAST_ALERT ? errno_of_alert(reason - FIRST_ALERT)
                                                                    : -EPROTO;
        }
}

/* Of several, the first that says more than -EPROTO. */
static unsigned long telling_code(void)
{
        unsigned long first = ERR_get_error();
        unsigned long code = first;

        while (code && errno_of_reason(ERR_GET_REASON(code)) == -EPROTO)
                code = ERR_get_error();
        ERR_clear_error();
        return code ? code : first;
}

int tls_fail_by_ssl(struct ouro_tls_failure_info *failure, const SSL *ssl)
{
        unsigned long code = telling_code();
        int reason = ERR_GET_REASON(code);
        int error = errno_of_reason(reason);
        long verified = SSL_get_verify_result(ssl);

        if (error == -ECONNRESET)
                return tls_fail(failure, error, "the connection ended without being closed by the peer");
        if (reason != SSL_R_CERTIFICATE_VERIFY_FAILED) {
                tls_fail(failure, error, "%s", words(code));
                if (reason > FIRST_ALERT && reason <= LAST_ALERT)
                        failure->alert = reason - FIRST_ALERT;
                return error;
        }
        tls_fail(failure, error, "%s", X509_verify_cert_error_string(verified));
        failure->verify_code = (int)verified;
        return error;
}
