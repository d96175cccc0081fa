// tasks_go.go - what bench/ measures of tasks, with goroutines. Prints a line for each number: NAME ns=...
//
// One thread runs goroutines; with --two, two run them and pass messages. --sleepers: a million of them, too.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

func tell(name string, took time.Duration, n int) {
	fmt.Printf("%s ns=%.3f\n", name, float64(took.Nanoseconds())/float64(n))
}

func yield(name string, tasks, switches int) {
	var group sync.WaitGroup
	stop := false
	turns := switches / tasks
	for i := 1; i < tasks; i++ {
		group.Add(1)
		go func() {
			for !stop {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	runtime.Gosched()
	start := time.Now()
	for i := 0; i < turns; i++ {
		runtime.Gosched()
	}
	took := time.Since(start)
	stop = true
	group.Wait()
	tell(name, took, turns*tasks)
}

func createAwait(n int) {
	result := make(chan int, 1)
	start := time.Now()
	for i := 0; i < n; i++ {
		go func(i int) { result <- i }(i)
		if <-result != i {
			panic("a wrong result")
		}
	}
	tell("create_await", time.Since(start), n)
}

func createMany(n int) {
	results := make([]int, n)
	for round := 0; round < 3; round++ { // the last is told: warm
		var group sync.WaitGroup
		group.Add(n)
		start := time.Now()
		for i := 0; i < n; i++ {
			go func(i int) {
				results[i] = i
				group.Done()
			}(i)
		}
		group.Wait()
		if round == 2 {
			tell("create_many_warm", time.Since(start), n)
		}
	}
}

func stream(name string, capacity, n int) {
	c := make(chan int64, capacity)
	start := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			c <- int64(i)
		}
	}()
	for i := 0; i < n; i++ {
		if <-c != int64(i) {
			panic("a wrong message")
		}
	}
	tell(name, time.Since(start), n)
}

func mutex(n int) {
	var lock sync.Mutex
	start := time.Now()
	for i := 0; i < n; i++ {
		lock.Lock()
		lock.Unlock()
	}
	tell("mutex", time.Since(start), n)
}

func timers(others, n int) {
	armed := make([]*time.Timer, others)
	for i := range armed {
		armed[i] = time.NewTimer(time.Hour + time.Duration(i)*time.Millisecond)
	}
	start := time.Now()
	for i := 0; i < n; i++ {
		timer := time.NewTimer(time.Duration(1+i*37%64*64) * time.Millisecond)
		timer.Stop() // one that a busy machine let fire has cost as much
	}
	tell("timers", time.Since(start), n)
	for _, timer := range armed {
		timer.Stop()
	}
}

func receiveAny(c *[8]chan int64) int64 {
	select {
	case item := <-c[0]:
		return item
	case item := <-c[1]:
		return item
	case item := <-c[2]:
		return item
	case item := <-c[3]:
		return item
	case item := <-c[4]:
		return item
	case item := <-c[5]:
		return item
	case item := <-c[6]:
		return item
	case item := <-c[7]:
		return item
	}
}

// One channel is ready at a time; then a rendezvous, where each side waits.
func select8(n int) {
	var c [8]chan int64
	for i := range c {
		c[i] = make(chan int64, 1)
	}
	start := time.Now()
	for i := 0; i < n; i++ {
		c[i*3%8] <- int64(i)
		if receiveAny(&c) != int64(i) {
			panic("a wrong message")
		}
	}
	tell("select_8", time.Since(start), n)
	for i := range c {
		c[i] = make(chan int64)
	}
	start = time.Now()
	go func() {
		for i := 0; i < n; i++ {
			c[i%8] <- int64(i)
		}
	}()
	for i := 0; i < n; i++ {
		if receiveAny(&c) != int64(i) {
			panic("a wrong message")
		}
	}
	tell("select_8_waiting", time.Since(start), n)
}

func residentBytes() int64 {
	text, _ := os.ReadFile("/proc/self/status")
	total := int64(0)
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "VmRSS:") || strings.HasPrefix(line, "VmPTE:") {
			kib, _ := strconv.ParseInt(strings.Fields(line)[1], 10, 64)
			total += kib * 1024
		}
	}
	return total
}

func sleepers(n int) {
	for round := 0; round < 2; round++ { // the second is told: warm
		var group sync.WaitGroup
		group.Add(n)
		asleep := 0
		before := residentBytes()
		start := time.Now()
		wake := start.Add(12 * time.Second)
		for i := 0; i < n; i++ {
			go func() {
				asleep++
				time.Sleep(time.Until(wake))
				group.Done()
			}()
		}
		created := time.Since(start)
		for asleep < n {
			runtime.Gosched()
		}
		fell := time.Since(start)
		bytes := residentBytes() - before
		group.Wait()
		life := fell + time.Since(wake)
		if round == 0 {
			fmt.Printf("sleepers_memory bytes=%d\n", bytes/int64(n))
			tell("sleepers_cold", life, n)
		} else {
			tell("sleepers_create", created, n)
			tell("sleepers_warm", life, n)
		}
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--two" {
		runtime.GOMAXPROCS(2)
		stream("chan_shared", 1024, 2000000)
		return
	}
	runtime.GOMAXPROCS(1)
	yield("yield_2", 2, 2000000)
	yield("yield_64", 64, 2000000)
	yield("yield_4096", 4096, 2000000)
	createAwait(500000)
	createMany(1000000)
	stream("channel_128", 128, 1000000)
	stream("rendezvous", 0, 1000000)
	mutex(2000000)
	timers(1000000, 500000)
	select8(500000)
	if len(os.Args) > 1 && os.Args[1] == "--sleepers" {
		sleepers(1000000)
	}
}
