# SPDX-License-Identifier: MIT
"""From Markdown and headers to scdoc, and scdoc's output tidied: what is known comes out right, what is not is refused."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "proto/man"))

import header
import markdown
import scdoc

LICENCE = "/* SPDX-License-Identifier: MIT */\n"


def body(text):
    return markdown.convert("## A\n" + text).removeprefix("# A\n\n").rstrip()


@pytest.mark.parametrize("text, wanted", [
    ("a `b_c` and *d*, **e**", r"a *b\_c* and _d_, *e*"),
    ("2³²−1 of PROTOCOL.md", "2^32−1 of *procpool-protocol*(7)"),
    ("-1 begins no list\n", "\\-1 begins no list"),
    ("- one\n  more\n- two", "- one\n  more\n- two"),
    ("text\n- one", "text\n\n- one"),
    ("`a\nb` c", "*a b* c"),
    ("### B", "## B"),
    ("```\nas \\ it is\n```", "```\nas \\\\ it is\n```"),
    ("```hex ping\nclient\n  93 00 # [0,\n  90\n  a4 #  \"x\"]\n```", '```\nclient\n  [0,\n   "x"]\n```'),
    ("| a | b | c |\n|---|---|---|\n| `x` | 1 | long | \n", "*x* (b: 1)\n\tlong"),
    ("| a | b | c |\n|---|---|---|\n| `x` | long | 1 |\n| `y` | long | |", "*x*\n\tlong\n\n\tc: 1\n\n*y*\n\tlong"),
])  # fmt: skip
def test_markdown_that_is_known_is_converted(text, wanted):
    assert body(text) == wanted


@pytest.mark.parametrize("text", [
    "[a](b)", "![a](b)", "<b>", "> quoted", "1. first", "    code", "a * b", "```c\nx\n```", "| a |\n| b |", "- a\n\tb",
    "```hex x\n  zz # y\n```", "| a | b |\n|---|---|\n| c |", "*a*b",
])  # fmt: skip
def test_markdown_that_is_not_known_is_refused(text):
    with pytest.raises(ValueError):
        body(text)


def test_what_a_header_declares_becomes_a_list_with_its_comments():
    text = LICENCE + """/*
 * <procpool/x.h>: what `it` is.
 *
 *	int code;
 */
#pragma once

/* ---- Doing ----
 *
 * name  what it is,
 *       and more
 */

struct procpool_a; /* opaque */

/* Does it, as procpool_b() does. */
PROCPOOL_PUBLIC int procpool_do(int a,
				char **b) PROCPOOL_PRINTF(1, 2);
PROCPOOL_PUBLIC int procpool_more(void);

struct procpool_c {
	int a, b; /* both,
		     as they are */
	int d;
	/* the last */
	int e;
	int f; /* private */
};

enum procpool_e {
	PROCPOOL_A,
	PROCPOOL_B, /* of B alone */
};

#define PROCPOOL_N 64
#define PROCPOOL_X(a, b) \\
	long text of it
"""
    assert header.convert(text) == """*<procpool/x.h>*: what *it* is.

```
int code;
```

# DOING

*name*
	what it is, and more

*struct procpool\\_a*
	opaque

int *procpool\\_do*(int a, char \\*\\*b)\\;++
int *procpool\\_more*(void)\\;
	Does it, as *procpool\\_b()* does.

struct *procpool\\_c*
	*int a, b*
		both, as they are

	*int d*

	*int e*
		the last

enum *procpool\\_e*
	*PROCPOOL\\_A*

	*PROCPOOL\\_B*
		of B alone

\\#define *PROCPOOL\\_N* 64++
\\#define *PROCPOOL\\_X(a, b)*
"""
    assert header.names(text) == ["PROCPOOL_X", "procpool_do", "procpool_more"]


@pytest.mark.parametrize("text", [
    "int a;\n",
    LICENCE + "int unfinished(\n",
    LICENCE + "static int thing;\n",
    LICENCE + "struct procpool_a {\n\tint a;\n\t/* of nothing */\n};\n",
    LICENCE + "/*\n * a  item\n * not indented\n */\nint procpool_a(void);\n",
])  # fmt: skip
def test_a_header_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError):
        header.convert(text)


def test_paragraphs_that_are_empty_go_and_the_space_below_stays():
    roff = ".TH x\n.P\n.SH A\n.P\ntext\n.RS 4\nmore\n.P\n.RE\nnext\n.nf\n\n.P\n.fi\n\n.RE\n.P\n.SH B\n"
    assert scdoc.tidy(roff) == ".TH x\n.SH A\ntext\n.RS 4\nmore\n.RE\n.P\nnext\n.nf\n\n.P\n.fi\n.RE\n.SH B\n"
