"""Reading that tests of files share."""

from skdim.saving import open_container


def read_container(path):
    """Return the header and the tensors of a whole file."""
    with open_container(path) as (header, stored, check):
        check()
        return header, {name: tensor.read() for name, tensor in stored.items()}
