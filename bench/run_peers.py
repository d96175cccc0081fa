"""run_peers.py - what other runtimes need for the same: Go, Tokio and Boost.Fiber, in the rounds of ours."""
import statistics

from report import row

PEERS = [("go", "tasks_go"), ("tokio", "tasks_tokio"), ("boost fiber", "tasks_fiber")]

# A number of ours, and the text of its row; peers print it under the same name.
NUMBERS = [
    ("yield_2", "yield, 2 tasks"),
    ("yield_64", "yield, 64 tasks"),
    ("yield_4096", "yield, 4,096 tasks"),
    ("create_await", "create + await"),
    ("create_many_warm", "create 1,000,000, await all: warm"),
    ("channel_128", "channel of 128, per message"),
    ("rendezvous", "rendezvous, per message"),
    ("mutex", "mutex, lock + unlock"),
    ("timers", "timer armed + cancelled, 1,000,000 others"),
    ("select_8", "select of 8 channels, one ready"),
    ("select_8_waiting", "select of 8 channels, waiting"),
    ("sleepers_create", "1,000,000 sleepers: create"),
    ("sleepers_cold", "1,000,000 sleepers: life less sleep, cold"),
    ("sleepers_warm", "1,000,000 sleepers: life less sleep, warm"),
    ("sleepers_memory", "1,000,000 sleepers: bytes each"),
    ("chan_shared", "channel between two threads, per message"),
]


def peer_round(bench, core, sleepers):
    """Runs each peer once, and keeps what it prints as PEER/NUMBER."""
    for peer, program in PEERS:
        if not bench.has(program):
            continue
        pinned = ["taskset", "-c", str(core), bench.path(program)]
        if sleepers and program != "tasks_fiber":  # which would need a mapping for each
            pinned.append("--sleepers")
        for command in (pinned, [bench.path(program), "--two"]):
            for name, fields in bench.lines(command).items():
                bench.keep(f"{peer}/{name}", fields)


def add_peer_rows(bench):
    """Ours over theirs, round by round."""
    for name, text in NUMBERS:
        ours = bench.samples.get(name, [])
        for peer, _ in PEERS:
            theirs = bench.samples.get(f"{peer}/{name}", [])
            pairs = list(zip(ours, theirs))
            if not pairs:
                continue
            unit = "bytes" if "bytes" in pairs[0][0] else "ns"
            row(bench, text, unit, statistics.median(our[unit] for our, _ in pairs),
                statistics.median(their[unit] for _, their in pairs), peer,
                [our[unit] / their[unit] for our, their in pairs], None, None)
