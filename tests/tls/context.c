/* context.c - what contexts are made of, and what is no good for one. */
#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "ends.h"

TestSuite(tls_context, .init = ends_begin, .fini = ends_end);

static char path[] = "/tmp/ouro-tls-context-XXXXXX";

static void file_with(const char *text)
{
        int fd;

        memcpy(path + sizeof path - 7, "XXXXXX", 6);
        fd = mkstemp(path);
        cr_assert(fd >= 0);
        EQ(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

/* What opening gives; it must say why, in words. */
static int open_fails(struct ouro_tls_context_options *options)
{
        struct ouro_tls_failure_info failure = {.reason = "untouched"};
        ouro_tls_context *context = NULL;
        int error;

        options->failure = &failure;
        error = ouro_tls_context_open(options, &context);
        cr_assert(error < 0, "%d", error);
        cr_assert_null(context);
        EQ(failure.error, error);
        cr_assert(failure.reason[0] && strcmp(failure.reason, "untouched") != 0);
        EQ(ERR_peek_error(), 0);
        return error;
}

Test(tls_context, works_without_a_loop)
{
        ouro_tls_context *context = NULL;

        EQ(ouro_tls_context_open(NULL, &context), 0);
        EQ(ouro_tls_context_close(context), 0);
        EQ(ouro_tls_context_close(NULL), -EINVAL);
        EQ(ouro_tls_context_open(NULL, NULL), -EINVAL);
        EQ(ouro_tls_connect(context, NULL, NULL, NULL), -EINVAL);
}

Test(tls_context, misuse_is_told)
{
        struct ouro_tls_context_options options = {.size = 0};
        const struct ouro_tls_identity two[2] = {identity_of(&server_certificate),
                                                 identity_of(&server_certificate)};
        ouro_tls_context *context = NULL;

        EQ(ouro_tls_context_open(&options, &context), -EINVAL);
        options = client_options();
        options.side = (enum ouro_tls_side)7;
        EQ(open_fails(&options), -EINVAL);
        options = client_options();
        options.identities = two;
        options.identity_count = 2;
        EQ(open_fails(&options), -EINVAL);
        options.identities = NULL;
        EQ(open_fails(&options), -EINVAL);
        options = client_options();
        options.clients = OURO_TLS_REQUIRE;
        EQ(open_fails(&options), -EINVAL);
        options = client_options();
        options.refuse_unknown_names = true;
        EQ(open_fails(&options), -EINVAL);
        options = server_options();
        options.identity_count = 0;
        EQ(open_fails(&options), -EINVAL);
        options = server_options();
        options.insecure_no_verification = true;
        EQ(open_fails(&options), -EINVAL);
        options = server_options();
        options.clients = OURO_TLS_REQUEST; /* of which authority? */
        EQ(open_fails(&options), -EINVAL);
        options = server_options();
        options.clients = (enum ouro_tls_clients)9;
        EQ(open_fails(&options), -EINVAL);
        options = server_options();
        options.session_ns = -1;
        EQ(open_fails(&options), -EINVAL);
}

Test(tls_context, protocols_versions_and_ciphers_that_cannot_be)
{
        char long_name[257];
        const char *empty[] = {"h2", ""}, *null[] = {NULL}, *longer[] = {long_name};
        struct ouro_tls_context_options options = client_options();

        memset(long_name, 'x', 256);
        long_name[256] = '\0';
        options.protocol_count = 2;
        EQ(open_fails(&options), -EINVAL);
        options.protocols = empty;
        EQ(open_fails(&options), -EINVAL);
        options.protocol_count = 1;
        options.protocols = null;
        EQ(open_fails(&options), -EINVAL);
        options.protocols = longer;
        EQ(open_fails(&options), -EINVAL);
        options = client_options();
        options.least = OURO_TLS_1_3;
        options.most = OURO_TLS_1_2;
        EQ(open_fails(&options), -EINVAL);
        options.most = (enum ouro_tls_version)0x0301;
        EQ(open_fails(&options), -EINVAL);
        options = client_options();
        options.ciphers = "NONSENSE";
        EQ(open_fails(&options), -ENOTSUP);
        options.ciphers = NULL;
        options.ciphersuites = "NONSENSE";
        EQ(open_fails(&options), -ENOTSUP);
}

Test(tls_context, files_that_cannot_be_read)
{
        struct ouro_tls_context_options options = client_options();
        struct ouro_tls_identity identity = {.chain_file = "/nonexistent/chain.pem",
                                             .key_file = "/nonexistent"};

        options.ca_file = "/nonexistent/ca.pem";
        EQ(open_fails(&options), -ENOENT);
        options.ca_file = "/tmp";
        EQ(open_fails(&options), -EISDIR);
        options.ca_file = NULL;
        options.ca_dir = "/nonexistent";
        EQ(open_fails(&options), -ENOENT);
        options.ca_dir = "/dev/null";
        EQ(open_fails(&options), -ENOTDIR);
        options = client_options();
        options.crl_file = "/nonexistent/crl.pem";
        EQ(open_fails(&options), -ENOENT);
        options = client_options();
        options.key_log_file = "/nonexistent/keys";
        EQ(open_fails(&options), -ENOENT);
        options = server_options();
        options.identities = &identity;
        EQ(open_fails(&options), -ENOENT);
}

static void check_pem(const char *chain, const char *key, int wanted)
{
        struct ouro_tls_context_options options = server_options();
        struct ouro_tls_identity identity = {.chain = chain,
                                             .chain_bytes = chain ? strlen(chain) : 0,
                                             .key = key,
                                             .key_bytes = key ? strlen(key) : 0};

        options.identities = &identity;
        EQ(open_fails(&options), wanted);
}

Test(tls_context, what_is_no_certificate_or_key)
{
        const char *good = server_certificate.pem, *key = server_certificate.key_pem;
        struct ouro_tls_context_options options = client_options();
        char *cut = strdup(good), *torn = NULL;

        cut[strlen(cut) / 2] = '\0';
        cr_assert(asprintf(&torn, "%s-----BEGIN CERTIFICATE-----\nMIIB!\n-----END CERTIFICATE-----\n", good) >
                  0);
        check_pem("", key, -EBADMSG);
        check_pem("nonsense", key, -EBADMSG);
        check_pem(cut, key, -EBADMSG);
        check_pem(torn, key, -EBADMSG); /* a chain that is broken further down */
        check_pem(key, key, -EBADMSG);
        check_pem(good, "", -EBADMSG);
        check_pem(good, good, -EBADMSG);
        check_pem(good, NULL, -EINVAL);
        check_pem(NULL, key, -EINVAL);
        check_pem(good, client_certificate.key_pem, -EKEYREJECTED);
        options.ca = "nonsense";
        options.ca_bytes = 8;
        EQ(open_fails(&options), -EBADMSG);
        options.ca = torn;
        options.ca_bytes = strlen(torn);
        EQ(open_fails(&options), -EBADMSG);
        options = client_options();
        file_with("nonsense");
        options.crl_file = path;
        EQ(open_fails(&options), -EBADMSG);
        unlink(path);
        free(cut);
        free(torn);
}

/* It would ask for the password at the terminal. */
Test(tls_context, key_with_a_password_is_refused)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *bytes, *text;
        long len;

        PEM_write_bio_PrivateKey(bio, server_certificate.key, EVP_aes_128_cbc(), (const unsigned char *)"pw",
                                 2, NULL, NULL);
        len = BIO_get_mem_data(bio, &bytes);
        text = strndup(bytes, (size_t)len);
        BIO_free(bio);
        check_pem(server_certificate.pem, text, -EBADMSG);
        free(text);
}

Test(tls_context, key_that_is_too_weak_is_refused)
{
        struct certificate weak =
                certificate_make(&(struct wanted){.names = "DNS:server.test", .weak = true}, &authority);

        check_pem(weak.pem, weak.key_pem, -EKEYREJECTED);
        certificate_free(&weak);
}

Test(tls_context, both_file_and_memory_are_one_too_many)
{
        struct ouro_tls_context_options options = server_options();
        struct ouro_tls_identity identity = identity_of(&server_certificate);

        identity.chain_file = "/dev/null";
        options.identities = &identity;
        EQ(open_fails(&options), -EINVAL);
}

IN_LOOP(tls_context, files_do_as_memory_does)
{
        struct ouro_tls_context_options client = client_options(), server = server_options();
        struct ouro_tls_identity identity = {0};
        ouro_tls_context *trusts, *shows;
        char *both = NULL;
        struct ends ends;

        file_with(authority.pem);
        client.ca = NULL;
        client.ca_file = path;
        trusts = context_of(&client);
        unlink(path);
        cr_assert(asprintf(&both, "%s%s", server_certificate.key_pem, server_certificate.pem) > 0);
        file_with(both);
        identity.chain_file = identity.key_file = path;
        server.identities = &identity;
        shows = context_of(&server);
        unlink(path);
        free(both);
        ends_open(&ends, trusts, shows);
        ends_made(&ends);
        ends_close(&ends);
        return 0;
}

/* The directory is read when it is needed: named by the hash of who is in there. */
IN_LOOP(tls_context, directory_of_authorities)
{
        struct ouro_tls_context_options client = client_options();
        char dir[] = "/tmp/ouro-tls-dir-XXXXXX", name[64];
        struct ends ends;
        FILE *file;

        cr_assert(mkdtemp(dir));
        snprintf(name, sizeof name, "%s/%08lx.0", dir, X509_subject_name_hash(authority.x509));
        file = fopen(name, "w");
        fputs(authority.pem, file);
        fclose(file);
        client.ca = NULL;
        client.ca_dir = dir;
        ends_open(&ends, context_of(&client), NULL);
        ends_made(&ends);
        ends_close(&ends);
        unlink(name);
        rmdir(dir);
        return 0;
}

IN_LOOP(tls_context, key_log_is_written_where_it_was_asked_for)
{
        struct ouro_tls_context_options client = client_options();
        struct stat status;
        char text[2048];
        struct ends ends;
        ssize_t n;
        int fd;

        file_with("");
        unlink(path);
        client.key_log_file = path;
        ends_open(&ends, context_of(&client), NULL);
        ends_made(&ends);
        ends_close(&ends);
        EQ(stat(path, &status), 0);
        EQ(status.st_mode & 0777, 0600);
        fd = open(path, O_RDONLY);
        n = read(fd, text, sizeof text - 1);
        close(fd);
        unlink(path);
        cr_assert(n > 0);
        text[n] = '\0';
        cr_assert_not_null(strstr(text, "CLIENT_TRAFFIC_SECRET_0 "));
        EQ(text[n - 1], '\n');
        return 0;
}
