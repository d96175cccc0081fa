/* stress_options.c - the command line of `ouro stress`.
 *
 * Every complaint is one line on stderr that names the option, and what it was given. */
#include "stress.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
        CONNECTIONS_MAX = 100000,
        TASKS_MAX = 100000,
        THREADS_MAX = 1024,
        PROCESSES_MAX = 1024,
        DURATION_S_MAX = 10 * 24 * 3600,
};

static const char usage[] =
        "Usage: ouro stress [OPTION]...\n"
        "Echo data over TCP and Unix connections, write, read back and remove files, compress in threads "
        "and\n"
        "in worker processes, sleep, and pass items through channels, all on one loop; cancel some of it at\n"
        "random moments; then check that every byte, job, descriptor, thread, process and mapping is\n"
        "accounted for.\n"
        "\n"
        "  -d, --duration TIME      how long to work: seconds, or with m or h at the end (default 10)\n"
        "  -c, --connections N      open at a time, half of them TCP, half Unix (default 64)\n"
        "  -t, --tasks N            other tasks at a time: files, jobs, sleeps, channels, process jobs in\n"
        "                           turn (default 64)\n"
        "  -j, --threads N          of the thread pool (default: what the machine allows)\n"
        "  -p, --processes N        of the process pool; 0: none (default: as many as threads)\n"
        "      --chaos              kill worker processes and the zygote they come from, every few tens of\n"
        "                           milliseconds and in many ways; half of the tasks are process jobs then\n"
        "  -b, --backend NAME       auto, uring or epoll (default auto)\n"
        "  -s, --seed N             of all choices (default: a random one, which is told)\n"
        "      --json FILE          write the outcome there too; - is standard output\n"
        "  -q, --quiet              tell nothing but what is wrong\n"
        "  -h, --help               show this\n"
        "\n"
        "Exit status: 0 if all promises were kept, 1 if not, 2 if the arguments make no sense.\n";

void stress_usage(void)
{
        fputs(usage, stdout);
}

static int complain(const char *option, const char *wanted, const char *got)
{
        fprintf(stderr, "ouro stress: --%s takes %s, not '%s'\n", option, wanted, got);
        return -EINVAL;
}

static int parse_u64(const char *text, uint64_t max, uint64_t *ret_value)
{
        unsigned long long value;
        char *end;

        /* strtoull() would take a sign or blanks. */
        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        errno = 0;
        value = strtoull(text, &end, 0);
        if (errno != 0 || *end != '\0' || value > max)
                return -EINVAL;
        *ret_value = value;
        return 0;
}

static int parse_count(const char *option, const char *text, unsigned max, unsigned *ret_count)
{
        char wanted[64];
        uint64_t value;

        if (parse_u64(text, max, &value) < 0) {
                snprintf(wanted, sizeof(wanted), "a number from 0 to %u", max);
                return complain(option, wanted, text);
        }
        *ret_count = (unsigned)value;
        return 0;
}

static int parse_duration(const char *text, int64_t *ret_ns)
{
        double seconds;
        char *end;

        seconds = strtod(text, &end);
        if (end != text && (*end == 'm' || *end == 'h'))
                seconds *= *end++ == 'm' ? 60 : 3600;
        if (end == text || *end != '\0' || !isfinite(seconds) || seconds < 0.001 || seconds > DURATION_S_MAX)
                return complain("duration", "seconds, from 0.001 to 864000, or as 10m, 2h", text);
        *ret_ns = (int64_t)(seconds * 1e9);
        return 0;
}

static int parse_processes(const char *text, struct stress_options *options)
{
        options->no_processes = false;
        if (parse_count("processes", text, PROCESSES_MAX, &options->processes) < 0)
                return -EINVAL;
        options->no_processes = options->processes == 0;
        return 0;
}

static int parse_seed(const char *text, uint64_t *ret_seed)
{
        if (parse_u64(text, UINT64_MAX, ret_seed) < 0)
                return complain("seed", "a number of up to 64 bits", text);
        return 0;
}

