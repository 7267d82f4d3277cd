#!/usr/bin/env python3
"""Holds files in PyTorch's zip format against what `torch.load(weights_only=True)` accepts, without PyTorch.

Usage: check_weights_only.py FILE...   Exit status 0 when every file passes; else the faults, one a line.
"""

import pickletools
import struct
import sys
import zipfile

# The opcodes that torch/_weights_only_unpickler.py (PyTorch 2.11) implements, by pickletools' names.
OPCODES = {
    "PROTO", "STOP", "GLOBAL", "NEWOBJ", "REDUCE", "BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "MARK",
    "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "NONE", "NEWFALSE", "NEWTRUE", "EMPTY_TUPLE", "EMPTY_LIST",
    "EMPTY_DICT", "EMPTY_SET", "BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING",
    "BINPERSID", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "LONG1",
}
STORAGES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8,
    "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}
GLOBALS = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2"} | {f"torch {name}" for name in STORAGES}


def entry_faults(path, archive):
    """Faults of the archive itself: checksums, compression, alignment, the entries that must be there."""
    damaged = archive.testzip()
    if damaged:
        yield f"the checksum of {damaged} does not hold"
    with open(path, "rb") as raw:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                yield f"{info.filename} is compressed"
            raw.seek(info.header_offset + 26)
            name_length, extra_length = struct.unpack("<HH", raw.read(4))
            start = info.header_offset + 30 + name_length + extra_length
            if start % 64:
                yield f"{info.filename} starts at {start}, which is not a multiple of 64"


def pickle_faults(prefix, archive):
    """Faults of the pickle: opcodes and globals off the list, storages that are not there in the size that is named."""
    recent, memo = [], {}
    for opcode, argument, position in pickletools.genops(archive.read(f"{prefix}/data.pkl")):
        if opcode.name not in OPCODES:
            yield f"opcode {opcode.name} at {position}"
        if opcode.name == "GLOBAL" and argument not in GLOBALS:
            yield f"global {argument} at {position}"
        if opcode.name == "PROTO" and argument != 2:
            yield f"protocol {argument}"
        if opcode.name == "BINPERSID":
            # ("storage", type, key, location, length), then TUPLE.
            tag, kind, key, location, length = recent[-6:-1]
            size = STORAGES[kind.split()[1]] * length
            found = archive.getinfo(f"{prefix}/data/{key}").file_size
            if (tag, location) != ("storage", "cpu") or found != size:
                yield f"storage {key} has {found} bytes, {size} expected"
        if opcode.name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = recent[-1]
            continue
        recent.append(memo[argument] if opcode.name in ("BINGET", "LONG_BINGET") else argument)


def faults(path):
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        prefix = names[0].split("/")[0]
        yield from entry_faults(path, archive)
        for needed in ("data.pkl", "byteorder", "version"):
            if f"{prefix}/{needed}" not in names:
                yield f"{needed} is missing"
        if archive.read(f"{prefix}/byteorder") != b"little":
            yield "the byte order is not little"
        yield from pickle_faults(prefix, archive)


def main():
    bad = False
    for path in sys.argv[1:]:
        for fault in faults(path):
            bad = True
            print(f"{path}: {fault}")
    return 1 if bad or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
