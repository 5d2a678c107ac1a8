"""The error for an unknown name: what is near it, and what there is."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

Choice = TypeVar("Choice")


class UnknownName(ValueError):
    """A name that does not exist; the message lists the nearest and the available ones."""


def unknown(kind: str, name: object, available: Iterable[str]) -> UnknownName:
    """Build the error for a misspelt `name` of some `kind` ("layer", "metric", …).

    Parameters
    ----------
    kind : str
        What was looked for, in the singular.
    name : object
        What came instead.
    available : iterable of str
        The names there are, in the order in which to list them.
    """
    names = list(available)
    near = get_close_matches(str(name), names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    shown = ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "")
    return UnknownName(f"unknown {kind} {str(name)!r}{hint} Available: {shown or 'none'}")


def pick(kind: str, name: str, table: Mapping[str, Choice]) -> Choice:
    """Look `name` up in the table of all choices of one `kind`, or raise `UnknownName`."""
    if name not in table:
        raise unknown(kind, name, table)
    return table[name]
