# SPDX-License-Identifier: MIT
"""A public header, as scdoc. What it declares becomes a list: the declarations that stand together are the term, the
comment before them is the text. What it cannot read is an error.

In comments

    /* ---- Title ---- ... */   begins a section, with what follows as its text
    lines that are indented     are shown as they are
    name   what it is           with two spaces or more, is an item of a list; further lines of it are indented
    `code`, names()             and the header's own names in capitals are shown in bold

The first comment, the licence, and the preprocessor's conditions are left out; so are the macros of INTERNAL.
"""

import re

import scdoc
from scdoc import beginning, bold, definition, escape, literal

INTERNAL = {"PROCPOOL_PUBLIC", "PROCPOOL_PRINTF"}
ATTRIBUTES = re.compile(r"\bPROCPOOL_PUBLIC\b|\bPROCPOOL_PRINTF\(\d+, \d+\)")
NAMES = re.compile(r"`([^`]+)`|(\bprocpool_\w+\(\)|\bPROCPOOL_[A-Z0-9_]+(?:\(\))?)|(<procpool[\w/]*\.h>)")


class Unreadable(ValueError):
    pass


# ---- comments ----


def inline(text):
    result, end = "", 0
    for match in NAMES.finditer(text):
        result += scdoc.prose(text[end:match.start()]) + bold(match[1] or match[2] or match[3])
        end = match.end()
    return result + scdoc.prose(text[end:])


def comment_lines(comment):
    """Its text, without what makes it a comment."""
    lines = comment.removeprefix("/*").removesuffix("*/").split("\n")
    lines = [lines[0].strip()] + [re.sub(r"^\s*\* ?", "", line).rstrip() for line in lines[1:]]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def paragraphs(lines):
    """Runs of lines that are indented, or not, without the empty ones between them."""
    run = []
    for line in lines + [""]:
        if line and not (run and is_indented(run[0]) != is_indented(line) and not is_item(run[0])):
            run.append(line)
            continue
        if run:
            yield run
        run = [line] if line else []


def is_indented(line):
    return line.startswith(("\t", "  "))


def is_item(line):
    return re.match(r"\S+(, \S+)*  +\S", line)


def items(run):
    result, term, text = [], None, []
    for line in run + [None]:
        item = line and re.match(r"(\S+(?:, \S+)*)  +(\S.*)", line)
        if line is None or item:
            if term:
                result += definition(bold(term), [inline(" ".join(text))])
            if item:
                term, text = item[1], [item[2]]
        elif is_indented(line):
            text.append(line.strip())
        else:
            raise Unreadable(f"a list that goes on without an indentation: {line!r}")
    return result


def prose(lines):
    result = []
    for run in paragraphs(lines):
        if is_item(run[0]):
            result += items(run)
        elif is_indented(run[0]):
            indent = min(len(line) - len(line.lstrip()) for line in run)
            result += literal([line[indent:] for line in run])
        else:
            result += [beginning(inline(line)) for line in run] + [""]
    return result


# ---- declarations ----

TOKEN = re.compile(r"(?P<comment>/\*.*?\*/)|(?P<blank>\n[ \t]*\n)|(?P<define>#\s*define(?:\\\n|[^\n])*)"
                   r"|(?P<skip>#\s*(?:if|ifdef|else|endif|include|pragma)\b(?:\\\n|[^\n])*)|(?P<space>\s+)", re.DOTALL)


def declaration_end(text, start):
    """Behind the semicolon outside of braces; an inline function ends with its body."""
    depth, i = 0, start
    while i < len(text):
        if text.startswith("/*", i):
            i = text.index("*/", i) + 1
        elif text[i] in "{(":
            depth += 1
        elif text[i] in "})":
            depth -= 1
        elif text[i] == ";" and depth == 0:
            return i + 1
        i += 1
    raise Unreadable(f"a declaration that does not end: {text[start:start + 60]!r}")


def tokens(text):
    """What each is, its text, and whether it stands behind another in its line."""
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        kind = match.lastgroup if match else "declaration"
        end = match.end() if match else declaration_end(text, position)
        if kind != "space":
            yield kind, text[position:end], bool(text[text.rfind("\n", 0, position) + 1:position].strip())
        position = end


def one_line(text):
    return " ".join(ATTRIBUTES.sub("", text).split())


