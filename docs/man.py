#!/usr/bin/env python3
"""man.py - man pages from the comments of the public headers, so that the two cannot part.

A comment that opens with two stars documents the declaration or macro that follows:

    /**
     * name - summary
     * @parameter: text
     *
     * Paragraphs. Returns: text. Threads: text.
     */

"Returns:" and "Threads:" begin a section wherever they stand, up to the end of the paragraph; indented
lines "-EBADF: text" become a list. Each name gives a page of section 3. The first header's opening comment,
with an index of all names, gives a page of section 7 that bears the header's name.

usage: man.py --list HEADER...                            the names of the pages
       man.py --check HEADER...                           tell what is undocumented or misnamed
       man.py --version V --output DIRECTORY HEADER...    write the pages"""
import argparse
import os
import re
import sys

COMMENT = re.compile(r"/\*\*\n(.*?)\*/\s*", re.S)
HEADLINE = re.compile(r"(\w+) - (.+)", re.S)
ROOM = re.compile(r"/\* -+ (.*?) -+ \*/")
MARK = re.compile(r"(?:^|(?<=\s))(Returns|Threads):\s+")
ITEM = re.compile(r"\s+((?:-E\w+(?:, )?)+): (.*)")
FUNCTION = re.compile(r"^OURO_API\s+([^;]*?(\w+)\([^;]*\)[^;]*);", re.M)
HIDDEN_ROOM = "what the macros stand on"  # public for the linker alone


class Header:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.path = path
        self.name = path[path.rindex("include/") + len("include/"):]
        instead = re.search(r'#error "include (\S+) instead"', self.text)
        self.include = instead[1] if instead else self.name
        own = re.search(r"library of its own: lib([\w-]+)", self.text)
        self.library = own[1] if own else "ouro"
        self.entries = [Entry(self, match) for match in COMMENT.finditer(self.text)]
        self.problems = [f"{path}: {entry.name}: {entry.problem}" for entry in self.entries if entry.problem]

    def room(self, position):
        found = [match for match in ROOM.finditer(self.text) if match.start() < position]
        return found[-1][1].strip() if found else ""

    def functions(self):
        """Names of all exported functions that people call."""
        for match in FUNCTION.finditer(self.text):
            if self.room(match.start()) != HIDDEN_ROOM:
                yield match[2]

    def opening(self):
        """The summary and the body of the header's first comment."""
        lines = unstar(re.match(r"/\*(.*?)\*/", self.text, re.S)[1])
        return lines[0].strip().split(" - ", 1)[1], lines[1:]


class Entry:
    """One documented name."""

    def __init__(self, header, match):
        self.header, self.room, self.problem = header, header.room(match.start()), ""
        lines = unstar(match[1])
        head, parameters, body = cut(lines)
        headline = HEADLINE.match(" ".join(head))
        if not headline:
            raise SystemExit(f"{header.path}: not a headline: {head}")
        self.name, self.summary = headline[1], headline[2]
        self.parameters = parameters
        self.sections = sections(body)
        self.synopsis = self.declaration(match.end())

    def declaration(self, end):
        text = self.header.text[end:]
        if match := re.match(r"(?:OURO_API|static inline)\s+([^;{]*?)\s*[;{]", text):
            declared = re.search(r"(\w+)\(", match[1])[1]
            self.check(declared == self.name, f"documents {declared}")
            declaration = re.sub(r"\s*__attribute__\s*\(\(.*\)\)$", "", match[1], flags=re.S)
            named = re.findall(r"(\w+)(?:\[\d*\])?\s*(?:,|\)$)", declaration[declaration.index("("):])
            named = [] if named == ["void"] else named
            described = [name for name, _ in self.parameters]
            self.check(named == described, f"has the parameters {named}, described are {described}")
            return re.sub(r"\s+", " ", declaration) + ";"
        if behind := re.search(rf"OURO_API\s+([^;]*?)\b{self.name}_named(\([^;]*), const char \*name\);",
                               re.sub(r"\s+", " ", self.header.text)):
            return behind[1].split("OURO_API")[-1].lstrip() + self.name + behind[2] + ");"
        macro = re.search(rf"^#define {self.name}(\([^)]*\))?", self.header.text, re.M)
        self.check(macro, "is neither declared nor defined")
        return (self.name + (macro[1] or "")) if macro else ""

    def check(self, condition, problem):
        if not condition and not self.problem:
            self.problem = problem

    def types(self, headers):
        """Definitions of the types that the caller fills in or reads, and of those that their fields have."""
        prose = " ".join(line for part in self.sections.values() for lines in part for line in lines)
        text = " ".join([self.synopsis, prose] + [text for _, text in self.parameters])
        names = dict.fromkeys(types_in(text) + re.findall(r"\b(ouro_\w*fn|ouro_task)\b(?![_(])", self.synopsis))
        found = {}
        while names:
            name = next(iter(names))
            names.pop(name)
            found[name] = definition(headers, name)
            if found[name]:
                fields = types_in(found[name]) + re.findall(r"\b(ouro_\w*fn) \*", found[name])
                names.update(dict.fromkeys(field for field in fields if field not in found))
        return [text for text in found.values() if text]


