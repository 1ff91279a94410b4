"""A device named "standin", on which code for accelerators runs without one.

Its tensors compute on the CPU, and refuse what accelerators refuse: tensors and generators of other
devices, conversion to NumPy, and, as Apple's MPS does, float64, decompositions and adaptive pooling
to sides that are no divisors. Each operation that would wait for the device is counted. The device
is installed for a whole process and stays, before skdim is imported.
"""

from collections import Counter
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._pytree import tree_leaves, tree_map

NAME = "standin"
# Bit of the seeds of its generators, which the CPU's draws do not depend on.
MARK = 1 << 62
LACKING = {"_linalg_eigh", "linalg_qr", "_linalg_svd"}
READING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "bincount"}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
# Those waits that have happened, and the free memory that the device tells.
WAITS: Counter[str] = Counter()
FREE = [2**40]


class Generator(torch._C.Generator):
    """A generator that knows its device; torch can only make those of devices written in C++."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls)

    def __init__(self, device="cpu"):
        self.owner = torch.device(device)
        self.manual_seed(0)

    @property
    def device(self):
        return self.owner

    def manual_seed(self, seed):
        super().manual_seed(seed | MARK if self.owner.type == NAME else seed)
        return self


class Backend:
    """What ``torch.get_device_module`` gives."""

    default: Generator

    def is_available(self):
        return True

    is_initialized = is_available

    def _is_in_bad_fork(self):
        return False

    def device_count(self):
        return 1

    def current_device(self):
        return 0

    def mem_get_info(self, device=None):
        return FREE[0], 2**40

    def manual_seed_all(self, seed):
        self.default.manual_seed(seed)

    manual_seed = manual_seed_all

    def get_rng_state(self, device=None):
        return self.default.get_state()

    def set_rng_state(self, state, device=None):
        self.default.set_state(state)

    def get_amp_supported_dtype(self):
        return [torch.bfloat16]


class Standin(Tensor):
    """A tensor of the device, whose numbers are in ``held``."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held):
        if held.dtype == torch.float64:
            raise TypeError(f"{NAME} has no float64")
        return Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            held.stride(),
            held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
        )

    def __init__(self, held):
        self.held = held

    def __repr__(self):
        return f"{NAME}({self.held})"

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        return run(op, args, kwargs or {})

    def tolist(self):
        WAITS["tolist"] += 1
        return self.held.tolist()

    def numpy(self, *args, **kwargs):
        raise TypeError(f"{NAME} tensors have no numpy(); copy them to the CPU first")

    __array__ = numpy


def run(op, args, kwargs):
    """Check the devices of an operation, count whether it waits, and compute it on the CPU."""
    name = op._schema.name.split("::")[1]
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    ours = [x for x in tensors if isinstance(x, Standin)]
    asked = kwargs.get("device")
    to_us = bool(ours) if asked is None else torch.device(asked).type == NAME
    check_operation(name, args, tensors, bool(ours))
    generators = [x for x in (*args, *kwargs.values()) if isinstance(x, torch._C.Generator)]
    if any(bool(x.initial_seed() & MARK) != to_us for x in generators):
        raise RuntimeError(f"{name} draws from a generator of another device")
    kwargs = {k: v for k, v in kwargs.items() if k not in ("pin_memory", "device")}
    if to_us and not generators and any(a.name == "generator" for a in op._schema.arguments):
        kwargs["generator"] = Backend.default
    count_wait(name, args, kwargs, bool(ours), to_us)
    if asked is not None and name != "_to_copy":
        kwargs["device"] = "cpu"
    given = tree_map(held_of, args)
    result = op(*given, **tree_map(held_of, kwargs))
    if name == "_to_copy" and result is given[0]:
        result = result.clone()
    if op._schema.is_mutable and isinstance(result, Tensor):
        return args[0] if isinstance(args[0], Standin) else kwargs.get("out", result)
    return tree_map(on_device, result) if to_us else result


def check_operation(name, args, tensors, ours):
    """Raise an error for what the device lacks, and for tensors of two devices."""
    if ours and name in LACKING:
        raise NotImplementedError(f"{name} is not implemented for {NAME}")
    if ours and name == "_adaptive_avg_pool2d":
        sides = zip(args[0].shape[2:], args[1], strict=True)
        if any(side % n for side, n in sides):
            raise RuntimeError(f"{NAME}: input sizes must be divisible by output sizes")
    # Numbers may be on the CPU, and so may indices.
    others = [x for x in tensors if x.ndim and not isinstance(x, Standin)]
    if ours and others and name not in INDEXING | {"_to_copy", "copy_"}:
        raise RuntimeError(f"{name} has tensors of {NAME} and of the CPU")


def count_wait(name, args, kwargs, ours, to_us):
    """Count an operation for which the processor waits until the device has finished."""
    if ours and name in READING:
        WAITS[name] += 1
    if name == "_to_copy" and ours != to_us and not kwargs.get("non_blocking"):
        WAITS["copy"] += 1
    if name == "copy_" and isinstance(args[0], Standin) != isinstance(args[1], Standin):
        WAITS["copy"] += not (kwargs.get("non_blocking") or args[2:] == (True,))
    if ours and name in INDEXING:
        indices = [index for index in args[1] if index is not None]
        WAITS["mask"] += sum(index.dtype in (torch.bool, torch.uint8) for index in indices)
        WAITS["index"] += sum(not isinstance(index, Standin) for index in indices)


def held_of(x):
    """Return the numbers of a tensor of the device, and anything else as it is."""
    return x.held if isinstance(x, Standin) else x


def on_device(x):
    """Put a tensor on the device."""
    return Standin(x) if isinstance(x, Tensor) and not isinstance(x, Standin) else x


def make_on_device(op):
    """Return an operation that makes tensors, for the device."""

    def make(*args, layout=None, device=None, pin_memory=None, **kwargs):
        return on_device(op(*args, **kwargs, device="cpu"))

    return make


def copy_from(source, target, non_blocking=False):
    """Copy numbers, as ``torch.tensor(..., device=...)`` does."""
    WAITS["copy"] += not non_blocking
    held_of(target).copy_(held_of(source))
    return target


def install():
    """Register the device in this process."""

    class Hooks(torch._C._acc.PrivateUse1Hooks):
        def is_available(self):
            return True

        def has_primary_context(self, index):
            return True

        def is_built(self):
            return True

    class Guard(torch._C._acc.DeviceGuard):
        def type_(self):
            return torch._C._autograd.DeviceType.PrivateUse1

    backend_registration._setup_privateuseone_for_python_backend(
        rename=NAME, backend_module=Backend(), hook=Hooks(), device_guard=Guard()
    )
    torch.Generator = Generator
    Backend.default = Generator(NAME)
    library = torch.library.Library("aten", "IMPL")
    for name in (
        "empty.memory_format",
        "empty_strided",
        "arange",
        "arange.start",
        "arange.start_step",
        "eye",
        "eye.m",
    ):
        packet, _, overload = name.partition(".")
        op = getattr(getattr(torch.ops.aten, packet), overload or "default")
        library.impl(name, make_on_device(op), "PrivateUse1")
    library.impl("_copy_from", copy_from, "PrivateUse1")
    install.library = library  # Which would take its operations along.


@contextmanager
def lacking_everything():
    """Let no operation be computed on the device, as a broken one."""
    LACKING.update({"normal_", "uniform_"})
    try:
        yield
    finally:
        LACKING.difference_update({"normal_", "uniform_"})
