# SPDX-License-Identifier: MIT
"""The Markdown that PROTOCOL.md and WORKER.md are written in, as scdoc. What it does not know is an error, so that no
page says less than its source.

- What stands before the first section is left out: the page has an introduction of its own.
- A table is a list: the first cell of a row is the term, the longest column its text, the others stand beside the
  term or below the text with their heads. Tables as such do not fit a terminal.
- Of an example in bytes (```hex) only the meaning is shown, what stands behind the bytes.
"""

import re

from scdoc import beginning, bold, definition, escape, literal, prose

INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*")


class Unknown(ValueError):
    pass


def inline(text):
    result, end = "", 0
    for match in INLINE.finditer(text):
        result += plain(text[end:match.start()])
        code, strong, emphasis = match.groups()
        if emphasis:
            if text[match.end():match.end() + 1].isalnum():
                raise Unknown(f"emphasis within a word: {text!r}")
            result += f"_{escape(emphasis)}_"
        else:
            result += bold(code if code else strong)
        end = match.end()
    return result + plain(text[end:])


def plain(text):
    if re.search(r"[`<>]|\*|\]\(|!\[", text):
        raise Unknown(f"markup that is not known: {text!r}")
    return prose(text)


def cells(line):
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def table(lines):
    head, rows = cells(lines[0]), [cells(line) for line in lines[2:]]
    if not re.fullmatch(r"\|(---\|)+", lines[1]) or any(len(row) != len(head) for row in rows):
        raise Unknown(f"a table that is not even: {lines[0]!r}")
    longest = max(range(1, len(head)), key=lambda i: sum(len(row[i]) for row in rows))
    result = []
    for row in rows:
        others = [(i, f"{escape(head[i])}: {inline(row[i])}") for i in range(1, len(head)) if i != longest and row[i]]
        short = [told for i, told in others if i < longest]
        text = [inline(row[longest])]
        for i, told in others:
            if i > longest:
                text += ["", told]
        result += definition(inline(row[0]) + (f" ({', '.join(short)})" if short else ""), text)
    return result


def example(lines):
    """Who says it, and what the bytes mean."""
    result = []
    for line in lines:
        said = re.fullmatch(r"  (?:[0-9a-f]{2} ?)+(?: *# ?(.*))?", line)
        if said and said[1]:
            result.append("  " + said[1])
        elif not said and not re.fullmatch(r"[a-z]+", line):
            raise Unknown(f"an example that is not known: {line!r}")
        elif not said:
            result.append(line)
    return literal(result)


def listing(lines):
    """Items with their continuations."""
    result = []
    for line in lines:
        item = re.fullmatch(r"(?:- |  )(\S.*)", line)
        if not item:
            raise Unknown(f"a list that is not known: {line!r}")
        result.append(("- " if line.startswith("- ") else "  ") + inline(item[1]))
    return result + [""]


def joined(lines):
    """The lines with what `` and ** hold on one of them."""
    result = []
    for line in lines:
        if result and (result[-1].count("`") % 2 or result[-1].count("**") % 2):
            result[-1] += " " + line.strip()
        else:
            result.append(line)
    return result


def block(lines):
    first = lines[0]
    heading = re.fullmatch(r"(#{2,4}) (.*)", first)
    if heading and len(lines) == 1:
        return [f"# {heading[2].upper()}" if len(heading[1]) == 2 else f"## {escape(heading[2])}", ""]
    if first.startswith("|"):
        return table(lines)
    if first.startswith("- "):
        return listing(joined(lines))
    if first.startswith(("#", ">", "+", "    ", "\t", "---")) or re.match(r"\d+\. ", first):
        raise Unknown(f"a block that is not known: {first!r}")
    return [beginning(inline(line)) for line in joined(lines)] + [""]


def fenced(fence, lines):
    if fence.startswith("```hex "):
        return example(lines)
    if fence == "```":
        return literal(lines)
    raise Unknown(f"a fence that is not known: {fence!r}")


def convert(text):
    lines = text.splitlines()
    while not lines[0].startswith("## "):
        lines.pop(0)
    result, paragraph = [], []

    def end_paragraph():
        if paragraph:
            result.extend(block(paragraph))
            paragraph.clear()

    while lines:
        line = lines.pop(0)
        if line.startswith("```"):
            end_paragraph()
            end = lines.index("```")
            result += fenced(line, lines[:end])
            del lines[:end + 1]
        elif not line.strip():
            end_paragraph()
        elif line.startswith("#"):
            end_paragraph()
            result += block([line])
        elif paragraph and line.startswith(("|", "- ")) and not paragraph[0].startswith(("|", "- ")):
            end_paragraph()
            paragraph.append(line)
        else:
            paragraph.append(line)
    end_paragraph()
    return "\n".join(result).rstrip() + "\n"
