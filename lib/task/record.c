/* record.c - where the records of tasks lie.
 *
 * One directory for the process: a handle's slot is chunk * CHUNK_TASKS + place. A chunk belongs to one loop
 * at a time; when that ends, it is kept for the next loop, generations and all, so that no handle ever names
 * two tasks. Only unloading the library unmaps it. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "task/task.h"

enum {
        CHUNK_TASKS = 4096,
        CHUNKS_MOST = 65536, /* 268 million tasks */
};

struct task_chunk {
        struct task *records;
        _Atomic(const struct ouro_loop *) loop; /* NULL: kept for the next */
};

static struct task_chunk directory[CHUNKS_MOST];
static _Atomic uint32_t chunks;
static pthread_mutex_t chunks_lock = PTHREAD_MUTEX_INITIALIZER;

struct task *task_find(const struct ouro_loop *loop, ouro_task handle)
{
        struct task_chunk *chunk;
        struct task *task;

        if (unlikely(handle.slot / CHUNK_TASKS >= atomic_load_explicit(&chunks, memory_order_acquire)))
                return NULL;
        chunk = &directory[handle.slot / CHUNK_TASKS];
        if (unlikely(atomic_load_explicit(&chunk->loop, memory_order_relaxed) != loop))
                return NULL;
        task = &chunk->records[handle.slot % CHUNK_TASKS];
        return likely(task->generation == handle.generation && task->state != TASK_FREE) ? task : NULL;
}

struct ouro_loop *task_loop(const struct task *task)
{
        return (struct ouro_loop *)atomic_load_explicit(&directory[task->slot / CHUNK_TASKS].loop,
                                                        memory_order_relaxed);
}

/* A chunk of an earlier loop, or a new one. NULL: no memory, or no room in the directory. */
static struct task_chunk *claim_chunk(const struct ouro_loop *loop)
{
        uint32_t n = atomic_load(&chunks);
        struct task_chunk *chunk = NULL;
        int saved_errno = errno;
        void *records;

        for (uint32_t i = 0; i < n; i++)
                if (!atomic_load_explicit(&directory[i].loop, memory_order_relaxed)) {
                        chunk = &directory[i];
                        break;
                }
        if (!chunk && n < CHUNKS_MOST) {
                records = mmap(NULL, CHUNK_TASKS * sizeof(struct task), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
                errno = saved_errno;
                if (records != MAP_FAILED) {
                        chunk = &directory[n];
                        chunk->records = records;
                        atomic_store_explicit(&chunks, n + 1, memory_order_release);
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
        loop->fresh_slot = (uint32_t)(chunk - directory) * CHUNK_TASKS;
        return true;
}

struct task *task_record(struct ouro_loop *loop)
{
        struct task *task;

        if (likely(loop->free_tasks)) {
                task = task_of(loop->free_tasks);
                loop->free_tasks = task->coro.next;
                return task;
        }
        if (unlikely(loop->fresh_task == loop->fresh_end) && !add_chunk(loop))
                return NULL;
        task = loop->fresh_task++;
        task->slot = loop->fresh_slot++;
        if (task->generation == 0) /* never used by an earlier loop either */
                task->generation = 1;
        return task;
}

void task_record_free(struct ouro_loop *loop, struct task *task)
{
        if (task->state != TASK_SPENT)
                task->generation++;
        task->state = TASK_FREE;
        task->coro.next = loop->free_tasks;
        loop->free_tasks = &task->coro;
}

void task_each(struct ouro_loop *loop, void (*fn)(struct ouro_loop *loop, struct task *task))
{
        uint32_t n = atomic_load(&chunks);

        for (uint32_t i = 0; i < n; i++) {
                if (atomic_load_explicit(&directory[i].loop, memory_order_relaxed) != loop)
                        continue;
                for (struct task *task = directory[i].records; task < directory[i].records + CHUNK_TASKS;
                     task++)
                        if (task->state == TASK_ALIVE)
                                fn(loop, task);
        }
}

void task_records_return(struct ouro_loop *loop)
{
        uint32_t n = atomic_load(&chunks);

        pthread_mutex_lock(&chunks_lock);
        for (uint32_t i = 0; i < n; i++)
                if (atomic_load_explicit(&directory[i].loop, memory_order_relaxed) == loop)
                        atomic_store_explicit(&directory[i].loop, NULL, memory_order_relaxed);
        pthread_mutex_unlock(&chunks_lock);
}

const void *task_records(size_t i, size_t *ret_bytes)
{
        if (i >= atomic_load(&chunks))
                return NULL;
        *ret_bytes = CHUNK_TASKS * sizeof(struct task);
        return directory[i].records;
}

static __attribute__((destructor)) void unmap_chunks(void)
{
        for (uint32_t i = 0; i < atomic_load(&chunks); i++)
                if (!atomic_load(&directory[i].loop)) /* else a thread still runs in it */
                        munmap(directory[i].records, CHUNK_TASKS * sizeof(struct task));
}
