/* resolver.c - the threads that ask, the questions that wait for them, and the answers that are kept.
 *
 * Invariants: a question that is queued or asked has a helper that will see to it, or is about to be failed.
 * An asker that is in its question's list is waiting, so its loop is there, and whoever takes it out of that
 * list, under the lock, sends it its wake or is the asker itself. Threads are detached, because one that
 * waits for a server cannot be joined. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/alloc.h"
#include "io/resolver.h"
#include "task/task.h"

#pragma weak dlopen
#pragma weak dladdr

enum {
        THREADS_MOST = 8,
        KEPT_MOST = 256,
        STACK_BYTES = 512 << 10, /* NSS modules are not ours */
        IDLE_MS = 100,
};

#define POSITIVE_AGE_NS OURO_SEC(10)
#define NEGATIVE_AGE_NS OURO_SEC(1)

/* A task that waits, on its own stack. */
struct asker {
        struct ouro_list link; /* in question->askers while it is listed */
        struct ouro_message message;
        struct ouro_loop *loop;
        struct coro *coro;
        bool listed;
};

static struct {
        pthread_mutex_t lock;
        pthread_cond_t work;
        struct ouro_list queue; /* of questions */
        struct ouro_list asked; /* those in a helper's hands */
        struct ouro_list kept;  /* the one used last at the end */
        size_t kept_len;
        size_t queue_len;
        unsigned threads, idle;
} resolver = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *helper_main(void *arg);

/* ---- forks ---- */

static void init_work(void)
{
        pthread_condattr_t attr;

        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&resolver.work, &attr);
        pthread_condattr_destroy(&attr);
}

static void before_fork(void)
{
        pthread_mutex_lock(&resolver.lock);
}

static void after_fork(void)
{
        pthread_mutex_unlock(&resolver.lock);
}

/* The child has neither the threads nor the tasks that wait: what was under way is nobody's, and left where
 * it is. Answers stay known. */
static void enter_child(void)
{
        struct ouro_list *node, *next;

        list_each_safe(node, next, &resolver.kept) {
                struct question *question = container_of(node, struct question, kept);

                if (question->state == QUESTION_ANSWERED)
                        continue;
                list_del(node);
                resolver.kept_len--;
        }
        list_init(&resolver.queue);
        list_init(&resolver.asked);
        resolver.queue_len = 0;
        resolver.threads = resolver.idle = 0;
        init_work();
        pthread_mutex_init(&resolver.lock, NULL);
}

static void init_once(void)
{
        init_work();
        list_init(&resolver.queue);
        list_init(&resolver.asked);
        list_init(&resolver.kept);
        pthread_atfork(before_fork, after_fork, enter_child);
}

static void lock(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, init_once);
        pthread_mutex_lock(&resolver.lock);
}

static void unlock(void)
{
        pthread_mutex_unlock(&resolver.lock);
}

/* ---- questions; the lock is held ---- */

static void put(struct question *question)
{
        if (--question->refs > 0)
                return;
        mem_free(question->answer.all, question->answer.count * sizeof *question->answer.all);
        mem_free(question, sizeof *question);
}

static void forget(struct question *question)
{
        if (!question->is_kept)
                return;
        question->is_kept = false;
        list_del(&question->kept);
        resolver.kept_len--;
        put(question);
}

/* Makes it one that others may find. Those that are under way are kept in any case; there are never more of
 * them than there are askers, and abandoned ones. */
static void keep(struct question *question)
{
        struct ouro_list *node, *next;

        list_each_safe(node, next, &resolver.kept) {
                struct question *oldest = container_of(node, struct question, kept);

                if (resolver.kept_len < KEPT_MOST)
                        break;
                if (oldest->state == QUESTION_ANSWERED)
                        forget(oldest);
        }
        question->is_kept = true;
        question->refs++;
        list_push(&resolver.kept, &question->kept);
        resolver.kept_len++;
}

