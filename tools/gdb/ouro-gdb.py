"""ouro-gdb.py - look at the tasks of a program that is stopped in gdb.

    (gdb) source ouro-gdb.py
    (gdb) ouro tasks            every task that lives: slot, state, for how long it has waited (up to when its loop last
                                looked at its clock), its parent's slot, name, where it was created
    (gdb) ouro bt SLOT          the stack of a suspended task
    (gdb) ouro locals SLOT      the task-locals of a task: name and value

The library must have been built with debug information. Works on a live process and on a core; on a core gdb
cannot set registers, so `ouro bt` needs a live process.
"""
import gdb

ALIVE = 1
STACK_NONE = 0xFFFFFFFF
STACK_POINTER, PROGRAM_COUNTER = "$sp", "$pc"


def value(expression):
    return gdb.parse_and_eval(expression)


def living_tasks():
    """Each task that has not ended, from all loops."""
    chunks = int(value("task_chunks"))
    size = int(value("(int)CHUNK_TASKS"))
    directory = value("task_directory")
    for i in range(chunks):
        if int(directory[i]["loop"]) == 0:
            continue
        records = directory[i]["records"]
        for k in range(size):
            task = records[k]
            if int(task["state"]) == ALIVE:
                yield task


def text(pointer, otherwise):
    return pointer.string() if int(pointer) else otherwise


def has_stack(task):
    return int(task["coro"]["stack"]) != STACK_NONE


def state(task):
    wait = task["coro"]["wait"]
    if int(wait):
        return "waits for " + text(wait["name"], "?")
    return "ready or running" if has_stack(task) else "has not begun"


def waited(task):
    """For how long, by the clock of its loop."""
    if not int(task["coro"]["wait"]):
        return ""
    chunk = value("task_directory")[int(task["slot"]) // int(value("(int)CHUNK_TASKS"))]
    ns = int(chunk["loop"]["sched"]["look_ns"]) - int(task["coro"]["waiting_since_ns"])
    return f"{ns / 1e6:.1f} ms"


def parent(task):
    """The slot of the owner of its group; nothing for members of the run itself."""
    owner = task["group"]["context"]["owner"]
    return int(owner.cast(task.type.pointer())["slot"]) if int(owner) else ""


def site(task):
    where = task["site"]
    if not int(where["file"]):
        return ""
    return f"{text(where['function'], '?')}, {text(where['file'], '?')}:{int(where['line'])}"


def locals_of(task):
    """Key and value of each."""
    if not int(task["coro"]["flags"]) & int(value("(int)TASK_MORE")):
        return
    found = task["site"].cast(gdb.lookup_type("struct task_more").pointer())["locals"]
    for i in range(int(found["n"]) if int(found) else 0):
        yield found["values"][i]["key"], found["values"][i]["value"]


def find(slot):
    for task in living_tasks():
        if int(task["slot"]) == slot:
            return task
    raise gdb.GdbError(f"no task lives in slot {slot}")


class Ouro(gdb.Command):
    """Look at ouro's tasks: ouro tasks, ouro bt SLOT, ouro locals SLOT."""

    def __init__(self):
        super().__init__("ouro", gdb.COMMAND_STATUS, prefix=True)


class Tasks(gdb.Command):
    """List every task that lives."""

    def __init__(self):
        super().__init__("ouro tasks", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for task in living_tasks():
            name = text(task["site"]["name"], "?")
            line = f"{int(task['slot']):8}  {state(task):32}  {waited(task):>12}  {parent(task):>8}  {name}  {site(task)}"
            print(line.rstrip())


def find_asked(argument, usage):
    try:
        return find(int(argument, 0))
    except ValueError:
        raise gdb.GdbError(f"usage: {usage}")


class Locals(gdb.Command):
    """Show the task-locals of a task: ouro locals SLOT."""

    def __init__(self):
        super().__init__("ouro locals", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for key, held in locals_of(find_asked(argument, "ouro locals SLOT")):
            print(f"{text(key['name'], '?')} = {int(held):#x}")


class Backtrace(gdb.Command):
    """Show the stack of a suspended task: ouro bt SLOT."""

    def __init__(self):
        super().__init__("ouro bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        task = find_asked(argument, "ouro bt SLOT")
        if not int(task["coro"]["wait"]) or not has_stack(task):
            raise gdb.GdbError("it is not suspended: " + state(task))
        gdb.execute("frame 0", to_string=True)
        saved = [(name, int(value(f"(unsigned long){name}"))) for name in (STACK_POINTER, PROGRAM_COUNTER)]
        try:
            gdb.execute(f"set {STACK_POINTER} = {int(task['coro']['sp'])}")
            gdb.execute(f"set {PROGRAM_COUNTER} = {int(value('(unsigned long)&switch_resume'))}")
            gdb.execute("backtrace")
        finally:
            for name, number in saved:
                gdb.execute(f"set {name} = {number}")


Ouro()
Tasks()
Locals()
Backtrace()
