"""Core ML packages as files: their names, their bytes, their way into a zip and out again.

A package is a directory ``Name.mlpackage`` that holds ``Manifest.json`` and, below ``Data``, the network and its
weights. It travels as a zip of that one directory. Equal packages give equal zips, byte for byte, on machines with the
same zlib. Neither torch nor coremltools is needed here.
"""

import hashlib
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final, Literal, TypeAlias

from sr_core.errors import OutputError, PackageError

__all__ = [
    "INPUT",
    "MAX_BYTES",
    "OUTPUT",
    "SUFFIX",
    "CoreMLCompute",
    "file_hashes",
    "package_bytes",
    "package_name",
    "unzip_package",
    "write_zip",
    "zip_package",
]

CoreMLCompute: TypeAlias = Literal["float32", "float32-stored-float16", "float16", "mixed"]
"""Number format of a package's arithmetic: float32; float32 with constants stored as float16; float16; or float16 with
some kinds of operations in float32."""

INPUT: Final = "image"
"""What every package calls the picture that goes in."""

OUTPUT: Final = "upscaled"
"""What every package calls the picture that comes out."""

SUFFIX: Final = ".mlpackage"
MANIFEST: Final = "Manifest.json"

MAX_BYTES: Final = 512 * 2**20
"""The largest package that is unzipped or hashed; the largest published SwinIR takes a tenth of it."""

MAX_FILES: Final = 256
DATE: Final = (1980, 1, 1, 0, 0, 0)
FILE_MODE: Final = 0o644
FOLDER_MODE: Final = 0o755
LEVEL: Final = 9
UNIX: Final = 3


def package_name(variant_id: str, tile: int) -> str:
    """Returns the file name, without suffix, of a variant's package: what Xcode calls the class.

    Args:
        variant_id: The variant's id, such as ``swinir-light-x2-photos39-int8``.
        tile: Side of the square picture that the package takes, in pixels.
    """
    words = re.split(r"[-.]", variant_id)
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return f"{'N' if name[:1].isdigit() else ''}{name}_T{tile}"  # no class begins with a digit


def zip_package(package: Path, path: Path) -> None:
    """Writes a package as a zip of one directory, byte for byte the same for the same package.

    Args:
        package: The directory ``Name.mlpackage``.
        path: Where to write; replaced only when the new zip is complete.

    Raises:
        PackageError: The directory is no package.
    """
    files = _files(package)
    folders = {PurePosixPath(package.name)}
    for name in files:
        folders |= {PurePosixPath(package.name, folder) for folder in PurePosixPath(name).parents}
    contents = {f"{folder}/": None for folder in sorted(folders)}
    write_zip(path, contents | {f"{package.name}/{name}": file.read_bytes() for name, file in files.items()})


def write_zip(path: Path, contents: Mapping[str, bytes | None]) -> None:
    """Writes a zip, byte for byte the same for the same contents in the same order.

    Args:
        path: Where to write; replaced only when the new zip is complete.
        contents: What each file holds, by its name; None for a folder.
    """
    part = path.with_name(path.name + ".part")
    with zipfile.ZipFile(part, "w") as archive:
        for name, data in contents.items():
            if data is None:
                archive.writestr(_entry(name, stat.S_IFDIR | FOLDER_MODE), b"")
            else:
                archive.writestr(_entry(name, stat.S_IFREG | FILE_MODE), data, zipfile.ZIP_DEFLATED, LEVEL)
    part.replace(path)


def unzip_package(path: Path, folder: Path) -> Path:
    """Returns the package directory after unzipping it into a folder.

    Args:
        path: The zip; from anywhere, nothing in it is trusted.
        folder: An existing folder that does not hold a package of this name yet.

    Raises:
        PackageError: The file is no zip of one package, is damaged, is larger than ``MAX_BYTES`` when unzipped, or
            names files that would land elsewhere.
        OutputError: The folder already holds a package of this name.
    """
    with _open(path) as archive:
        top, files = _entries(archive, path.name)
        target = folder / top
        if target.exists() or target.is_symlink():
            raise OutputError(f"{target} already exists; remove it or choose another folder.")
        with tempfile.TemporaryDirectory(prefix=".unzip-", dir=folder) as half_done:
            package = Path(half_done) / top
            package.mkdir()
            for name, info in files.items():
                file = package / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(_read(archive, info, path.name))
            shutil.move(package, target)
    return target