static bool is_fit(const struct question *question, int64_t max_age_ns)
{
        int64_t default_ns = question->answer.error < 0 ? NEGATIVE_AGE_NS : POSITIVE_AGE_NS;

        if (question->state != QUESTION_ANSWERED)
                return true;
        return loop_real_ns() - question->answered_ns < (max_age_ns > 0 ? max_age_ns : default_ns);
}

/* What somebody else has asked or is asking; NULL: nothing that serves. */
static struct question *find(const struct question_key *key, int64_t max_age_ns)
{
        for (struct ouro_list *node = resolver.kept.prev; node != &resolver.kept; node = node->prev) {
                struct question *question = container_of(node, struct question, kept);

                if (memcmp(&question->key, key, sizeof *key) != 0)
                        continue;
                if (!is_fit(question, max_age_ns)) {
                        forget(question);
                        return NULL;
                }
                list_del(&question->kept);
                list_push(&resolver.kept, &question->kept);
                question->refs++;
                return question;
        }
        return NULL;
}

/* ---- helpers ---- */

/* A detached thread may outlive the last use of the library, which then must not be unloaded under it.
 * dlopen() is referred to weakly: a static program has none, and unloads nothing. */
static void stay_loaded(void)
{
        static bool done;
        Dl_info info;

        if (done || !dlopen || !dladdr)
                return;
        done = true;
        if (dladdr((void *)(uintptr_t)&resolver, &info) != 0 && info.dli_fname)
                (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/* False: none could be made. The lock is held. */
static bool add_helper(void)
{
        int saved_errno = errno, error; /* the task's: what pthread_create() calls writes it */
        pthread_attr_t attr;
        sigset_t all, old;
        pthread_t thread;

        if (pthread_attr_init(&attr) != 0)
                return false;
        pthread_attr_setstacksize(&attr, STACK_BYTES);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        stay_loaded();
        sigfillset(&all); /* a signal of the program must not be handled there */
        pthread_sigmask(SIG_SETMASK, &all, &old);
        error = pthread_create(&thread, &attr, helper_main, NULL);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        pthread_attr_destroy(&attr);
        errno = saved_errno;
        resolver.threads += error == 0;
        return error == 0;
}

/* The lock is held. False: nobody will see to what is queued. */
static bool rouse(void)
{
        if (resolver.idle > 0)
                pthread_cond_signal(&resolver.work);
        if (resolver.queue_len > resolver.idle && resolver.threads < THREADS_MOST)
                add_helper();
        return resolver.threads > 0;
}

/* NULL: it has been idle long enough. */
static struct question *next_question(void)
{
        struct question *question;
        struct timespec until;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += IDLE_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        while (list_empty(&resolver.queue)) {
                int error;

                resolver.idle++;
                error = pthread_cond_timedwait(&resolver.work, &resolver.lock, &until);
                resolver.idle--;
                if (error != 0 && list_empty(&resolver.queue))
                        return NULL;
        }
        question = container_of(resolver.queue.next, struct question, link);
        list_del(&question->link);
        resolver.queue_len--;
        list_push(&resolver.asked, &question->link);
        question->state = QUESTION_ASKED;
        return question;
}

static void tell(struct question *question)
{
        while (!list_empty(&question->askers)) {
                struct asker *asker = container_of(question->askers.next, struct asker, link);

                list_del(&asker->link);
                asker->listed = false;
                check(loop_send(asker->loop, &asker->message, &asker->message)); /* its task waits there */
        }
}

/* Only what is certain serves others: that a name is there, or that it is not. */
static bool is_worth_keeping(const struct answer *answer)
{
        return answer->error == 0 || answer->error == -ENOENT;
}

static void finish(struct question *question, const struct answer *answer)
{
        list_del(&question->link);
        question->answer = *answer;
        question->answered_ns = loop_real_ns();
        question->state = QUESTION_ANSWERED;
        if (!is_worth_keeping(answer))
                forget(question);
        tell(question);
        put(question);
}

static void *helper_main(void *arg)
{
        struct question *question;

        prctl(PR_SET_NAME, "ouro-names");
        pthread_mutex_lock(&resolver.lock);
        while ((question = next_question())) {
                struct answer answer = {0};

                pthread_mutex_unlock(&resolver.lock);
                system_answer(&question->key, &answer);
                pthread_mutex_lock(&resolver.lock);
                finish(question, &answer);
        }
        resolver.threads--;
        pthread_mutex_unlock(&resolver.lock);
        return arg;
}

/* ---- askers ---- */

static void deliver(struct ouro_loop *loop, struct ouro_message *message)
{
        coro_wake(&loop->sched, container_of(message, struct asker, message)->coro, 0);
}

/* If it is not listed any more, its wake is on the way. */
static void cut(struct sched *sched, struct coro *coro, int interrupt)
{
        struct asker *asker = coro->waiter.what;
        bool was_listed;

        lock();
        was_listed = asker->listed;
        if (was_listed)
                list_del(&asker->link);
        asker->listed = false;
        unlock();
        if (was_listed)
                coro_wake(sched, coro, interrupt);
}

static const struct wait_kind waits_for_answer = {.name = "the address of a name", .cut = cut};

/* A question that nobody waits for any more and no thread has taken up is not asked. The lock is held. */
static void withdraw(struct question *question)
{
        if (question->state != QUESTION_QUEUED || !list_empty(&question->askers))
                return;
        list_del(&question->link);
        resolver.queue_len--;
        question->state = QUESTION_WITHDRAWN; /* several may give it up at the same time: once is enough */
        forget(question);
        put(question); /* the queue's */
}

/* 0 when it is answered, else how the wait was cut short. The lock is held, but not meanwhile. */
static int wait_for_answer(struct question *question)
{
        struct ouro_loop *loop = loop_here();
        struct asker asker = {
                .message.deliver = deliver, .loop = loop, .coro = loop->sched.current, .listed = true};
        int result;

        list_push(&question->askers, &asker.link);
        asker.coro->waiter.what = &asker;
        unlock();
        loop->jobs_out++; /* a thread will wake this loop: its clock must not jump */
        result = (int)coro_wait(&loop->sched, &waits_for_answer);
        loop->jobs_out--;
        lock();
        return result;
}

/* The lock is held. One reference is the caller's, one the queue's. NULL: no memory, or no thread. */
static struct question *ask_anew(const struct question_key *key, bool may_be_shared)
{
        struct question *question = mem_calloc(sizeof *question);

        if (!question)
                return NULL;
        memcpy(&question->key, key, sizeof *key); /* with its padding */
        list_init(&question->askers);
        question->refs = 2;
        list_push(&resolver.queue, &question->link);
        resolver.queue_len++;
        if (may_be_shared)
                keep(question);
        if (rouse())
                return question;
        withdraw(question);
        put(question);
        return NULL;
}

int resolver_ask(const struct question_key *key, int64_t max_age_ns, bool fresh,
                 struct question **ret_question)
{
        struct question *question;
        int result = 0;

        lock();
        question = fresh ? NULL : find(key, max_age_ns);
        if (!question)
                question = ask_anew(key, !fresh);
        if (!question) {
                unlock();
                return -ENOMEM;
        }
        if (question->state != QUESTION_ANSWERED)
                result = wait_for_answer(question);
        if (result < 0) {
                withdraw(question);
                put(question);
        }
        unlock();
        if (result == 0)
                *ret_question = question;
        return result;
}

void question_release(struct question *question)
{
        lock();
        put(question);
        unlock();
}

void ouro_resolve_flush(void)
{
        lock();
        while (!list_empty(&resolver.kept))
                forget(container_of(resolver.kept.next, struct question, kept));
        unlock();
}

unsigned resolver_threads(void)
{
        unsigned threads;

        lock();
        threads = resolver.threads;
        unlock();
        return threads;
}

size_t resolver_kept(void)
{
        size_t kept;

        lock();
        kept = resolver.kept_len;
        unlock();
        return kept;
}
