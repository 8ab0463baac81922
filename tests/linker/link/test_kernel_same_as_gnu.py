"""The kernel of every profile, linked by GNU ld of the same objects: the same executable."""

from collections.abc import Callable
from pathlib import Path

import pytest

import linker
from kernel import build, linking
from kernel.profiles import PROFILES
from linker.objects.writer import write_object
from tests.linker.link.test_same_as_gnu import assert_same


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_kernel_of_a_profile_links_the_same(
    name: str, tmp_path: Path, gnu_ld: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    links = []

    def watched(objects: list[linker.LinkResult], **options: object) -> linker.LinkResult:
        links.append((objects, options))
        return linker.link(objects, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(linking, "link", watched)
    built = build.build(build.profile_named(name), tmp_path / "kernel")
    objects, options = links[-1]
    (tmp_path / "kernel.ld").write_text(options["script"])
    files = []
    for number, obj in enumerate(objects):
        files.append(tmp_path / f"{number:03}.o")
        files[-1].write_bytes(write_object(obj))
    defines = [f"--defsym={symbol}={value}" for symbol, value in options["options"].defines]
    assert_same(gnu_ld("-T", tmp_path / "kernel.ld", *defines, *files), built.elf)