def file_hashes(package: Path) -> dict[str, str]:
    """Returns the sha256 of each file of a package by its path below the package directory, in the order of paths.

    Args:
        package: The directory, or a zip of it; both give the same.

    Raises:
        PackageError: It is neither.
    """
    if package.is_dir():
        return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in _files(package).items()}
    with _open(package) as archive:
        _, files = _entries(archive, package.name)
        return {name: hashlib.sha256(_read(archive, info, package.name)).hexdigest() for name, info in files.items()}


def package_bytes(package: Path) -> int:
    """Returns the length of the files of a package, unzipped.

    Args:
        package: The directory, or a zip of it; both give the same.

    Raises:
        PackageError: It is neither.
    """
    if package.is_dir():
        return sum(file.stat().st_size for file in _files(package).values())
    with _open(package) as archive:
        return sum(info.file_size for info in _entries(archive, package.name)[1].values())


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, DATE)
    info.create_system = UNIX
    info.external_attr = mode << 16 | (0x10 if stat.S_ISDIR(mode) else 0)
    return info


def _files(package: Path) -> dict[str, Path]:
    """Returns the files of a package directory by their path below it, in order."""
    if not package.is_dir() or package.suffix != SUFFIX:
        raise PackageError(f"{package.name} is no Core ML package: a directory that ends in {SUFFIX} is expected.")
    paths = sorted(package.rglob("*"), key=lambda path: path.relative_to(package).as_posix())
    files: dict[str, Path] = {}
    for path in paths:
        name = path.relative_to(package).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise PackageError(f"The package {package.name} holds {name}, which is neither a file nor a directory.")
        if path.is_file():
            files[name] = path
    if MANIFEST not in files:
        raise PackageError(f"{package.name} is no Core ML package: it holds no {MANIFEST}.")
    return files


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise PackageError(f"The package {path.name} is missing.") from error
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise PackageError(f"{path.name} is damaged or no zip file.") from error


def _entries(archive: zipfile.ZipFile, name: str) -> tuple[str, dict[str, zipfile.ZipInfo]]:
    """Returns the package directory's name and its files by path below it, in order; refuses anything unsafe."""
    infos = archive.infolist()
    tops = {info.filename.partition("/")[0] for info in infos}
    top = min(tops, default="")
    if len(tops) != 1 or not top.endswith(SUFFIX) or top == SUFFIX:
        raise PackageError(f"{name} must hold one directory that ends in {SUFFIX} and nothing beside it.")
    if len(infos) > MAX_FILES or sum(info.file_size for info in infos) > MAX_BYTES:
        raise PackageError(
            f"{name} would unzip to more than {MAX_FILES} files or {MAX_BYTES >> 20} MB, which no package here needs."
        )
    files: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for info in infos:
        _check_entry(info, name)
        below = info.filename.rstrip("/").partition("/")[2]
        if below.lower() in seen:
            raise PackageError(f"{name} holds {info.filename!r} twice.")
        seen.add(below.lower())
        if not info.is_dir():
            files[below] = info
    for below in seen:
        if {str(parent).lower() for parent in PurePosixPath(below).parents} & {file.lower() for file in files}:
            raise PackageError(f"{name} holds {below!r} inside of a file.")
    if MANIFEST not in files:
        raise PackageError(f"{name} holds no Core ML package: {MANIFEST} is missing.")
    return top, {below: files[below] for below in sorted(files)}


def _check_entry(info: zipfile.ZipInfo, name: str) -> None:
    parts = info.filename.removesuffix("/").split("/")
    if not all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", part) for part in parts):
        raise PackageError(f"{name} names a file that cannot belong to a package: {info.filename!r}.")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        raise PackageError(f"{name} holds {info.filename!r}, which is neither a file nor a directory.")
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PackageError(f"{name} is packed in a way that is not read here: only plain and deflated files are.")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    try:
        with archive.open(info) as file:
            data = file.read(info.file_size)  # never more: a header that lies must not fill the memory
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise PackageError(f"{name} is damaged at {info.filename!r}.") from error
    if len(data) != info.file_size:
        raise PackageError(f"{name} is damaged at {info.filename!r}.")
    return data
