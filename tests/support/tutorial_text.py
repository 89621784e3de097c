"""Python statements out of pages of prose that have lost their formatting.

Each page of the shared tutorials was converted to text by another tool: one has no indentation left
and mixes code with prose line by line, one has its lines as they were, one is a single line. The
code is found by the look of its statements. Import lines are dropped; whoever runs the code
supplies what they imported.
"""

import ast
import re
import textwrap

__all__ = ["from_lines", "from_one_line"]

NAMES = r"[A-Za-z_]\w*(?:, [A-Za-z_]\w*)*"
STATEMENT = re.compile(
    rf"(?:{NAMES} = (?!T\.)|s\[\w+\]\.|print\((?!s)|assert \w|(?:if|elif) env\."
    r"|for \w+, \w+ in (?!T\.)\w|with vta\."
    r"|f\(\w|my_\w+\.save\(|remote\.|vta\.(?:lower|reconfig_runtime|program_fpga)\(|simulator\.clear"
    r"|np\.testing\.|tvm\.(?:lower|testing)[.(])"
)
HEADER = re.compile(r"(if|elif|for|with) .*:$")
IMPORT = re.compile(r"\s*(from [\w.]+ )?import ")
PRINTED = "# from tvm.script import ir"


def _is_whole(code):
    """Whether the text is complete: some statements, or the header of a block."""
    if code.endswith(","):
        return False
    try:
        ast.parse(
            code.removeprefix("el") + ("\n    pass" if HEADER.search(code.splitlines()[-1]) else "")
        )
    except SyntaxError:
        return False
    return True


def from_lines(text, *, indented=True, lost=()):
    """The code of a page with lines.

    Parameters
    ----------
    text : str
        The page.
    indented : bool
        False if the lines have lost their indentation: then a block ends with the next header or
        with prose.
    lost : sequence of (str, str)
        Code that the page has lost, by the beginning of the line after which it stood.

    Returns
    -------
    str
        One statement after the other.
    """
    lines = text.splitlines()
    out, block, at = [], False, 0
    while at < len(lines):
        line = lines[at].rstrip()
        at += 1
        out += [code for after, code in lost if line.startswith(after)]
        if line.startswith(PRINTED):
            at = _after_printed(lines, at)
        elif not line.strip() or line.strip().startswith("#") or IMPORT.match(line):
            continue
        elif STATEMENT.match(line.strip()):
            end, whole = at, line
            while not _is_whole(textwrap.dedent(whole)) and end < len(lines):
                whole += "\n" + lines[end].rstrip()
                end += 1
            if end == len(lines):
                continue  # prose that begins like code
            at = end
            if not indented:
                header = bool(HEADER.match(whole))
                whole = "    " + whole if block and not header else whole
                block |= header
            out.append(whole)
        elif not line.startswith(" "):
            block = False
    return "\n".join(out)


def _after_printed(lines, at):
    """The line after a printed program."""
    inside = ("#", "@", "class ", " ")
    while at < len(lines) and (not lines[at].strip() or lines[at].startswith(inside)):
        at += 1
        if at < len(lines) and STATEMENT.match(lines[at]) and not lines[at].startswith(" "):
            break
    return at


def from_one_line(text):
    """The code of a page that is a single line: its code blocks, statement by statement."""
    blocks = re.findall(r"code-block:: default (.*?) (?=\.\. (?:GENERATED|rst-class|_sphx))", text)
    out = []
    for block in blocks:
        depth = ""
        for statement in _statements(block):
            if IMPORT.match(statement):
                continue
            if HEADER.match(statement):
                depth = "" if not statement.startswith("for") else depth
                out.append(depth + statement)
                depth += "    "
            else:
                out.append(depth + statement)
    return "\n".join(out)


def _statements(block):
    at = 0
    starts = [0, *(m.end() for m in re.finditer(" +", block)), len(block)]
    while at < len(block):
        later = [start for start in starts if start > at]
        if block[at] == "#":
            at = next((p for p in later if p == len(block) or _begins(block, p)), len(block))
            continue
        for end in later:
            code = block[at:end].strip()
            if _is_whole(code) and (end == len(block) or _begins(block, end)):
                yield code
                at = end
                break
        else:
            raise AssertionError(f"no statement at: {block[at : at + 60]}")


def _begins(block, at):
    rest = block[at:]
    return rest.startswith("#") or bool(STATEMENT.match(rest) or IMPORT.match(rest))
