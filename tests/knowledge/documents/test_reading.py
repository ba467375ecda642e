"""Files become documents: what they say, where it stands, without secrets; what is none is refused in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.errors import InputError
from knowledge.documents import pdf as pdf_module
from knowledge.documents import reading
from knowledge.documents.document import digest_of
from knowledge.documents.reading import read_document
from tests.knowledge.documents.papers import PAGE, RUNBOOK, pdf


def kept(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_markdown_by_its_headings_with_the_lines_it_stands_on(tmp_path: Path):
    found = read_document(kept(tmp_path / "payment.md", RUNBOOK))
    assert (found.kind, found.title) == ("markdown", "Payment runbook")
    assert found.source == str(tmp_path / "payment.md")
    assert found.digest == digest_of(RUNBOOK.encode())
    assert [(s.heading, s.line) for s in found.sections] == [
        ((), 5),
        (("Payment", "Payment is slow"), 11),
        (("Payment", "Redis was flushed"), 18),
    ]
    lines = RUNBOOK.splitlines()
    for section in found.sections:
        assert section.line is not None
        assert lines[section.line - 1] == section.text.splitlines()[0]
    slow, flushed = found.sections[1:]
    assert "hunter2" not in slow.text
    assert "--password [redacted]" in slow.text
    assert "ignore the limits" not in slow.text  # a comment is seen by nobody who reads the page
    assert "# no heading, a comment" in flushed.text


def test_html_as_a_reader_sees_it(tmp_path: Path):
    found = read_document(kept(tmp_path / "page", PAGE))
    assert (found.kind, found.title) == ("html", "Postmortem 17")
    happened, timeline = found.sections
    assert happened.heading == ("What happened",)
    assert happened.text == "The orders database ran out of connections."
    assert happened.line == 5
    assert timeline.heading == ("What happened", "Timeline")
    assert "10:02 | psql answers “too many clients”" in timeline.text
    assert "password | [redacted]" in timeline.text
    assert "one\n  two" in timeline.text
    everything = "".join(section.text for section in found.sections)
    for unseen in ("alert", "color", "Search", "ignore the limits", "hunter2"):
        assert unseen not in everything


def test_html_that_is_broken_is_read_as_far_as_it_goes(tmp_path: Path):
    found = read_document(kept(tmp_path / "a.html", "<p>one<table><td>two</b><h2>three<p>four<div hidden>x"))
    assert " ".join(s.text for s in found.sections).split()[0] == "one"


def test_a_pdf_by_its_pages(tmp_path: Path):
    found = read_document(kept(tmp_path / "p.pdf", pdf("Fail over\nthe database", "", "password: hunter2 is old")))
    assert (found.kind, found.title) == ("pdf", "Fail over")
    assert [(s.page, s.line) for s in found.sections] == [(1, None), (3, None)]
    assert "the database" in found.sections[0].text
    assert "password: [redacted] is old" in found.sections[1].text


def test_a_key_that_goes_on_over_pages_is_taken_out_of_all_of_them(tmp_path: Path):
    key = ["-----BEGIN PRIVATE KEY-----\nMIIEfirst", "MIIEsecond", "MIIElast\n-----END PRIVATE KEY-----\nRenew it"]
    found = read_document(kept(tmp_path / "p.pdf", pdf("How to renew", *key, "when it lapses")))
    said = "\n".join(section.text for section in found.sections)
    assert "MIIE" not in said
    assert "Renew it" in said
    assert "when it lapses" in said


def test_text_of_any_name_and_of_another_encoding_with_a_mark(tmp_path: Path):
    found = read_document(kept(tmp_path / "NOTES", "\nFirst line.\r\nSecond."))
    assert (found.kind, found.title, found.sections[0].text) == ("text", "First line.", "\nFirst line.\nSecond.")
    assert read_document(kept(tmp_path / "w.txt", "Straße".encode("utf-16"))).sections[0].text == "Straße"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.md", b"", "is empty"),
        ("a.md", b" \n\t ", "is empty"),
        ("a.md", b"<!-- only a comment -->\n# And a heading\n", "holds no text"),
        ("a.html", b"<html><script>x</script></html>", "holds no text"),
        ("a.txt", b"\x7fELF\x00\x01\x02", "is no text in UTF-8, and no PDF"),
        ("a.txt", "Straße".encode("latin-1"), "is no text in UTF-8, and no PDF"),
        ("a.pdf", b"%PDF-1.4\ngarbage", "the PDF cannot be read: it is broken"),
        ("a.pdf", b"no PDF at all", "the PDF cannot be read: it is broken"),
        ("a.pdf", pdf("some text")[:300], "the PDF (cannot be read|holds no text)"),
        ("a.pdf", pdf(""), "the PDF holds no text"),
    ],
)
def test_what_is_no_document_is_refused_in_a_sentence(tmp_path: Path, name: str, content: bytes, why: str):
    with pytest.raises(InputError, match=why) as caught:
        read_document(kept(tmp_path / name, content))
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_an_encrypted_pdf_says_so(tmp_path: Path):
    import pypdf

    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="AES-256")
    writer.write(tmp_path / "a.pdf")
    with pytest.raises(InputError, match=r"it is encrypted\. Save it without a password"):
        read_document(tmp_path / "a.pdf")


def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "CHARACTERS_MAX", 1000)
    monkeypatch.setattr(reading, "BYTES_MAX", 2**20)
    with pytest.raises(InputError, match="has 1,001 characters of text, and the limit is 1,000"):
        read_document(kept(tmp_path / "a.txt", "x" * 1001))
    with pytest.raises(InputError, match="cannot be read: it has over 1 MiB"):
        read_document(kept(tmp_path / "b.txt", "x" * (2**20 + 1)))
    with pytest.raises(InputError, match="characters of text"):
        read_document(kept(tmp_path / "c.pdf", pdf("many words " * 120)))


def test_a_pdf_that_takes_for_ever_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pdf_module, "SECONDS_MAX", 0.01)
    with pytest.raises(InputError, match="takes too long to read"):
        read_document(kept(tmp_path / "a.pdf", pdf("text")))


def test_what_is_no_file_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("pipe", "not a regular file"), ("none", "No such file"), ("", "is a directory")):
        with pytest.raises(InputError, match=why):
            read_document(tmp_path / name)
