/* ledger.c - which job of the worker processes ran how often: they prove it in a file.
 *
 * Records have a size that divides a page: none lies across two, so that not even a write to a file whose
 * memory runs out leaves half of one. */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Static_assert(4096 % sizeof(struct ledger_record) == 0, "no record lies across two pages");

enum {
        READ_RECORDS = 512, /* at a time: 8 KiB on a task's stack */
};

static uint8_t ledger_check(const struct ledger_record *record)
{
        uint64_t mixed = (record->number ^ (uint64_t)record->pid << 32 ^ (uint64_t)record->attempt << 8 ^
                          record->intent) *
                         0x9e3779b97f4a7c15u;

        return (uint8_t)(mixed >> 56) | 1; /* never that of zeros */
}

int ledger_open(struct ledger *ledger, struct process_totals *totals)
{
        int fd = memfd_create("ouro-stress-ledger", MFD_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (fcntl(fd, F_SETFL, O_APPEND) < 0) {
                int r = -errno;

                close(fd);
                return r;
        }
        *ledger = (struct ledger){.fd = fd, .totals = totals};
        return 0;
}

void ledger_close(struct ledger *ledger)
{
        close(ledger->fd);
        marks_free(&ledger->marks);
}

struct mark *ledger_add(struct ledger *ledger, unsigned retries, uint64_t *ret_number)
{
        uint64_t number = ledger->marks.used;
        struct mark *mark = marks_add(&ledger->marks);

        if (!mark)
                return NULL;
        mark->retries = (uint8_t)retries;
        *ret_number = number;
        return mark;
}

int ledger_write(int fd, uint64_t number, unsigned attempt, unsigned intent)
{
        struct ledger_record record = {
                .number = number,
                .pid = (uint32_t)getpid(),
                .attempt = (uint16_t)attempt,
                .intent = (uint8_t)intent,
        };
        ssize_t n;

        record.check = ledger_check(&record);
        do
                n = write(fd, &record, sizeof(record));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return n == sizeof(record) ? 0 : -EIO;
}

static void take_in(struct ledger *ledger, const struct ledger_record *record)
{
        struct mark *mark = marks_at(&ledger->marks, record->number);

        if (record->check != ledger_check(record) || record->intent >= LEDGER_INTENTS ||
            (!mark && record->number != LEDGER_NAMELESS)) {
                ledger->totals->bad_records++;
                return;
        }
        ledger->intents[record->intent]++;
        if (!mark)
                ledger->totals->nameless_runs++;
        else if (!mark_ran_again(mark, record->attempt))
                ledger->totals->unduly++;
}

/* Whole pages that have been read are no longer needed. Where the file system cannot do that, they stay. */
static void give_back(const struct ledger *ledger, off_t from)
{
        off_t first = from & ~(off_t)4095, end = ledger->read_to & ~(off_t)4095;

        if (end > first)
                fallocate(ledger->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first, end - first);
}

int ledger_read(struct ledger *ledger, unsigned most)
{
        struct ledger_record records[READ_RECORDS];
        off_t from = ledger->read_to;
        unsigned done = 0;

        while (done < most) {
                unsigned wanted = most - done < READ_RECORDS ? most - done : READ_RECORDS;
                ssize_t n = pread(ledger->fd, records, wanted * sizeof(records[0]), ledger->read_to);

                if (n < 0)
                        return -errno;
                n /= (ssize_t)sizeof(records[0]);
                for (ssize_t i = 0; i < n; i++)
                        take_in(ledger, &records[i]);
                ledger->read_to += n * (off_t)sizeof(records[0]);
                done += (unsigned)n;
                if ((unsigned)n < wanted)
                        break;
        }
        give_back(ledger, from);
        return (int)done;
}

void ledger_sweep(struct ledger *ledger)
{
        marks_sweep(&ledger->marks, &ledger->totals->job);
}
