/* sanitize.h - what the sanitizers, Valgrind and the C++ runtime must be told of a switch.
 *
 * The one header with #if about them: everything else calls these. */
#ifndef OURO_CORO_SANITIZE_H
#define OURO_CORO_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OURO_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define OURO_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define OURO_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define OURO_TSAN 1
#endif

/* Valgrind cannot run a program of another sanitizer. There its requests are left out, also because gcc 12
 * crashes where the array that each of them has is inlined into a function that ASan is told to leave alone.
 */
#if defined(__has_include) && !defined(OURO_ASAN) && !defined(OURO_TSAN)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#define OURO_VALGRIND 1
#endif
#endif

#ifdef OURO_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef OURO_TSAN
#include <sanitizer/tsan_interface.h>
#define sanitize_not_instrumented __attribute__((no_sanitize("thread")))
#else
#define sanitize_not_instrumented
#endif

/* A stack, as a sanitizer sees it. tsan: its fiber, NULL where there is none. */
struct sanitize_stack {
        const void *bottom;
        size_t bytes;
        void *tsan;
};

static inline bool sanitize_active(void)
{
#if defined(OURO_ASAN) || defined(OURO_TSAN)
        return true;
#else
        return false;
#endif
}

/* The last act on the old stack. ret_fake NULL: the old one will not be resumed. */
static inline __attribute__((always_inline)) void sanitize_leave(void **ret_fake, struct sanitize_stack to)
{
#ifdef OURO_ASAN
        __sanitizer_start_switch_fiber(ret_fake, to.bottom, to.bytes);
#elif defined(OURO_TSAN)
        __tsan_switch_to_fiber(to.tsan, 0);
#endif
        (void)ret_fake, (void)to;
}

/* The first act on the new stack, with what sanitize_leave() gave when it was left; NULL if it is fresh.
 * ret_left: the stack we come from. */
static inline __attribute__((always_inline)) void sanitize_arrive(void *fake, struct sanitize_stack *ret_left)
{
#ifdef OURO_ASAN
        __sanitizer_finish_switch_fiber(fake, &ret_left->bottom, &ret_left->bytes);
#endif
        (void)fake, (void)ret_left;
}

/* A new stack, made known. Returns what sanitize_stack_forget() needs, and TSan its fiber. */
static inline uintptr_t sanitize_stack_register(char *base, size_t bytes)
{
#ifdef OURO_TSAN
        (void)base, (void)bytes;
        return (uintptr_t)__tsan_create_fiber(0);
#elif defined(OURO_VALGRIND)
        return RUNNING_ON_VALGRIND ? VALGRIND_STACK_REGISTER(base, base + bytes) : 0;
#else
        (void)base, (void)bytes;
        return 0;
#endif
}

static inline void sanitize_stack_forget(uintptr_t tool)
{
#ifdef OURO_TSAN
        __tsan_destroy_fiber((void *)tool);
#elif defined(OURO_VALGRIND)
        if (RUNNING_ON_VALGRIND)
                VALGRIND_STACK_DEREGISTER((unsigned)tool);
#endif
        (void)tool;
}

static inline void *sanitize_fiber_current(void)
{
#ifdef OURO_TSAN
        return __tsan_get_current_fiber();
#else
        return NULL;
#endif
}

#ifdef OURO_TSAN
static __attribute__((unused)) char sanitize_mappings; /* its address stands for them */
#endif

/* Memory is mapped, and unmapped, by system calls that TSan does not see: whoever finds the same address
 * mapped anew comes after whoever had it before. */
static inline void sanitize_memory_mapped(void)
{
#ifdef OURO_TSAN
        __tsan_acquire(&sanitize_mappings);
#endif
}

static inline void sanitize_memory_unmapped(void)
{
#ifdef OURO_TSAN
        __tsan_release(&sanitize_mappings);
#endif
}

/* TSan follows descriptors, and must see each close(2): one by the ring would leave the number to its last
 * user. */
static inline bool sanitize_sees_close(void)
{
#ifdef OURO_TSAN
        return true;
#else
        return false;
#endif
}

/* ASan remembers what was poisoned on a stack that is used anew or unmapped. */
static inline void sanitize_unpoison(const void *base, size_t bytes)
{
#ifdef OURO_ASAN
        __asan_unpoison_memory_region(base, bytes);
#endif
        (void)base, (void)bytes;
}

static inline bool sanitize_on_valgrind(void)
{
#ifdef OURO_VALGRIND
        return RUNNING_ON_VALGRIND;
#else
        return false;
#endif
}

/* A copy of this process is about to exit: Valgrind would look for leaks in all that is mapped, and fill an
 * arena with pages by reading it. */
static inline __attribute__((always_inline)) void sanitize_before_exit_of_copy(void)
{
#if defined(OURO_VALGRIND) && defined(VALGRIND_CLO_CHANGE)
        if (RUNNING_ON_VALGRIND)
                VALGRIND_CLO_CHANGE("--leak-check=no");
#endif
}

/* Somebody whom Valgrind does not see has written these bytes. */
static inline void sanitize_defined(void *base, size_t bytes)
{
#ifdef OURO_VALGRIND
        (void)VALGRIND_MAKE_MEM_DEFINED(base, bytes);
#endif
        (void)base, (void)bytes;
}

/* The same of a vector, which holds bytes in order. */
static inline void sanitize_vector_defined(const struct iovec *iov, size_t n, size_t bytes)
{
        for (size_t i = 0; i < n && bytes > 0; i++) {
                size_t part = iov[i].iov_len < bytes ? iov[i].iov_len : bytes;

                sanitize_defined(iov[i].iov_base, part);
                bytes -= part;
        }
}

/* The same of a message; its address and control data are whole. */
static inline void sanitize_message_defined(struct msghdr *message, size_t bytes)
{
        sanitize_defined(message, sizeof *message);
        sanitize_defined(message->msg_name, message->msg_namelen);
        sanitize_defined(message->msg_control, message->msg_controllen);
        sanitize_vector_defined(message->msg_iov, message->msg_iovlen, bytes);
}

#endif
