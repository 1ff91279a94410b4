"""What the tests of estimators share."""


def weights_of(fitted):
    """Everything trained, as numbers that compare with ``==``."""
    state = fitted.net_.state()
    return {
        f"{part}.{name}": tensor.cpu().numpy().tobytes()
        for part in state
        for name, tensor in state[part].items()
    }
