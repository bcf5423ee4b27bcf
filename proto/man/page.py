# SPDX-License-Identifier: MIT
"""Prints a manual page in roff, from its source in scdoc. A line @FILE@ in it stands for what that file says, which is
the authority: a Markdown text or a public header.

Usage: page.py SCDOC PAGE.scd [FILE...]
       page.py --names HEADER    what has a page of its own name that leads to the header's, a line each
"""

import pathlib
import sys

import header
import markdown
import scdoc

CONVERTERS = {".md": markdown.convert, ".h": header.convert}


def source(template, files):
    """The page with the texts of the files in their places."""
    text = template.read_text()
    for file in files:
        place = f"\n@{file.name}@\n"
        if text.count(place) != 1:
            raise ValueError(f"{template}: no line @{file.name}@, or several")
        try:
            text = text.replace(place, "\n" + CONVERTERS[file.suffix](file.read_text()))
        except ValueError as e:
            raise ValueError(f"{file}: {e}") from e
    return text


def main():
    program, template, *files = sys.argv[1:]
    if program == "--names":
        print(*header.names(pathlib.Path(template).read_text()), sep="\n")
        return
    try:
        sys.stdout.write(scdoc.page(program, source(pathlib.Path(template), [pathlib.Path(f) for f in files])))
    except ValueError as e:
        sys.exit(f"page.py: {e}")


if __name__ == "__main__":
    main()
