"""Writes the tables of docs/SERVER.md from the code: `python -m tools.server_reference`.

A test holds the page against what this would write, so the two cannot drift apart. What stands
between the markers `<!-- NAME: written by ... -->` and `<!-- end of NAME -->` is replaced.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import msgspec

from fastness import limits
from fastness.server.figures import MEASURES
from fastness.server.settings import SETTINGS, Setting

PAGE = Path(__file__).resolve().parents[1] / "docs" / "SERVER.md"


def page(text: str) -> str:
    """The page, its tables written anew."""
    for name, table in (("settings", settings_table()), ("figures", figures_table())):
        begin = f"<!-- {name}: written by python -m tools.server_reference -->\n"
        end = f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{table}\n{end}{after}"
    return text


def settings_table() -> str:
    """Every setting with its default and what it is for."""
    descriptions = _limit_descriptions()
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for setting in SETTINGS.values():
        meaning = setting.description or descriptions.get(setting.name.removeprefix("limits."), "")
        rows.append(f"| `{setting.name}` | `{_default(setting)}` | {meaning}{_mark(setting)} |")
    return "\n".join(rows) + "\n"


def _default(setting: Setting) -> str:
    return msgspec.json.encode(setting.default).decode()


def _mark(setting: Setting) -> str:
    return " (reloaded)" if setting.is_reloaded else ""


def _limit_descriptions() -> dict[str, str]:
    """What stands below each limit in `limits.py`."""
    tree = ast.parse(inspect.getsource(limits))
    (body,) = [one.body for one in tree.body if isinstance(one, ast.ClassDef)]
    found: dict[str, str] = {}
    name = ""
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            text = " ".join(str(node.value.value).split()).rstrip(".")
            found[name] = text.replace("|", "\\|")
            name = ""
        else:
            name = ""
    return found


def figures_table() -> str:
    """Every figure with its kind, its labels and its meaning."""
    rows = ["| figure | kind | labels | meaning |", "|---|---|---|---|"]
    for measure in MEASURES:
        labels = ", ".join(f"`{label}`" for label in measure.labels)
        rows.append(f"| `{measure.name}` | {measure.kind.value} | {labels} | {measure.help} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Write the tables."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote the tables of {PAGE}")


if __name__ == "__main__":
    main()