def types_in(text):
    """Names of the types in it that people fill in or read."""
    names = re.findall(r"struct (ouro_(?:\w+_)?(?:options|info)|ouro_(?:allocator|cancellation|case|in|out|limit|local|outcome|report|stats))\b", text)
    return names + re.findall(r"enum (ouro_\w+)", text)


def definition(headers, name):
    """A type's definition as it stands in a header."""
    for pattern in (
        rf"^(?:struct|enum) {name} \{{.*?^\}};",
        rf"^typedef struct \{{[^}}]*\}} {name};",
        rf"^typedef [^;{{]*\b{name}(?:\([^;]*)?;",
    ):
        for header in headers:
            if match := re.search(pattern, header.text, re.S | re.M):
                return match[0]
    return ""


def unstar(comment):
    return [re.sub(r"^ \* ?", "", line.rstrip()).rstrip() for line in comment.strip("\n").split("\n") if line.strip()]


def cut(lines):
    """Splits a comment into its headline, its parameters and its body."""
    head, parameters = [], []
    lines = [re.sub(r"^ ?\*$", "", line) for line in lines]
    while lines and lines[0]:
        line = lines.pop(0)
        if match := re.match(r"@(\w+): (.*)", line):
            parameters.append([match[1], match[2]])
        elif MARK.match(line):
            lines.insert(0, line)
            break
        elif parameters:
            parameters[-1][1] += " " + line.strip()
        else:
            head.append(line.strip())
    return head, parameters, lines


def sections(lines):
    """{section: [paragraph]}, a paragraph being a list of lines. "" is the description."""
    found = {"": [], "Returns": [], "Threads": []}
    part, paragraph = "", []

    def end_paragraph(next_part):
        nonlocal part, paragraph
        if paragraph:
            found[part].append(paragraph)
        part, paragraph = next_part, []

    for line in lines:
        if not line:
            end_paragraph("")
            continue
        while mark := MARK.search(line):
            if line[: mark.start()].strip():
                paragraph.append(line[: mark.start()].rstrip())
            end_paragraph(mark[1])
            line = line[mark.end():]
        if line:
            paragraph.append(line)
    end_paragraph("")
    return found


