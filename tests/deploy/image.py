"""What `docker build` would make, made without an engine: the build stage's own lines, in a sandbox."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.deploy import dockerfile
from tests.deploy.dockerfile import ROOT, copied, environment, let_through, named, only
from tests.deploy.files import image_user
from tests.deploy.sandbox import Root

BUILD, FINAL = dockerfile.stages()
_CACHE = re.compile(r"--mount=type=cache,target=(\S+) ")
_SOURCES = "/src"


class Image:
    """The image's files below a folder, and how they are run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = Root(folder / "tools")
        self._inside = {name: folder / name.strip("/") for name in (_SOURCES, "/opt", "/dist")}

    def build(self) -> None:
        """Do what stands in the build stage, and what the last one copies.

        Raises:
            AssertionError: a line of it failed.
        """
        assert only(BUILD, "WORKDIR").text == _SOURCES
        for folder in self._inside.values():
            folder.mkdir()
        for source in let_through(_context()):
            if any(source == wanted or source.startswith(wanted) for wanted, _ in copied(BUILD)):
                target = self._inside[_SOURCES] / source
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / source, target)
        variables = [f"{name}={value}" for name, value in environment(BUILD).items()]
        for line in named(BUILD, "RUN"):
            writable = dict(self._inside)
            for cache in _CACHE.findall(line.text):
                writable[cache] = _own_cache()
            shell = ["env", "--chdir", _SOURCES, *variables, "sh", "-ec", _CACHE.sub("", line.text)]
            command = [*self._root.to_build(writable=writable), *shell]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"RUN {line.text}\n{done.stdout}{done.stderr}"
        for source, place in copied(FINAL):
            assert place.startswith("/opt/")
            shutil.copyfile(ROOT / source, self._inside["/opt"] / Path(place).name)
        assert [each.text for each in named(FINAL, "COPY") if "--from" in each.text] == [
            "--from=build /opt/venv /opt/venv"
        ]
        shutil.rmtree(self._inside["/opt"] / "build")

    @property
    def libraries(self) -> Path:
        """Where the installed packages are."""
        (found,) = self._inside["/opt"].glob("venv/lib/python3.*/site-packages")
        return found

    def entrypoint(self, *arguments: str, data: Path, **environ: str) -> list[str]:
        """The command that ``docker run`` would carry out, with these arguments or the image's own."""
        given = arguments or tuple(only(FINAL, "CMD").listed())
        return self.command(*only(FINAL, "ENTRYPOINT").listed(), *given, data=data, **environ)

    def command(self, *command: str, data: Path, **environ: str) -> list[str]:
        """Any command in a container of the image; ``data`` is its volume."""
        start = self._root.to_run(
            user=image_user(),
            environ={**environment(FINAL), **environ},
            shown={"/opt": self._inside["/opt"]},
            writable={only(FINAL, "VOLUME").text: data},
        )
        return [*start, *command]


def _context() -> Iterator[str]:
    """Every file of the project that is not git's to ignore: what a checkout has, and what is new."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return (path for path in listed.stdout.splitlines() if (ROOT / path).is_file())


def _own_cache() -> Path:
    """pip's cache of this machine."""
    folder = Path.home() / ".cache" / "pip"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
