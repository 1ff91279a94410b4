"""What can happen to a file on its way, and what somebody may do to it who means harm.

Damage is done to bytes, whatever they mean. Forgeries know the format: they change the header or
the tensors of a saved transformer, and write the SHA-256 that then belongs there.
"""

import copy
import json
import struct
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import skdim
from skdim.critics import Discriminator, DotCritic
from skdim.encoders import MLPEncoder
from skdim.priors import PRIORS
from skdim.saving.container import digest_of

# What no reading of a file has a reason to do.
FORBIDDEN = {
    "ctypes.dlopen",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.spawn",
    "os.system",
    "pickle.find_class",
    "shutil.rmtree",
    "socket.connect",
    "subprocess.Popen",
}

PICKLE_THAT_CALLS = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x09echo owned\x85R."

STRANGE = [
    None, True, -1, 0, 3, 2**31, 2**62, 10**30, 0.5, -1e308, "", "os.system", "../..", "nan", [],
    {}, [[]], [1, 2, 3], {"callable": "os.system"}, {"callable": "DotCritic"}, {"tuple": [3, 8, 8]},
    {"partial": {"of": {"callable": "eval"}, "args": ["1"], "keywords": {}}},
    {"object": {"class": "Prior", "fields": {}}}, {"float": "inf"}, {"unknown": 1},
    {"array": {"dtype": "object", "values": [1]}},
    {"array": {"dtype": "U99999999", "values": [""]}},
    {"array": {"dtype": "<f8", "values": [[1], [1, 2]]}}, {"device": "cuda:99"}, {"path": "/"},
    {"dict": [[{"dict": []}, 1]]}, {"tuple": [10**9, 10**9, 10**9]}, {"tensor": "x"},
    {"tensor": []}, {"tensor": ["generators.own", 1, 0]},
]  # fmt: skip


# Stands for one level of nesting, where it fills a string.
DEEP = "deep,"


class Watch:
    """Count what a reader of files must not do."""

    def __init__(self):
        self.on = False
        self.seen = []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if self.on and event in FORBIDDEN:
            self.seen.append((event, repr(arguments)[:100]))

    @contextmanager
    def over(self):
        """Watch for a while."""
        self.on = True
        try:
            yield
        finally:
            self.on = False


# ---------------------------------------------------------------------------------------------
# Damage


def truncate(content, rng):
    return content[: rng.integers(len(content))]


def flip_bits(content, rng):
    damaged = bytearray(content)
    for place in rng.integers(len(content), size=rng.integers(1, 9)):
        damaged[place] ^= 1 << rng.integers(8)
    return bytes(damaged)


def flip_bits_of_the_start(content, rng):
    damaged = bytearray(content)
    damaged[rng.integers(min(2000, len(content)))] ^= 1 << rng.integers(8)
    return bytes(damaged)


def lose_a_stretch(content, rng):
    start, stop = np.sort(rng.integers(len(content), size=2))
    return content[:start] + content[stop:]


def blank_a_stretch(content, rng):
    start, stop = np.sort(rng.integers(len(content), size=2))
    return content[:start] + bytes(stop - start) + content[stop:]


def append(content, rng):
    return content + rng.bytes(rng.integers(1, 1000))


def lie_about_the_header(content, rng):
    length = int(rng.choice([0, 1, 2**32, 2**63, 2**64 - 1, len(content), len(content) - 8]))
    return struct.pack("<Q", length % 2**64) + content[8:]


def replace_by_noise(content, rng):
    return rng.bytes(rng.integers(1, 5000))


def replace_by_a_pickle(content, rng):
    return PICKLE_THAT_CALLS + content[: rng.integers(100)]


DAMAGES = [
    truncate,
    flip_bits,
    flip_bits_of_the_start,
    lose_a_stretch,
    blank_a_stretch,
    append,
    lie_about_the_header,
    replace_by_noise,
    replace_by_a_pickle,
]


# ---------------------------------------------------------------------------------------------
# Forgeries


def open_up(content):
    """Give the header and the tensors of a saved transformer."""
    (length,) = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    return json.loads(metadata["skdim"]), load_tensors(content)


def seal(header, tensors):
    """Write a file as ``save`` would have written this content."""
    text = json.dumps(header)
    depth = text.count(DEEP)  # json could not write what is nested so deeply.
    text = text.replace(f'"{DEEP * depth}"', "[" * depth + "]" * depth)
    arrays = {name: np.ascontiguousarray(v).reshape(v.shape) for name, v in tensors.items()}
    digest = digest_of(text, {name: torch.from_numpy(v) for name, v in arrays.items()})
    return save_tensors(tensors, metadata={"skdim": text, "sha256": digest})


