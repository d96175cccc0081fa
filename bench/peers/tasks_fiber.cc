// tasks_fiber.cc - what bench/ measures of tasks, with Boost.Fiber. Prints a line for each number: NAME ns=...
//
// With --two: messages from one thread to another.
#include <boost/fiber/all.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace fibers = boost::fibers;
using timing = std::chrono::steady_clock;

static void tell(const char *name, timing::time_point start, long n)
{
        double ns = std::chrono::duration<double, std::nano>(timing::now() - start).count();

        std::printf("%s ns=%.3f\n", name, ns / static_cast<double>(n));
}

static void yield(const char *name, long tasks, long switches)
{
        std::vector<fibers::fiber> others;
        long turns = switches / tasks;
        bool stop = false;

        for (long i = 1; i < tasks; i++)
                others.emplace_back(fibers::launch::post, [&stop] {
                        while (!stop)
                                boost::this_fiber::yield();
                });
        boost::this_fiber::yield();
        auto start = timing::now();
        for (long i = 0; i < turns; i++)
                boost::this_fiber::yield();
        tell(name, start, turns * tasks);
        stop = true;
        for (auto &other : others)
                other.join();
}

static void create_await(long n)
{
        fibers::pooled_fixedsize_stack stacks(64 * 1024);
        long sum = 0;
        auto start = timing::now();

        for (long i = 0; i < n; i++) {
                long result = -1;

                fibers::fiber(fibers::launch::post, std::allocator_arg, stacks, [&result, i] { result = i; }).join();
                sum += result;
        }
        tell("create_await", start, n);
        if (sum != n * (n - 1) / 2)
                std::abort();
}

template <class Channel> static void receive(const char *name, Channel &channel, long n)
{
        auto start = timing::now();
        fibers::fiber sender(fibers::launch::post, [&channel, n] {
                for (std::int64_t i = 0; i < n; i++)
                        channel.push(i);
        });
        std::int64_t item = -1;

        for (std::int64_t i = 0; i < n; i++)
                if (channel.pop(item) != fibers::channel_op_status::success || item != i)
                        std::abort();
        tell(name, start, n);
        sender.join();
}

static void shared(long n)
{
        fibers::buffered_channel<std::int64_t> channel(1024);
        std::thread sender([&channel, n] {
                for (std::int64_t i = 0; i < n; i++)
                        channel.push(i);
        });
        std::int64_t item = -1;
        auto start = timing::now();

        for (std::int64_t i = 0; i < n; i++)
                if (channel.pop(item) != fibers::channel_op_status::success || item != i)
                        std::abort();
        tell("chan_shared", start, n);
        sender.join();
}

static void mutex(long n)
{
        fibers::mutex lock;
        auto start = timing::now();

        for (long i = 0; i < n; i++) {
                lock.lock();
                lock.unlock();
        }
        tell("mutex", start, n);
}

int main(int argc, char **argv)
{
        if (argc > 1 && std::strcmp(argv[1], "--two") == 0) {
                shared(2000000);
                return 0;
        }


        fibers::buffered_channel<std::int64_t> buffered(128);
        fibers::unbuffered_channel<std::int64_t> unbuffered;

        yield("yield_2", 2, 2000000);
        yield("yield_64", 64, 2000000);
        yield("yield_4096", 4096, 2000000);
        create_await(500000);
        receive("channel_128", buffered, 1000000);
        receive("rendezvous", unbuffered, 1000000);
        mutex(2000000);
        return 0;
}
