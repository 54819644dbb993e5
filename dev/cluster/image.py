#!/usr/bin/env python3
"""Writes an OCI image of one layer, without Docker: image.py NAME OUT.tar [--user UID] [--entrypoint PROGRAM] PATH=FILE...

PATH=FILE puts a file at a path, PATH=MODE/ an empty folder of that octal mode. The same files give the same bytes: times
are 0, owners are root, and entries keep the order of the arguments. `ctr -n k8s.io images import OUT.tar` loads it.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import tarfile

OCI = "application/vnd.oci.image."


def add(tar, path, data=b"", mode=0o644, kind=tarfile.REGTYPE):
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.size = kind, mode, len(data)
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
            if source.endswith("/"):
                folders.add(path)
                add(tar, path, mode=int(source[:-1], 8), kind=tarfile.DIRTYPE)
            else:
                with open(source, "rb") as file:
                    # Not the file's own mode, which depends on somebody's umask.
                    add(tar, path, file.read(), 0o755 if os.access(source, os.X_OK) else 0o644)
    return out.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("out")
    parser.add_argument("--user")
    parser.add_argument("--entrypoint")
    parser.add_argument("files", nargs="+", metavar="PATH=FILE")
    args = parser.parse_args()

    blobs = {}

    def blob(kind, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": OCI + kind, "digest": digest, "size": len(data)}

    def document(kind, value):
        return blob(kind, json.dumps(value, sort_keys=True).encode())

    plain = layer(args.files)
    packed = blob("layer.v1.tar+gzip", gzip.compress(plain, 6, mtime=0))
    run = {"User": args.user, "Entrypoint": args.entrypoint and [args.entrypoint]}
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
