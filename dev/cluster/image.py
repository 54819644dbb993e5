#!/usr/bin/env python3
"""Writes an OCI image of one layer, without Docker: image.py NAME OUT.tar [--user UID] [--entrypoint PROGRAM] PATH=FILE...

Or another one of an image that it wrote: image.py NAME OUT.tar --from IMAGE.tar --replace OLD=NEW... puts some bytes in the
place of as many others, so that a test has two versions of a program and compiles one.

PATH=FILE puts a file at a path, PATH=MODE/ an empty folder of that octal mode, "PATH=>NAME" a link to another path. The same files give the same bytes: times
are 0, owners are root, and entries keep the order of the arguments. `ctr -n k8s.io images import OUT.tar` loads it.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import sys
import tarfile

OCI = "application/vnd.oci.image."


def add(tar, path, data=b"", mode=0o644, kind=tarfile.REGTYPE, to=""):
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(data), to
    tar.addfile(entry, io.BytesIO(data))


def layer(files):
    out, folders = io.BytesIO(), set()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, source in (file.split("=", 1) for file in files):
            path = path.strip("/")
            for parent in (path[:i] for i, letter in enumerate(path) if letter == "/"):
                if parent not in folders:
                    folders.add(parent)
                    add(tar, parent, mode=0o755, kind=tarfile.DIRTYPE)
            if source.startswith(">"):
                add(tar, path, mode=0o777, kind=tarfile.SYMTYPE, to=source[1:])
            elif source.endswith("/"):
                folders.add(path)
                add(tar, path, mode=int(source[:-1], 8), kind=tarfile.DIRTYPE)
            else:
                with open(source, "rb") as file:
                    # Not the file's own mode, which depends on somebody's umask.
                    add(tar, path, file.read(), 0o755 if os.access(source, os.X_OK) else 0o644)
    return out.getvalue()


def read(path):
    """The layer of an image that was written here, and how it runs."""
    with tarfile.open(path) as tar:
        def blob(descriptor):
            return tar.extractfile("blobs/" + descriptor["digest"].replace(":", "/")).read()

        index = json.load(tar.extractfile("index.json"))
        manifest = json.loads(blob(index["manifests"][0]))
        return gzip.decompress(blob(manifest["layers"][0])), json.loads(blob(manifest["config"]))["config"]


def replaced(plain, pair):
    old, new = (part.encode() for part in pair.split("=", 1))
    if len(old) != len(new):
        sys.exit(f"image: --replace {pair}: both have to be of one length")
    if old not in plain:
        sys.exit(f"image: --replace {pair}: it is nowhere in the image")
    return plain.replace(old, new)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("out")
    parser.add_argument("--user")
    parser.add_argument("--entrypoint")
    parser.add_argument("--from", dest="source", metavar="IMAGE.tar")
    parser.add_argument("--replace", action="append", default=[], metavar="OLD=NEW")
    parser.add_argument("files", nargs="*", metavar="PATH=FILE")
    args = parser.parse_intermixed_args()
    if bool(args.source) == bool(args.files):
        parser.error("takes files, or --from")

    blobs = {}

    def blob(kind, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": OCI + kind, "digest": digest, "size": len(data)}

    def document(kind, value):
        return blob(kind, json.dumps(value, sort_keys=True).encode())

    if args.source:
        plain, run = read(args.source)
    else:
        plain, run = layer(args.files), {"User": args.user, "Entrypoint": args.entrypoint and [args.entrypoint]}
    for pair in args.replace:
        plain = replaced(plain, pair)
    packed = blob("layer.v1.tar+gzip", gzip.compress(plain, 6, mtime=0))
    config = document("config.v1+json", {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os": "linux",
        "config": {key: value for key, value in run.items() if value},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
    })
    manifest = document("manifest.v1+json", {
        "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": config, "layers": [packed],
    })
    # containerd takes the name from the first, other tools from the second.
    names = {"io.containerd.image.name": args.name, "org.opencontainers.image.ref.name": args.name}
    index = {"schemaVersion": 2, "manifests": [manifest | {"annotations": names}]}

    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    new = args.out + ".new"
    with tarfile.open(new, "w", format=tarfile.USTAR_FORMAT) as tar:
        add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add(tar, "index.json", json.dumps(index, sort_keys=True).encode())
        for digest, data in blobs.items():
            add(tar, "blobs/sha256/" + digest.removeprefix("sha256:"), data)
    os.rename(new, args.out)
    print(f"{args.name} {manifest['digest']}: {os.path.getsize(args.out) / 1e6:.1f} MB, {args.out}")


if __name__ == "__main__":
    main()
