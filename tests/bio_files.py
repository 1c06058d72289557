"""Writes small files that the extra `bio` reads, from pixels `(T, Z, C, Y, X)` or colours `(Y, X, 3)`.

All scenes show the same, or those after the first what is `further`.
"""

import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = ("GFP", "DAPI")
PIXEL_SIZE_UM = 0.325


def czi(
    pixels: NDArray,
    names: Sequence[str] = NAMES,
    tile: int | None = None,
    n_scenes: int = 1,
    further: NDArray | None = None,
    **options: Any,
) -> bytes:
    """With Zeiss's own writer; `tile` is the width of the tiles that the image is cut into."""
    from pylibCZIrw import czi as pyczi

    is_colour = pixels.ndim == 3
    stack = pixels[np.newaxis, np.newaxis, np.newaxis, ..., ::-1] if is_colour else pixels[..., np.newaxis]
    width = stack.shape[4]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.czi"
        with pyczi.create_czi(str(path), **options) as writer:
            for t, z, c in np.ndindex(stack.shape[:3]):
                for scene in range(n_scenes):
                    shown = stack if further is None or not scene else further[..., np.newaxis]
                    for left in range(0, width, tile or width):
                        part = np.ascontiguousarray(shown[t, z, c, :, left : left + (tile or width)])
                        plane = {"T": t, "Z": z, "C": c}
                        writer.write(part, location=(1000 * scene + left, 0), plane=plane, scene=scene)
            size_m = PIXEL_SIZE_UM * 1e-6
            writer.write_metadata("made", channel_names=dict(enumerate(names)), scale_x=size_m, scale_y=size_m)
        return path.read_bytes()