def places_of(value, path=()):
    """Yield the way to each value of nested dicts and lists."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in entries:
        yield (*path, name)
        if isinstance(part, dict | list):
            yield from places_of(part, (*path, name))


def choose_place(header, rng):
    places = list(places_of(header))
    *way, last = places[rng.integers(len(places))]
    parent = header
    for name in way:
        parent = parent[name]
    return parent, last


def change_a_value(header, tensors, rng):
    parent, name = choose_place(header, rng)
    parent[name] = copy.deepcopy(STRANGE[rng.integers(len(STRANGE))])


def change_a_parameter(header, tensors, rng):
    names = sorted(header["parameters"])
    header["parameters"][names[rng.integers(len(names))]] = STRANGE[rng.integers(len(STRANGE))]


def remove_a_value(header, tensors, rng):
    parent, name = choose_place(header, rng)
    del parent[name]


def add_a_value(header, tensors, rng):
    parent, _ = choose_place(header, rng)
    strange = copy.deepcopy(STRANGE[rng.integers(len(STRANGE))])
    if isinstance(parent, dict):
        parent[str(rng.choice(["__reduce__", "transform", "callbacks", "x"]))] = strange
    else:
        parent.append(strange)


def nest_a_value(header, tensors, rng):
    parent, name = choose_place(header, rng)
    parent[name] = DEEP * int(rng.choice([1, 100, 100_000]))


def names_of(tensors, rng, n):
    return rng.choice(sorted(tensors), size=n, replace=False)


def swap_tensors(header, tensors, rng):
    one, other = names_of(tensors, rng, 2)
    tensors[one], tensors[other] = tensors[other], tensors[one]


def drop_a_tensor(header, tensors, rng):
    del tensors[names_of(tensors, rng, 1)[0]]


def add_a_tensor(header, tensors, rng):
    tensors[str(rng.choice(["module.x", "criterion.0", "x", ""]))] = np.zeros(3, np.float32)


def reshape_a_tensor(header, tensors, rng):
    name = names_of(tensors, rng, 1)[0]
    tensors[name] = np.zeros((*tensors[name].shape, 2), tensors[name].dtype)


def retype_a_tensor(header, tensors, rng):
    name = names_of(tensors, rng, 1)[0]
    tensors[name] = tensors[name].astype(rng.choice(["float16", "float64", "uint32", "bool"]))


def poison_a_tensor(header, tensors, rng):
    name = names_of([n for n, v in tensors.items() if v.dtype.kind == "f"], rng, 1)[0]
    poisoned = tensors[name].copy()
    poisoned.reshape(-1)[rng.integers(poisoned.size)] = rng.choice([np.nan, np.inf])
    tensors[name] = poisoned


FORGERIES = [
    change_a_value,
    change_a_value,
    change_a_parameter,
    remove_a_value,
    add_a_value,
    nest_a_value,
    swap_tensors,
    drop_a_tensor,
    add_a_tensor,
    reshape_a_tensor,
    retype_a_tensor,
    poison_a_tensor,
]


# ---------------------------------------------------------------------------------------------
# What becomes of them


def damaged(content, rng):
    """Give the name of a damage, and the damaged bytes."""
    damage = DAMAGES[rng.integers(len(DAMAGES))]
    return damage.__name__, damage(content, rng)


def forged(content, rng, forgeries=FORGERIES):
    """Give the name of a forgery, and the bytes of the forged file."""
    forgery = forgeries[rng.integers(len(forgeries))]
    header, tensors = open_up(content)
    forgery(header, tensors, rng)
    return forgery.__name__, seal(header, tensors)


def forged_checkpoint(content, rng):
    """Give the name of a forgery of a checkpoint, and the bytes of the forged file."""
    return forged(content, rng, [f for f in FORGERIES if f is not change_a_parameter])


def try_to_read(read, path, same):
    """Read a file; give "refused", "loaded", or what went wrong.

    ``same`` says of what was read whether it may have come of this file.
    """
    try:
        loaded = read(path)
    except ValueError as error:
        return "refused" if str(error) else "refused without a word"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "loaded" if same(loaded) else "loaded, but another one"


def small_transformer(X, **parameters):
    """Fit a transformer whose file is small."""
    return skdim.DeepInfoMaxTransformer(
        2,
        encoder=partial(MLPEncoder, n_groups=2, local_units=2, hidden_units=4),
        critic={"local": partial(DotCritic, units=4)},
        prior_weight=0.1,
        prior=replace(PRIORS["normal"], discriminator=partial(Discriminator, units=(4,))),
        view=None,
        max_epochs=2,
        random_state=0,
        device="cpu",
        **parameters,
    ).fit(X)