def function(text):
    """The declaration with the function's name, or the type's, in bold."""
    text = one_line(text)
    match = re.match(r"(.*?)(\(\*)?\b(procpool_\w+)(\)?)(\(.*)", text)
    if not match:
        raise Unreadable(f"a declaration that is not known: {text!r}")
    before, pointer, name, after, rest = match.groups()
    before, rest = before.replace("* ", "*"), rest.replace(" ;", ";")
    return f"{escape(before)}{escape(pointer or '')}{bold(name)}{after}{escape(rest)}"


def members(body, separator):
    """The members of a struct or the enumerators of an enum with their comments, which stand before or behind one."""
    result, position = [], 0
    names, before = [], []  # those without a comment; the comment that waits for the next
    pattern = re.compile(rf"\s*(?:(/\*.*?\*/)|([^/{separator}]+)(?:{separator}|$))", re.DOTALL)

    def flush():
        if names:
            result.extend(definition(", ".join(names), []))
            names.clear()

    while body[position:].strip():
        match = pattern.match(body, position)
        if not match:
            raise Unreadable(f"a member that is not known: {body[position:position + 60]!r}")
        behind = "\n" not in body[position:match.start(match.lastindex)]
        position = match.end()
        if match[1] and behind and names:
            last = names.pop()
            flush()
            said = " ".join(line.strip() for line in comment_lines(match[1]))
            if not said.startswith("private"):
                result.extend(definition(last, [beginning(inline(said))]))
        elif match[1]:
            before += comment_lines(match[1])
        elif before:
            flush()
            result.extend(definition(bold(one_line(match[2])), prose(before)))
            before = []
        else:
            names.append(bold(one_line(match[2])))
    if before:
        raise Unreadable(f"a comment on no member: {before[0]!r}")
    flush()
    return result


def declaration(text):
    """Its term, and the lines that belong below that."""
    if text.startswith("#"):
        match = re.match(r"#\s*define\s+(\w+(?:\([^)]*\))?)\s*(.*)", text, re.DOTALL)
        value = match[2] if len(match[2]) < 20 and "\n" not in match[2] else ""
        return f"{escape('#define')} {bold(match[1])} {escape(value)}".rstrip(), []
    match = re.match(r"(struct|enum) (\w+) \{\n(.*)\};", text, re.DOTALL)
    if match:
        return f"{match[1]} {bold(match[2])}", members(match[3], ";" if match[1] == "struct" else ",")
    match = re.fullmatch(r"(struct \w+);", text)
    if match:
        return bold(match[1]), []
    match = re.fullmatch(r"PROCPOOL_PUBLIC extern (.*);", text)
    if match:
        return bold(match[1]), []
    return function(text), []


def is_internal(text):
    match = re.match(r"#\s*define\s+(\w+)", text)
    return (match and match[1] in INTERNAL) or text.startswith('extern "C"')


def names(text):
    """What it declares that programs call: functions, and macros with arguments."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    found = re.findall(r"^PROCPOOL_PUBLIC\s[^;(]*?\b(procpool_\w+)\(", text, re.MULTILINE)
    found += re.findall(r"^#\s*define (\w+)\(", text, re.MULTILINE)
    return sorted(set(found) - INTERNAL)


def group(comment, declarations):
    """Declarations that stand together, and what is said of them."""
    terms, text = [], prose(comment)
    for each in declarations:
        term, below = declaration(each)
        terms.append(term)
        text += below
    return definition("++\n".join(terms), text)


def section(lines):
    title = re.fullmatch(r"---- (.*) ----", lines[0])
    return [f"# {title[1].upper()}", "", *prose(lines[1:])] if title else prose(lines)


def convert(text):
    text = re.sub(r"/\* clang-format (on|off) \*/\n", "", text)
    text = re.sub(r"#ifdef __cplusplus\n.*?#endif\n", "", text, flags=re.DOTALL)
    result, comment, declarations = [], None, []
    parts = list(tokens(text))
    if parts[0][1] != "/* SPDX-License-Identifier: MIT */":
        raise Unreadable("it does not begin with its licence")

    def end():
        nonlocal comment, declarations
        if declarations:
            result.extend(group(comment or [], declarations))
        elif comment:
            result.extend(section(comment))
        comment, declarations = None, []

    for kind, part, behind in parts[1:]:
        if kind == "comment" and behind:
            comment = (comment or []) + comment_lines(part)
            end()
        elif kind == "comment":
            end()
            comment = comment_lines(part)
        elif kind == "blank":
            end()
        elif kind in ("declaration", "define") and not is_internal(part):
            declarations.append(part)
    end()
    return re.sub("\n{3,}", "\n\n", "\n".join(result)).strip() + "\n"
