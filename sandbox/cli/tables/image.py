"""Flags and help of ``pysandbox image``; see the package."""

from __future__ import annotations

from ..options import Option

_JSON = Option("json", "json", "value", "FILE|-", "", "write it as JSON; with - instead of the text")
_QUIET = Option("quiet", "quiet", "flag", "", "", "print ids and nothing more", "q")
_INSECURE = Option("insecure", "insecure", "flag", "", "",
                   "plain HTTP, or a certificate that nobody vouches for, will do")  # fmt: skip
_AUTH = Option("authfile", "authfile", "value", "FILE", "", "credentials, as skopeo login and podman login write them")
_UNPACK = Option("ids", "ids", "value", "single|range|none", "",
                 "unpack its layers for containers with these --ids (default single), or not yet",
                 choices=("single", "range", "none"))  # fmt: skip

IMAGE_COMMANDS = {
    "import": ("PATH|- [NAME]", "take an image from a file or directory; what it is, its content says"),
    "ls": ("", "the images of the store"),
    "inspect": ("NAME|ID...", "all that is known of them, as JSON"),
    "history": ("NAME|ID", "the steps that made it"),
    "tag": ("NAME|ID NEWNAME", "give it a further name"),
    "rm": ("NAME|ID...", "take a name away, and with its last one the image"),
    "prune": ("", "remove images without a name, and blobs and layers that no image has"),
    "export": ("NAME|ID", "write it to a file, for other tools"),
    "pull": ("HOST/NAME[:TAG]", "fetch it from a registry, by skopeo"),
    "push": ("NAME|ID [HOST/NAME[:TAG]]", "send it to a registry, by skopeo"),
}
IMAGE_FLAGS: dict[str, tuple[Option, ...]] = {
    "import": (
        Option("name", "name", "value", "NAME", "", "the same as the second word"),
        Option("ref", "ref", "value", "NAME|DIGEST", "", "which one, if there are several in it"),
        Option("limit", "limit", "value", "SIZE", "", "what it, or one of its layers, may be unpacked (default 64G)"),
        _UNPACK, _QUIET, _JSON,
    ),
    "ls": (_QUIET, _JSON),
    "inspect": (),
    "history": (_JSON,),
    "tag": (),
    "rm": (Option("force", "force", "flag", "", "", "also names of an image that a container has", "f"), _JSON),
    "prune": (Option("all", "all", "flag", "", "", "every image that no container has", "a"), _JSON),
    "export": (
        Option("format", "format", "value", "FORMAT", "",
               "oci (an archive; the default), oci-dir, docker (for docker load), or rootfs (one tar of the files)",
               choices=("oci", "oci-dir", "docker", "rootfs")),
        Option("out", "out", "value", "FILE|DIR|-", "", "where to (default: stdout)", "o"),
        Option("ids", "ids", "value", "single|range", "", "rootfs: whose files they are (default single: all root's)",
               choices=("single", "range")),
    ),
    "pull": (_INSECURE, _AUTH, _UNPACK, _QUIET, _JSON),
    "push": (_INSECURE, _AUTH, _JSON),
}  # fmt: skip

FLAGS: dict[str, tuple[Option, ...]] = {}
SUBCOMMANDS: dict[str, dict[str, tuple[str, str]]] = {"image": IMAGE_COMMANDS}
SUBFLAGS: dict[str, dict[str, tuple[Option, ...]]] = {"image": IMAGE_FLAGS}
PROGRAMS: tuple[str, ...] = ()
USAGE: dict[str, str] = {"image": "|".join(IMAGE_COMMANDS) + " ..."}
ABOUT: dict[str, str] = {
    "image": """\
Images lie in a directory of yours (docs/images.md). import takes an OCI image layout, as a directory or an
archive, what docker save writes, and a root file system, as a directory or a tar archive; archives may be
compressed by gzip, xz, bzip2 or zstd. NAME is NAME[:TAG], the tag is latest if none is given, and there is no
default registry; an ID may be cut short to 4 digits.""",
}
EXAMPLES: dict[str, str] = {
    "image": """\
    mmdebstrap --variant=minbase stable - | pysandbox image import - debian
    pysandbox image import ./app.oci.tar
    pysandbox image ls
    pysandbox image inspect debian
    pysandbox image pull --insecure localhost:5000/tools:2
    pysandbox image export debian --format docker -o debian.tar
    pysandbox image rm debian""",
}
