# SPDX-License-Identifier: MIT
"""Writing scdoc, and what scdoc makes of it as a page that man and mandoc have no complaint about."""

import re
import subprocess

# Texts that are pages, too.
PAGES = {"PROTOCOL.md": "procpool-protocol", "WORKER.md": "procpool-worker"}
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def escape(text):
    """Text that scdoc shall show as it is."""
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "^" + m[0].translate(SUPERSCRIPTS), text)
    return re.sub(r"([\\*_`\[\]|;#])", r"\\\1", text)


def prose(text):
    """The same, with the names of texts that are pages as such."""
    text = escape(text)
    for name, page in PAGES.items():
        text = text.replace(name, f"*{page}*(7)")
    return text


def bold(text):
    return f"*{escape(text)}*"


def beginning(text):
    """A line of a paragraph: what it begins with is no list."""
    return "\\" + text if text.startswith(("-", ".")) else text


def literal(lines):
    """A block that is shown as it is, a list of lines."""
    return ["```", *(line.replace("\\", "\\\\").rstrip().expandtabs(4) for line in lines), "```", ""]


def indented(lines):
    return ["\t" + line if line else line for line in lines]


def definition(term, text):
    """A term and the lines that explain it below."""
    return [term, *indented(text), ""]


def _moves(line):
    return line in (".P", ".RE", "")


def tidy(roff):
    """Without paragraphs that are empty, which scdoc makes, and mandoc complains about: a paragraph before the end of
    an indentation, which makes the space below it, comes behind that; one at a heading or the end goes."""
    result, lines, filling = [], roff.splitlines(), True
    while lines:
        if filling and _moves(lines[0]):
            run = []
            while lines and _moves(lines[0]):
                run.append(lines.pop(0))
            last = result[-1] if result else ""
            result += [".RE"] * run.count(".RE")
            at_heading = last.startswith((".SH", ".SS", ".TH", ".RS")) or not lines or lines[0].startswith((".SH", ".SS"))
            if (".P" in run or "" in run) and not at_heading:
                result.append(".P")
            continue
        line = lines.pop(0)
        filling = {".nf": False, ".fi": True}.get(line, filling)
        result.append(line)
    return "\n".join(result) + "\n"


def page(scdoc, text):
    """The page in roff."""
    done = subprocess.run([scdoc], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise ValueError(f"scdoc: {done.stderr.strip()}")
    # Names that are to be typed as they are shown are never hyphenated.
    return tidy(done.stdout).replace("\n.TH ", "\n.nr HY 0\n.TH ", 1)
