"""What classes say about their members in the source: the sentences become those of a document.

Enumerations have a sentence below a member, dataclasses an Attributes section (numpydoc). Neither
is there at run time, so that the source is read.
"""

import ast
import inspect
import re
import textwrap
from itertools import pairwise
from typing import cast


def of_members(kind: type) -> dict[str, str]:
    """Sentences below the members of an enumeration, by name; a member without one is left out."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    body = cast("ast.ClassDef", tree.body[0]).body
    return {
        statement.targets[0].id: _flat(following.value.value)
        for statement, following in pairwise(body)
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
        and isinstance(following.value.value, str)
    }


def of_attributes(kind: type) -> dict[str, str]:
    """Sentences of the Attributes section of a class, by name; names may share one."""
    text = inspect.getdoc(kind) or ""
    section = text.partition("Attributes\n----------\n")[2]
    found = {}
    for names, sentence in re.findall(
        r"^(\w[\w, ]*)\n((?:[ ]{4}.*\n?|\n)+)", section, re.MULTILINE
    ):
        for name in names.split(", "):
            found[name] = _flat(sentence)
    return found


def _flat(text: str) -> str:
    return " ".join(text.split())
