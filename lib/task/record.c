/* record.c - where the records of tasks lie.
 *
 * One directory for the process: a handle's slot is chunk * CHUNK_TASKS + place. A chunk belongs to one loop
 * at a time; when that ends, it is kept for the next loop, generations and all, so that no handle ever names
 * two tasks. Only unloading the library unmaps it. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "task/task.h"

struct task_chunk task_directory[CHUNKS_MOST];
_Atomic uint32_t task_chunks;
static pthread_mutex_t chunks_lock = PTHREAD_MUTEX_INITIALIZER;

struct ouro_loop *task_loop(const struct task *task)
{
        return (struct ouro_loop *)atomic_load_explicit(&task_directory[task->slot / CHUNK_TASKS].loop,
                                                        memory_order_relaxed);
}

struct task_more *task_more_make(struct task *task)
{
        struct task_more *more;

        if (task->coro.flags & TASK_MORE)
                return container_of(task->site, struct task_more, site);
        more = mem_calloc(sizeof *more);
        if (!more)
                return NULL;
        more->site = *task->site;
        __atomic_store_n(&task->site, &more->site, __ATOMIC_RELEASE);
        task->coro.flags |= TASK_MORE;
        return more;
}

bool task_rename(struct task *task, const char *name)
{
        struct task_more *more = task_more_make(task);

        if (more)
                more->site.name = name;
        return more != NULL;
}

void task_more_free(struct task *task)
{
        struct task_more *more = container_of(task->site, struct task_more, site);

        check(!more->locals);
        task->coro.flags &= (uint8_t)~TASK_MORE;
        mem_free(more, sizeof *more);
}

/* A chunk of an earlier loop, or a new one. NULL: no memory, or no room in the directory. */
static struct task_chunk *claim_chunk(const struct ouro_loop *loop)
{
        uint32_t n = atomic_load(&task_chunks);
        struct task_chunk *chunk = NULL;
        int saved_errno = errno;
        void *records;

        for (uint32_t i = 0; i < n; i++)
                if (!atomic_load_explicit(&task_directory[i].loop, memory_order_relaxed)) {
                        chunk = &task_directory[i];
                        break;
                }
        if (!chunk && n < CHUNKS_MOST) {
                records = mmap(NULL, CHUNK_TASKS * sizeof(struct task), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
                errno = saved_errno;
                if (records != MAP_FAILED) {
                        chunk = &task_directory[n];
                        chunk->records = records;
                        atomic_store_explicit(&task_chunks, n + 1, memory_order_release);
                }
        }
        if (chunk)
                atomic_store_explicit(&chunk->loop, loop, memory_order_relaxed);
        return chunk;
}

static bool add_chunk(struct ouro_loop *loop)
{
        struct task_chunk *chunk;

        pthread_mutex_lock(&chunks_lock);
        chunk = claim_chunk(loop);
        pthread_mutex_unlock(&chunks_lock);
        if (!chunk)
                return false;
        loop->fresh_task = chunk->records;
        loop->fresh_end = chunk->records + CHUNK_TASKS;
        loop->fresh_slot = (uint32_t)(chunk - task_directory) * CHUNK_TASKS;
        return true;
}

struct task *task_record_fresh(struct ouro_loop *loop)
{
        struct task *task;

        if (unlikely(loop->fresh_task == loop->fresh_end) && !add_chunk(loop))
                return NULL;
        task = loop->fresh_task++;
        task->slot = loop->fresh_slot++;
        if (task->generation == 0) /* never used by an earlier loop either */
                task->generation = 1;
        return task;
}

void task_each(struct ouro_loop *loop, void (*fn)(struct ouro_loop *loop, struct task *task))
{
        uint32_t n = atomic_load(&task_chunks);

        for (uint32_t i = 0; i < n; i++) {
                if (atomic_load_explicit(&task_directory[i].loop, memory_order_relaxed) != loop)
                        continue;
                for (struct task *task = task_directory[i].records;
                     task < task_directory[i].records + CHUNK_TASKS; task++)
                        if (task->state == TASK_ALIVE)
                                fn(loop, task);
        }
}

void task_records_return(struct ouro_loop *loop)
{
        uint32_t n = atomic_load(&task_chunks);

        pthread_mutex_lock(&chunks_lock);
        for (uint32_t i = 0; i < n; i++)
                if (atomic_load_explicit(&task_directory[i].loop, memory_order_relaxed) == loop)
                        atomic_store_explicit(&task_directory[i].loop, NULL, memory_order_relaxed);
        pthread_mutex_unlock(&chunks_lock);
}

const void *task_records(size_t i, size_t *ret_bytes)
{
        if (i >= atomic_load(&task_chunks))
                return NULL;
        *ret_bytes = CHUNK_TASKS * sizeof(struct task);
        return task_directory[i].records;
}

static __attribute__((destructor)) void unmap_chunks(void)
{
        for (uint32_t i = 0; i < atomic_load(&task_chunks); i++)
                if (!atomic_load(&task_directory[i].loop)) /* else a thread still runs in it */
                        munmap(task_directory[i].records, CHUNK_TASKS * sizeof(struct task));
}
