"""Small sound photos of every family and kind, to be damaged."""

from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from sr_core.image.encode import encode
from sr_core.image.picture import PhotoFormat, Picture
from tests.sr_core.image import heif_files, jpeg_files, raw_files
from tests.sr_core.image.photo_files import (
    P3_NCLX,
    bomb_png,
    chunk,
    everything,
    exif_block,
    noise,
    picture_of,
    png_bytes,
    scene,
    with_chunks,
)

__all__ = ["write_seeds"]

_OURS: tuple[tuple[PhotoFormat, int, bool], ...] = (
    ("jpeg", 8, False), ("png", 8, True), ("png", 16, False), ("webp", 8, True), ("heic", 8, True), ("heic", 10, False),
    ("avif", 8, True), ("avif", 12, False), ("tiff", 8, True), ("tiff", 16, False),
)  # fmt: skip
_GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap"


def write_seeds(folder: Path) -> list[Path]:
    """Returns the photos, written to a folder."""
    paths: list[Path] = []
    for family, bits, has_alpha in _OURS:
        path = folder / f"{family}-{bits}.{family}"
        alpha = noise(40, 56, 1, bits, seed=2)[:, :, 0] if has_alpha else None
        picture: Picture = picture_of(scene(40, 56, 3, bits), bits, alpha=alpha, metadata=everything(6))
        encode(picture, path, photo_format=family)
        paths.append(path)
    for name, data in _made().items():
        path = folder / name
        path.write_bytes(data)
        paths.append(path)
    return paths


def _made() -> dict[str, bytes]:
    """Returns photos that the encoders here do not write."""
    light = raw_files.light_scene(48, 64)
    sixteen = np.rint(light * 65535).astype(np.uint16)
    mapped = heif_files.with_map(
        heif_files.turned(heif_files.heic_items(scene(32, 48), exif=b"Exif\x00\x00" + exif_block(6)), 6),
        heif_files.heic_items(scene(16, 24, 1)),
        _GAIN_MAP,
    )
    toned = heif_files.with_tone_map(
        heif_files.avif_items(scene(32, 48)), heif_files.avif_items(scene(16, 24, 1)), bytes(62)
    )
    cmyk = BytesIO()
    Image.fromarray(scene(24, 32)).convert("CMYK").save(cmyk, "JPEG")
    film = BytesIO()
    frames = [Image.fromarray(noise(24, 32, 3, 8, seed)) for seed in range(3)]
    frames[0].save(film, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    jpeg = jpeg_files.jpeg_bytes(scene(40, 56), exif=b"Exif\x00\x00" + exif_block(6))
    return {
        "bayer.dng": raw_files.bayer_dng(light),
        "linear.dng": raw_files.linear_dng(sixteen),
        "jpeg-xl.dng": raw_files.packed_dng(sixteen),
        "deflate.dng": raw_files.packed_dng(sixteen, 8),
        "gain-map.heic": heif_files.file_bytes(mapped),
        "tone-map.avif": heif_files.file_bytes(toned),
        "film.avif": heif_files.film(heif_files.avif_items(scene(24, 32))),
        "gain-map.jpg": jpeg_files.several_pictures(jpeg, jpeg_files.jpeg_bytes(scene(20, 28, 1))),
        "cmyk.jpg": cmyk.getvalue(),
        "film.webp": film.getvalue(),
        "palette.png": _palette_png(),
        "notes.png": with_chunks(
            png_bytes(scene(24, 32)),
            chunk(b"tEXt", b"Comment\x00harbour"),
            chunk(b"cICP", bytes(P3_NCLX[:2]) + b"\x00\x01"),
            chunk(b"eXIf", exif_block(8)),
        ),
        "bomb.png": bomb_png(30000, 30000),
        "float.tiff": raw_files.tiff_bytes(light.astype(np.float32), photometric="rgb"),
        "tiles.tiff": raw_files.tiff_bytes(
            scene(40, 56, 3, 16), photometric="rgb", tile=(16, 16), compression="zlib", predictor=True
        ),
        "lzw.tiff": raw_files.tiff_bytes(scene(40, 56)[:, :, 0].copy(), photometric="minisblack", compression="lzw"),
        "pages.tiff": _pages_tiff(),
    }


def _palette_png() -> bytes:
    stream = BytesIO()
    Image.fromarray(scene(24, 32)).quantize(16).save(stream, "PNG", transparency=bytes(range(16)))
    return stream.getvalue()


def _pages_tiff() -> bytes:
    stream = BytesIO()
    with tifffile.TiffWriter(stream, bigtiff=True) as tiff:
        for seed in range(3):
            tiff.write(noise(24, 32, 3, 8, seed), photometric="rgb", metadata=None, compression="jpeg")
    return stream.getvalue()
