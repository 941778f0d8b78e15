"""For mkdocstrings: bdip's docstrings as Markdown, which they are but for examples, lists of fields and formulas.

Griffe loads this by path (mkdocs.yml). What is changed is how a docstring is laid out, never what it says.
"""

import re
from typing import Any

import griffe

FIELD = re.compile(r"^(\*{0,2}[a-zA-Z_]\w*(?:, \w+)*): (?=\S)")
FIELD_IN_TICKS = re.compile(r"^`(\w+)`: (?=\S)")
SECTION = re.compile(r"^(Args|Arguments|Returns|Raises|Examples?|References?|Yields|Note|Warning):")


class Readable(griffe.Extension):
    """Lays out every docstring of the package before it is parsed."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Go through all that the package has."""
        self._visit(pkg)

    def _visit(self, thing: Any) -> None:
        if thing.docstring is not None:
            text = laid_out(thing.docstring.value)
            thing.docstring.value = f"{_call(thing)}{text}" if thing.is_class else text
        for member in thing.members.values():
            if not member.is_alias:
                self._visit(member)


def _call(made: griffe.Class) -> str:
    """How an object of a class made by `frozen_pytree` is made, which Griffe does not take for a dataclass."""
    if not any("frozen_pytree" in str(each.value) for each in made.decorators):
        return ""
    fields = [each for each in made.attributes.values() if "instance-attribute" in each.labels]
    told = [
        f"    {each.name}: {each.annotation}" + ("" if each.value is None else f" = {each.value}")
        for each in fields
        if each.annotation is not None and each.name[0] != "_"
    ]
    body = "\n".join(f"{row}," for row in told)
    return f"```python\n{made.name}(\n{body}\n)\n```\n\n" if told else ""


def laid_out(text: str) -> str:
    """The docstring with its examples fenced, its fields a list and its references in bold."""
    lines: list[str] = []
    in_section = False
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        rows = block.split("\n")
        first, indented = rows[0], rows[0].startswith(" ")
        section = SECTION.match(first)
        in_section = bool(section) or (in_section and indented)
        if section and section[1] in ("Example", "Examples"):
            lines += ["**Example**", "", *_fenced(_dedented(rows[1:])), ""]
        elif section and section[1] in ("Reference", "References"):
            rows = [first.partition(":")[2].strip(), *_dedented(rows[1:])]
            lines += [f"**{section[1]}** {' '.join(row.strip() for row in rows if row)}", ""]
        elif first.lstrip().startswith(">>> "):
            lines += [*_fenced(_dedented(rows)), ""]
        elif not in_section and (FIELD.match(first) or FIELD_IN_TICKS.match(first)):
            lines += [*_listed(rows), ""]
        elif section and section[1] == "Arguments":
            lines += ["Args:", *rows[1:], ""]
        elif any(">>> " in row for row in rows):
            place = next(number for number, row in enumerate(rows) if ">>> " in row)
            lines += [*rows[:place], "", *_fenced(_dedented(rows[place:])), ""]
        else:
            lines += [*rows, ""]
    return "\n".join(lines).rstrip()


def _dedented(rows: list[str]) -> list[str]:
    margin = min((len(row) - len(row.lstrip()) for row in rows if row.strip()), default=0)
    return [row[margin:] for row in rows]


def _fenced(rows: list[str]) -> list[str]:
    return ["```pycon", *rows, "```"]


def _listed(rows: list[str]) -> list[str]:
    """Lines "name: text" as items, with what continues them."""
    found = []
    for row in rows:
        field = FIELD.match(row) or FIELD_IN_TICKS.match(row)
        name = "" if field is None else field[1]
        found.append(row.strip() if field is None else f"- **`{name}`**: {row[field.end() :]}")
    return ["\n  ".join(item) for item in _grouped(found)]


def _grouped(rows: list[str]) -> list[list[str]]:
    groups: list[list[str]] = []
    for row in rows:
        if row.startswith("- ") or not groups:
            groups.append([])
        groups[-1].append(row)
    return groups