static int parse_backend(const char *text, enum ouro_backend *ret_backend)
{
        static const char *const names[] = {
                [OURO_BACKEND_AUTO] = "auto",
                [OURO_BACKEND_URING] = "uring",
                [OURO_BACKEND_EPOLL] = "epoll",
        };

        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (strcmp(text, names[i]) == 0) {
                        *ret_backend = (enum ouro_backend)i;
                        return 0;
                }
        }
        return complain("backend", "auto, uring or epoll", text);
}

enum {
        OPTION_JSON = 256, /* no letter */
        OPTION_CHAOS,
};

static const char letters[] = ":d:c:t:j:p:b:s:qh";

static int take_option(int option, struct stress_options *options)
{
        switch (option) {
        case 'd':
                return parse_duration(optarg, &options->duration_ns);
        case 'c':
                return parse_count("connections", optarg, CONNECTIONS_MAX, &options->connections);
        case 't':
                return parse_count("tasks", optarg, TASKS_MAX, &options->tasks);
        case 'j':
                return parse_count("threads", optarg, THREADS_MAX, &options->threads);
        case 'p':
                return parse_processes(optarg, options);
        case 'b':
                return parse_backend(optarg, &options->backend);
        case 's':
                return parse_seed(optarg, &options->seed);
        case OPTION_CHAOS:
                options->chaos = true;
                return 0;
        case OPTION_JSON:
                options->json = optarg;
                return 0;
        case 'q':
                options->quiet = true;
                return 0;
        default:
                options->help = true;
                return 0;
        }
}

/* A letter that is known stands for a long option with a value that it does not take. */
static int refuse_option(int answer, char **argv)
{
        if (answer == ':')
                fprintf(stderr, "ouro stress: %s needs a value; see ouro stress --help\n", argv[optind - 1]);
        else if (optopt > 0 && optopt < 256 && !strchr(letters, optopt))
                fprintf(stderr, "ouro stress: there is no option -%c; see ouro stress --help\n", optopt);
        else
                fprintf(stderr, "ouro stress: cannot take %s; see ouro stress --help\n", argv[optind - 1]);
        return -EINVAL;
}

static int check_all(int argc, char **argv, const struct stress_options *options)
{
        if (options->help)
                return 0;
        if (optind < argc) {
                fprintf(stderr, "ouro stress: cannot take '%s'; see ouro stress --help\n", argv[optind]);
                return -EINVAL;
        }
        if (options->connections == 0 && options->tasks == 0) {
                fputs("ouro stress: with --connections 0 and --tasks 0 there is nothing to do\n", stderr);
                return -EINVAL;
        }
        if (options->chaos && (options->no_processes || options->tasks == 0)) {
                fprintf(stderr, "ouro stress: with --%s 0 there is nothing for --chaos to kill\n",
                        options->no_processes ? "processes" : "tasks");
                return -EINVAL;
        }
        return 0;
}

static uint64_t random_seed(void)
{
        uint32_t seed;

        /* Short, because somebody may have to type it. */
        if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
                return 1;
        return seed;
}

int stress_parse(int argc, char **argv, struct stress_options *ret_options)
{
        static const struct option known[] = {
                {"duration", required_argument, NULL, 'd'},
                {"connections", required_argument, NULL, 'c'},
                {"tasks", required_argument, NULL, 't'},
                {"threads", required_argument, NULL, 'j'},
                {"processes", required_argument, NULL, 'p'},
                {"chaos", no_argument, NULL, OPTION_CHAOS},
                {"backend", required_argument, NULL, 'b'},
                {"seed", required_argument, NULL, 's'},
                {"json", required_argument, NULL, OPTION_JSON},
                {"quiet", no_argument, NULL, 'q'},
                {"help", no_argument, NULL, 'h'},
                {NULL, 0, NULL, 0},
        };
        struct stress_options options = {
                .duration_ns = OURO_SEC(10), .connections = 64, .tasks = 64, .seed = random_seed()};
        int option, r = 0;

        opterr = 0;
        while (r == 0 && (option = getopt_long(argc, argv, letters, known, NULL)) != -1)
                r = option == '?' || option == ':' ? refuse_option(option, argv)
                                                   : take_option(option, &options);
        if (r == 0)
                r = check_all(argc, argv, &options);
        if (r == 0)
                *ret_options = options;
        return r;
}