def escaped(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def prose(text, names):
    """Escaped text with names of functions, macros and other pages in bold."""
    text = escaped(text)
    text = re.sub(r"\b([a-z]\w*)\(([2-8])\)", r"\\fB\1\\fR(\2)", text)
    text = re.sub(r"\b(ouro_\w+)\(\)", lambda m: rf"\fB{m[1]}\fR(3)" if m[1] in names else rf"\fB{m[1]}\fR()", text)
    return re.sub(r"\b(OURO_\w+)", r"\\fB\1\\fR", text)


def paragraphs(part, names):
    """Lines of roff for the paragraphs of one section."""
    for lines in part:
        yield ".PP"
        pending, in_list = [], False
        for line in lines:
            item = ITEM.fullmatch(line)
            if item:
                if pending:
                    yield prose(" ".join(pending), names)
                yield ".TP"
                yield prose(item[1], names)
                pending, in_list = [item[2]], True
            else:
                pending.append(line.strip())
        if pending:
            yield prose(" ".join(pending), names)
        if in_list:
            yield ".PP"


def without_empty(lines):
    """Drops .PP where it would separate nothing."""
    lines = list(lines)
    for i, line in enumerate(lines):
        nothing_before = i > 0 and lines[i - 1].startswith((".SH", ".PP"))
        nothing_after = i + 1 == len(lines) or lines[i + 1].startswith((".SH", ".PP"))
        if line != ".PP" or not (nothing_before or nothing_after):
            yield line


def verbatim(text):
    return [".PP", ".in +4n", ".EX", escaped(text), ".EE", ".in"]


def function_page(entry, headers, names, version):
    lines = [f'.TH {entry.name} 3 "" "ouro {version}" "ouro"', ".SH NAME",
             f"{entry.name} \\- {prose(entry.summary, names)}",
             ".SH LIBRARY", escaped(f"{entry.header.library} (lib{entry.header.library}, -l{entry.header.library})"),
             ".SH SYNOPSIS", ".nf",
             f"\\fB#include <{entry.header.include}>\\fR", ".fi", ".PP", ".nf", f"\\fB{escaped(entry.synopsis)}\\fR",
             ".fi", ".SH DESCRIPTION"]
    first, *others = entry.sections[""] or [[f"{entry.name}() - {entry.summary}".rstrip(".") + "."]]
    lines += [".PP", *paragraphs([first], names)]
    if entry.parameters:
        lines.append(".PP")
        for name, text in entry.parameters:
            lines += [".TP", f"\\fI{escaped(name)}\\fR", prose(text, names)]
    lines += paragraphs(others, names)
    for part, title in (("Returns", "RETURN VALUE"), ("Threads", "THREADS")):
        if entry.sections[part]:
            lines += [f".SH {title}", *paragraphs(entry.sections[part], names)]
    if types := entry.types(headers):
        lines.append(".SH TYPES")
        for text in types:
            lines += verbatim(text)
    said = " ".join(line for part in entry.sections.values() for paragraph in part for line in paragraph)
    also = [name for name in dict.fromkeys(re.findall(r"\b(?:ouro_\w+(?=\(\))|OURO_\w+)", entry.summary + " " + said))
            if name in names and name != entry.name]
    lines += [".SH SEE ALSO"] + [f"\\fB{name}\\fR(3)," for name in also] + ["\\fBouro\\fR(7)"]
    return "\n".join(without_empty(lines)) + "\n"


def overview_page(headers, names, version):
    name = os.path.splitext(headers[0].name)[0]
    includes = dict.fromkeys(header.include for header in headers)
    summary, body = headers[0].opening()
    lines = [f'.TH {name} 7 "" "ouro {version}" "ouro"', ".SH NAME", f"{name} \\- {prose(summary, names)}",
             ".SH SYNOPSIS", ".nf", *[f"\\fB#include <{include}>\\fR" for include in includes], ".fi",
             ".PP", "cc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs ouro)", ".SH DESCRIPTION", ".PP"]
    for line in body:
        term = re.match(r"  ([A-Z]\w+) +(\S.*)", line)
        if term:
            lines += [".TP", f"\\fB{term[1]}\\fR", prose(term[2], names)]
        elif line in ("", " *"):
            lines.append(".PP")
        else:
            lines.append(prose(line.strip(), names))
    room = None
    for header in headers:
        for entry in header.entries:
            if (header, entry.room) != room:
                room = (header, entry.room)
                lines += [f'.SH {prose(entry.room.upper() or header.name, names)}']
            lines += [".TP", f"\\fB{entry.name}\\fR(3)", prose(entry.summary, names)]
    return "\n".join(without_empty(lines)) + "\n"


def problems(headers, names):
    for header in headers:
        yield from header.problems
        for function in header.functions():
            if function not in names:
                yield f"{header.path}: {function}: no comment documents it"
        for entry in header.entries:
            shown = " ".join(entry.types(headers))
            for kind in re.findall(r"see (struct \w+)", " ".join(text for _, text in entry.parameters)):
                if f"{kind} {{" not in shown:
                    yield f"{header.path}: {entry.name}: {kind} is not shown"
    listed = [entry.name for header in headers for entry in header.entries]
    for name in names:
        if listed.count(name) > 1:
            yield f"{name}: documented {listed.count(name)} times"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--version")
    parser.add_argument("--output")
    parser.add_argument("headers", nargs="+")
    options = parser.parse_args()
    headers = [Header(path) for path in options.headers]
    names = {entry.name: entry for header in headers for entry in header.entries}
    overview = os.path.splitext(headers[0].name)[0] + ".7"

    if options.list:
        print("\n".join([overview] + [name + ".3" for name in names]))
    elif options.check:
        found = list(problems(headers, names))
        print("\n".join(found + [f"{len(names)} names, {len(found)} problems"]))
        return 1 if found else 0
    else:
        pages = {name + ".3": function_page(entry, headers, names, options.version) for name, entry in names.items()}
        pages[overview] = overview_page(headers, names, options.version)
        for page, text in pages.items():
            with open(os.path.join(options.output, page), "w", encoding="utf-8") as file:
                file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
