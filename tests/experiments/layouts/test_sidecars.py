import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.experiments.layouts import sidecars
from app.experiments.layouts.names import ImagePlace
from app.experiments.layouts.sidecars import is_sidecar, read_sidecar

IMAGE = (
    '<Image Version="1"><id>0101K1F1P1R1</id><State>Ok</State><URL>{url}</URL>'
    "<Row>2</Row><Col>3</Col><FieldID>4</FieldID><PlaneID>5</PlaneID><TimepointID>0</TimepointID><SequenceID>1</SequenceID><ChannelID>{channel}</ChannelID>{name}</Image>"
)
INDEX = (
    '<?xml version="1.0" encoding="utf-8"?><EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5">'
    "<Plates><Plate><PlateID>BR1</PlateID><Name>other</Name></Plate></Plates>"
    '<Wells><Well><Row>2</Row><Image id="a"/></Well></Wells>'
    "{maps}<Images>{images}</Images></EvaluationInputData>"
)


def index(*names: str, in_map: bool = False) -> bytes:
    tags = [f"<ChannelName>{name}</ChannelName>" for name in names]
    entries = "".join(f'<Entry ChannelID="{number}">{tag}</Entry>' for number, tag in enumerate(tags, 1))
    images = "".join(
        IMAGE.format(url=f"{number}.tiff", channel=number, name="" if in_map else tag)
        for number, tag in enumerate(tags, 1)
    )
    maps = f"<Maps><Map>{entries}</Map></Maps>" if in_map else ""
    return INDEX.format(maps=maps, images=images).encode()


@pytest.mark.parametrize("in_map", [False, True])
def test_harmony(in_map: bool) -> None:
    found = read_sidecar("p/Images/Index.idx.xml", index("HOECHST 33342", "Alexa 488", in_map=in_map))
    assert found.plate == "BR1"
    assert found.channels == {"ch1": "HOECHST 33342", "ch2": "Alexa 488"}
    assert found.places["2.tiff"] == ImagePlace("BR1", "B03", "4", "ch2", "t1z5")
    assert found.is_whole


def test_two_channels_of_one_name_are_told_apart() -> None:
    assert read_sidecar("Index.xml", index("DAPI", "dapi")).channels == {"ch1": "DAPI (ch1)", "ch2": "dapi (ch2)"}


def test_metaxpress() -> None:
    htd = '"HTSInfoFile", Version 1.0\n"Description", "a ""b"\n'
    htd += '"WaveName1", "DAPI, deep"\n"WaveName2", ""\n"WaveCollect1", 1\n"x\n'
    assert read_sidecar("p.HTD", htd.encode()).channels == {"w1": "DAPI, deep"}
    assert not read_sidecar("p.htd", b"\x00\xff nothing").is_whole


def test_cellvoyager() -> None:
    record = '<bts:MeasurementRecord bts:Type="{kind}" bts:Row="2" bts:Column="{column}" bts:FieldIndex="4" '
    record += 'bts:TimePoint="1" bts:ZIndex="2" bts:Ch="3">{file}</bts:MeasurementRecord>'
    rows = [("IMG", 3, "a\\b.tif"), ("ERR", 3, "error.tif"), ("IMG", 49, "beyond.tif"), ("IMG", 3, "")]
    text = "".join(record.format(kind=kind, column=column, file=file) for kind, column, file in rows)
    found = read_sidecar("MeasurementData.mlf", f'<bts:Data xmlns:bts="x">{text}</bts:Data>'.encode("utf-16"))
    assert found.places == {"b.tif": ImagePlace(None, "B03", "4", "C03", "t1z2")}


def test_what_comes_before_the_damage_is_read() -> None:
    found = read_sidecar("Index.xml", index("DAPI", "GFP")[:-60])
    assert (list(found.places), found.is_whole) == (["1.tiff"], False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a><Image><URL>&c;</URL></Image></a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<?xml version="1.0" encoding="klingon"?><a/>',
        b"<a>" * 200,
        b"\x89PNG",
    ],
)
def test_what_cannot_be_read_says_nothing(data: bytes) -> None:
    found = read_sidecar("Index.xml", data)
    assert (found.channels, found.places, found.is_whole) == ({}, {}, False)


def test_more_than_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecars, "_MAX_RECORDS", 4)
    found = read_sidecar("Index.xml", index("A", "B", "C"))
    assert (list(found.places), found.is_whole) == (["1.tiff", "2.tiff"], False)
    monkeypatch.setattr(sidecars, "_MAX_BYTES", 10)
    assert not read_sidecar("Index.xml", index("A")).is_whole


def test_texts_are_cut() -> None:
    assert len(read_sidecar("Index.xml", index("x" * 100_000)).channels["ch1"]) == 1000


@given(
    st.sampled_from(["Index.xml", "p.HTD", "m.mlf"]),
    st.binary(max_size=200),
    st.text("<>/Image&;'\" =URL1", max_size=100),
)
def test_any_bytes_are_a_sidecar(name: str, data: bytes, text: str) -> None:
    assert is_sidecar(name)
    read_sidecar(name, data)
    read_sidecar(name, f"<a><Image>{text}".encode())
    read_sidecar(name, b'"WaveName1", ' + data)