def ome_zarr(path: Path, pixels: NDArray, names: Sequence[str] = NAMES, zarr_format: int = 3, **options: Any) -> Path:
    """A store, zipped where the path says so, with a second level of half the size."""
    from bioio_ome_zarr.writers import Channel, OMEZarrWriter

    shape = np.moveaxis(pixels, 2, 1).shape
    size_nm = 1000 * PIXEL_SIZE_UM
    usual = {
        "axes_units": ["second", None, "micrometer", "nanometer", "nanometer"],
        "physical_pixel_size": [1, 1, 1, size_nm, size_nm],
    }
    with OMEZarrWriter(
        str(path),
        level_shapes=[shape, (*shape[:3], shape[3] // 2, shape[4] // 2)],
        dtype=pixels.dtype,
        zarr_format=zarr_format,
        channels=[Channel(label=name, color="FFFFFF") for name in names],
        **usual | options,
    ) as writer:
        writer.write_full_volume(np.moveaxis(pixels, 2, 1))
    return path


def lif(
    pixels: NDArray,
    names: Sequence[str] = NAMES,
    n_scenes: int = 1,
    elements: str = "",
    further: NDArray | None = None,
) -> bytes:
    """A header in UTF-16 and one block of memory an image."""
    n_bytes = pixels.itemsize
    plane = n_bytes * pixels.shape[3] * pixels.shape[4]
    steps = {
        1: (pixels.shape[4], n_bytes, (pixels.shape[4] - 1) * PIXEL_SIZE_UM * 1e-6, "m"),
        2: (pixels.shape[3], n_bytes * pixels.shape[4], (pixels.shape[3] - 1) * PIXEL_SIZE_UM * 1e-6, "m"),
        3: (pixels.shape[1], plane * pixels.shape[2], 1e-6, "m"),
        4: (pixels.shape[0], plane * pixels.shape[2] * pixels.shape[1], 1, "s"),
    }
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{8 * n_bytes}" NameOfMeasuredQuantity="" Min="0" '
        f'Max="1" Unit="" LUTName="{name}" IsLUTInverted="0" BytesInc="{number * plane}" BitInc="0"/>'
        for number, name in enumerate(names)
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{axis}" NumberOfElements="{n}" Origin="0" Length="{length}" Unit="{unit}" '
        f'BytesInc="{step}" BitInc="0"/>'
        for axis, (n, step, length, unit) in steps.items()
    )
    images = "".join(
        f'<Element Name="image {scene}"><Data><Image><ImageDescription><Channels>{channels}</Channels><Dimensions>'
        f"{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{pixels.nbytes}" MemoryBlockID="Block_{scene}"/></Element>'
        for scene in range(n_scenes)
    )
    header = (
        f'<LMSDataContainerHeader Version="2"><Element Name="made"><Children>{images}{elements}</Children></Element>'
        "</LMSDataContainerHeader>"
    )
    made = struct.pack("<IIBI", 0x70, 2 * len(header) + 5, 0x2A, len(header)) + header.encode("utf-16-le")
    for scene in range(n_scenes):
        name = f"Block_{scene}"
        made += struct.pack("<IIBQBI", 0x70, 0, 0x2A, pixels.nbytes, 0x2A, len(name)) + name.encode("utf-16-le")
        made += (pixels if further is None or not scene else further).tobytes()
    return made


def _variant(name: str, value: Any) -> bytes:
    """One entry of the lite variant in which ND2 keeps its metadata."""
    encoded = f"{name}\0".encode("utf-16-le")
    kind = {bool: 1, int: 3, float: 6, str: 8, dict: 11}[type(value)]
    head = struct.pack("BB", kind, len(encoded) // 2) + encoded
    match value:
        case dict():
            items = b"".join(_variant(key, one) for key, one in value.items())
            offsets = bytes(8 * len(value))
            return head + struct.pack("<IQ", len(value), len(head) + 12 + len(items)) + items + offsets
        case str():
            return head + f"{value}\0".encode("utf-16-le")
        case _:
            return head + struct.pack({1: "<?", 3: "<I", 6: "<d"}[kind], value)


def nd2(
    pixels: NDArray,
    names: Sequence[str] = NAMES,
    n_scenes: int = 1,
    is_calibrated: bool = True,
    further: NDArray | None = None,
) -> bytes:
    """Version 3, not compressed: chunks, and their map at the end."""
    is_colour = pixels.ndim == 3
    stack = pixels[np.newaxis, np.newaxis, ..., ::-1] if is_colour else np.moveaxis(pixels, 2, -1)
    n_times, n_depths, height, width, n_components = stack.shape
    probe = {"m_ExcitationSpectrum": {"uiCount": 0}, "m_EmissionSpectrum": {"uiCount": 0}}
    planes = {
        f"a{number}": {"sDescription": name, "uiCompCount": 3 if is_colour else 1, "pFluorescentProbe": probe}
        for number, name in enumerate(names)
    }
    attributes = {
        "uiWidth": width,
        "uiWidthBytes": width * n_components * stack.itemsize,
        "uiHeight": height,
        "uiComp": n_components,
        "uiBpcInMemory": 8 * stack.itemsize,
        "uiBpcSignificant": 8 * stack.itemsize,
        "uiSequenceCount": n_scenes * n_times * n_depths,
        "eCompression": 2,
    }
    picture = {
        "bCalibrated": is_calibrated,
        "dCalibration": PIXEL_SIZE_UM if is_calibrated else 0.0,
        "sPicturePlanes": {"uiCount": len(planes), "sPlaneNew": planes},
    }
    times = {"uiCount": n_times, "dStart": 0.0, "dPeriod": 1.0, "dDuration": 1.0}
    points = {f"i{number:010}": {"dPosX": float(number)} for number in range(n_scenes)}
    loop: dict[str, Any] = {"eType": 4, "uLoopPars": {"uiCount": n_depths, "dZStep": 1.0}}
    loop = {"eType": 1, "uLoopPars": times, "ppNextLevelEx": {"": loop}}
    loop = {"eType": 2, "uLoopPars": {"Points": points}, "ppNextLevelEx": {"": loop}}
    chunks = {
        "ImageAttributesLV!": _variant("SLxImageAttributes", attributes),
        "ImageMetadataSeqLV|0!": _variant("SLxPictureMetadata", picture),
        "ImageMetadataLV!": _variant("SLxExperiment", loop),
        "CustomData|AcqTimesCache!": bytes(8 * n_scenes * n_times * n_depths),
    }
    others = stack if further is None else np.moveaxis(further, 2, -1)
    scenes = [stack, *[others] * (n_scenes - 1)]
    frames = [shown[t, z] for shown in scenes for t, z in np.ndindex(n_times, n_depths)]
    chunks |= {f"ImageDataSeq|{number}!": bytes(8) + frame.tobytes() for number, frame in enumerate(frames)}
    magic = 0x0ABECEDA
    made = struct.pack("<IIQ32s64s", magic, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0")
    map_of_chunks = b""
    for key, chunk in chunks.items():
        map_of_chunks += key.encode() + struct.pack("<QQ", len(made), len(chunk))
        made += struct.pack("<IIQ4072s", magic, 4072, len(chunk), key.encode()) + chunk
    map_of_chunks += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", len(made))
    return (
        made
        + struct.pack("<IIQ32s", magic, 32, len(map_of_chunks), b"ND2 FILEMAP SIGNATURE NAME 0001!")
        + map_of_chunks
    )
