"""Texts in the encodings that programs write: read as what they are, and said where that is a guess."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from featherweight.data.readers.unpacking import HEAD
from featherweight.data.sources import read_rows
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe

pytestmark = pytest.mark.usefixtures("as_options")

CONTENT = "text,label\nCafé für 5 £ – “naïve”,x\nHello,y\n"
TEXTS = ["Café für 5 £ – “naïve”", "Hello"]


def read(folder: Path, content: bytes, name: str = "rows.csv", **values: Any) -> Any:
    (folder / name).write_bytes(content)
    return read_rows(str(folder / name), DataRecipe(**values))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_unicode_needs_no_word(tmp_path: Path, encoding: str, pack: Any) -> None:
    rows = read(tmp_path, pack(CONTENT.encode(encoding)))
    assert (rows.texts, rows.notes) == (TEXTS, ())


def test_json_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    rows = read(tmp_path, '{"text": "Größe", "label": "x"}\r\n'.encode("utf-16"), "rows.jsonl")
    assert rows.texts == ["Größe"]


def test_western_bytes_are_read_and_said(tmp_path: Path) -> None:
    rows = read(tmp_path, CONTENT.encode("cp1252"))
    assert rows.texts == TEXTS
    assert "rows.csv: its bytes are not UTF-8, and were read as cp1252" in rows.notes[0]
    splits = load_splits(
        Recipe.parse(
            {"data": {"train": str(tmp_path / "rows.csv"), "validation": str(tmp_path / "rows.csv"), "test": ""}}
        )
    )
    assert [note for note in splits.warnings if "cp1252" in note] == list(rows.notes)


def test_bytes_that_cp1252_leaves_undefined_are_kept(tmp_path: Path) -> None:
    assert read(tmp_path, b"text,label\ncaf\xe9 \x81,x\nb,y\n").texts == ["café \x81", "b"]


@pytest.mark.parametrize("before", [HEAD - 40, HEAD - 21, 3 * HEAD])
def test_the_first_byte_above_ascii_may_come_late(tmp_path: Path, before: int) -> None:
    start = "text,label\n" + "a b c d,x\n" * (before // 10)
    for encoding, notes in (("cp1252", 1), ("utf-8", 0)):
        rows = read(tmp_path, (start + "Größe für alle,y\n").encode(encoding))
        assert rows.texts[-1] == "Größe für alle" and len(rows.notes) == notes


def test_a_wrong_byte_in_utf8_is_named_however_late_it_comes(tmp_path: Path) -> None:
    content = ("text,label\nGröße,x\n" + "a b c d,x\n" * HEAD).encode() + b"caf\xe9,y\n"
    with pytest.raises(UserError, match=rf"line {HEAD + 3}, byte 4 \(0xe9\) is not UTF-8"):
        read(tmp_path, content)


@pytest.mark.parametrize(("encoding", "text"), [
    ("gb18030", "今天天气很好"),
    ("shift_jis", "こんにちは世界"), ("cp1251", "привет мир"), ("latin-1", "für"), ("utf-16-le", "für"),
])  # fmt: skip
def test_a_file_is_read_in_the_encoding_of_the_recipe(tmp_path: Path, encoding: str, text: str) -> None:
    content = f"text,label\n{text},x\nb,y\n".encode(encoding)
    rows = read(tmp_path, content, encoding=encoding)
    assert (rows.texts, rows.notes) == ([text, "b"], ())


def test_an_encoding_that_contradicts_the_bytes_is_said(tmp_path: Path) -> None:
    rows = read(tmp_path, CONTENT.encode(), encoding="latin-1")
    assert "read as latin-1 (data.encoding), but its bytes are UTF-8" in rows.notes[0]
    assert read(tmp_path, CONTENT.encode("utf-8-sig"), encoding="latin-1").texts == TEXTS  # a mark leaves no doubt


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_needs_no_mark_where_the_recipe_says_so(tmp_path: Path, encoding: str) -> None:
    content = "text,label\n今天天气很好,x\n你好你好你好,y\n".encode(encoding)
    assert read(tmp_path, content, encoding="utf-16").texts == ["今天天气很好", "你好你好你好"]


@pytest.mark.parametrize("encoding", ["mac_roman", "cp850"])
def test_other_western_encodings_are_proposed(tmp_path: Path, encoding: str) -> None:
    content = "text,label\nLe café de Zoé était très bon n° 3 à l'été,x\nSchöne Grüße,y\n"
    note = read(tmp_path, content.encode(encoding)).notes[0]
    assert note.endswith(f"they may be {encoding}: if letters look wrong, --set data.encoding={encoding}")
    assert read(tmp_path, content.encode(encoding), encoding=encoding).texts == [
        "Le café de Zoé était très bon n° 3 à l'été",
        "Schöne Grüße",
    ]
    assert "they may be" not in read(tmp_path, content.encode("cp1252")).notes[0]


RUSSIAN = "Товар был очень хороший и быстро пришёл домой, мне понравился этот фильм"
GREEK = "Το προϊόν ήταν πολύ καλό και έφτασε γρήγορα, δεν θα το αγόραζα ξανά"
HEBREW = "המוצר היה טוב מאוד והגיע מהר הביתה, מאוד אהבתי את הסרט הזה"
ARABIC = "كان المنتج جيدا جدا ووصل بسرعة إلى المنزل، أحببت هذا الفيلم كثيرا"
THAI = "สินค้าดีมากและมาถึงบ้านเร็ว ฉันชอบหนังเรื่องนี้มากกับนักแสดง"


@pytest.mark.parametrize(("text", "encoding"), [
    *((RUSSIAN, name) for name in ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac_cyrillic")),
    *((ARABIC.replace("،", ""), name) for name in ("cp1256", "iso8859-6")),
    (GREEK, "cp1253"), (HEBREW, "cp1255"), (THAI, "cp874"),
    ("这个产品非常好用我很喜欢快递也很快", "gb18030"),
    ("この商品はとても良かったです。", "shift_jis"), ("제품이 정말 좋았어요", "euc_kr"),
])  # fmt: skip
def test_the_encoding_that_a_message_proposes_is_that_of_the_text(tmp_path: Path, text: str, encoding: str) -> None:
    content = f'text,label\n"{text}",x\nb,y\n'.encode(encoding)
    with pytest.raises(UserError, match=f"they may be {encoding}: try --set data.encoding={encoding}$"):
        read(tmp_path, content)
    assert read(tmp_path, content, encoding=encoding).texts[0] == text


@pytest.mark.parametrize(("text", "encoding"), [
    ("Ürün çok güzeldi ve hızlı bir şekilde ulaştı; beğendim", "cp1254"),
    ("Obsługa była okropna i nikt nie odebrał; świetna gra się skończyła źle", "cp1250"),
    ("Tento film se mi moc líbil; skvělé herečky, příště znovu", "iso8859-2"),
    ("Az ügyfélszolgálat szörnyű volt, órákig vártam; őszintén nem ajánlom, gyűlöltem", "cp1250"),
    ("Foarte bună experiență, îl recomand și vânzătorului".replace("ț", "ţ").replace("ș", "ş"), "cp1250"),
    ("Užasna usluga, čekao sam cijeli dan; kuća je lošija nego što đak misli", "cp1250"),
    ("Zelo slab izdelek, prišel je prepozno; že čez dan ni več delal", "cp1250"),
    ("it’s “only” £3 – a “nice” film, isn’t it…", None),
    ("El envío llegó rápido y está muy bien; el señor fue amable, ¡lo compraré otra vez, según él único!", None),
    ("O filme não é tão bom, mas a atuação é ótima; já vi três vezes, não há dúvida", None),
    ("Una pel·lícula molt bona, però l'actuació és més fluixa; això sí, qüestió de gustos, molt llarga avui às", None),
    ("Myndin var mjög góð og þjónustan æðisleg; ég kem örugglega aftur, það er víst", None),
    ("Wat een leuke film, echt één van de beste; geïnteresseerd in coördinatie, ruïne en crème, hè", None),
    ("Le café est très bon, Zoé a goûté, ça va; die Größe für Käse", None),
])  # fmt: skip
def test_encodings_of_other_latin_scripts_are_proposed(tmp_path: Path, text: str, encoding: str | None) -> None:
    note = read(tmp_path, f'text,label\n"{text}",x\nb,y\n'.encode(encoding or "cp1252")).notes[0]
    assert (f"--set data.encoding={encoding}" in note) if encoding else ("they may be" not in note)
