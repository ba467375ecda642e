"""``murphy learn``: runbooks, postmortems and architecture notes into memory, and out of it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from executor.errors import InputError
from planner.cli.options import Json

if TYPE_CHECKING:
    from executor.state.home import Home
    from planner.documents import Learned

_QUOTED_MAX = 400


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(short_help="Take in runbooks, postmortems and notes for the experts.")(learn)


def learn(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE...", help="Markdown, text, HTML or PDF.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show what was learned.")] = False,
    forget: Annotated[list[str] | None, typer.Option(help="Forget this document; repeatable.")] = None,
    find: Annotated[str | None, typer.Option(help="Show what runs, findings and documents say of this.")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Index everything anew.")] = False,
    as_json: Json = False,
) -> int:
    """Learn documents: split by headings, without what looks like a secret, quoted to the experts where they fit.

    The same file again changes nothing; a changed one takes the place of what was known of it.
    """
    from executor.state.home import Home
    from planner import documents
    from planner.cli.output import emit, say

    if sum((bool(files), listed, bool(forget), find is not None, rebuild)) != 1:
        raise InputError("name files to learn, or one of --list, --forget, --find and --rebuild.", where="murphy learn")
    home = Home.open()
    if files:
        return _learn(home, files, as_json=as_json)
    if forget:
        gone, note = documents.forget(home, forget)
        if as_json:
            emit({"forgotten": list(gone), "note": note})
        else:
            say("\n".join((*(f"Forgotten: {source}" for source in gone), *([note] if note else []))))
    elif find is not None:
        _find(home, find, as_json=as_json)
    elif rebuild:
        count = documents.rebuild(home)
        if as_json:
            emit({"indexed": count})
        else:
            say(f"Memory holds {count} results, findings and passages, built anew from the ledger and the documents.")
    else:
        _list(home, as_json=as_json)
    return 0


def _learn(home: Home, files: list[Path], *, as_json: bool) -> int:
    from planner import documents
    from planner.cli.output import emit, err

    with err.status("reading and indexing…"):
        told, note = documents.learn(home, files)
    if as_json:
        emit({"documents": [vars(each) for each in told], "note": note})
    else:
        for each in told:
            _tell(each)
        if note:
            err.print(f"· {note}", style="quiet", markup=False)
    return 2 if any(each.became == "refused" for each in told) else 0


def _tell(each: Learned) -> None:
    from executor.model.wording import many
    from planner.cli.output import err, out

    if each.became == "refused":
        err.print(each.why, markup=False, soft_wrap=True)
    elif each.became == "unchanged":
        out.print(f"{each.file}: known already, nothing has changed", markup=False, soft_wrap=True)
    else:
        again = " in the place of what was known of it" if each.became == "changed" else ""
        out.print(f"{each.file}: {many(each.passages, 'passage')} learned{again}", markup=False, soft_wrap=True)


def _list(home: Home, *, as_json: bool) -> None:
    from executor.model.wording import many
    from planner import documents
    from planner.cli.output import emit, out

    known = documents.documents(home)
    if as_json:
        emit(
            [
                {
                    "source": each.source,
                    "title": each.title,
                    "kind": each.kind,
                    "digest": each.digest,
                    "learned": each.learned.isoformat(timespec="seconds"),
                    "bytes": each.size,
                    "passages": passages,
                }
                for each, passages in known
            ]
        )
        return
    for each, passages in known:
        out.print(f"[head]{_plain(each.title)}[/head] ({each.kind}, {many(passages, 'passage')})")
        out.print(f"  {each.source}, learned {each.learned:%Y-%m-%d}", markup=False, soft_wrap=True)
    if not known:
        out.print("No document was learned yet: murphy learn FILE... takes them in.")


def _find(home: Home, question: str, *, as_json: bool) -> None:
    from planner import documents
    from planner.cli.output import emit, out

    found = documents.find(home, question)
    if as_json:
        emit([{"kind": hit.kind, "reference": hit.reference, "score": hit.score, "text": hit.text} for hit in found])
        return
    for hit in found:
        text = " ".join(hit.text.split())
        out.print(f"[head]{_plain(hit.reference)}[/head]", soft_wrap=True)
        out.print(f"  {text[:_QUOTED_MAX]}{'…' if len(text) > _QUOTED_MAX else ''}", markup=False)
    if not found:
        out.print("Nothing that was run or learned speaks of it.")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
