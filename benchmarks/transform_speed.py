"""``transform`` against the bare encoder in a hand-written chunked loop."""

import argparse

import numpy as np
import torch
from timing import Row, in_turns, ratio, report, seconds

from skdim import DeepInfoMaxTransformer

CHUNK = 64


def main() -> None:
    """Time both in turns, for the paper's encoder and for ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = np.random.default_rng(0).integers(0, 256, (options.images, 3, 32, 32), np.uint8)
    rows, details = [], {}
    for encoder in ("dcgan", "patches"):
        model = DeepInfoMaxTransformer(encoder=encoder, max_epochs=1, random_state=0)
        model.fit(images[:256])

        def bare(net: torch.nn.Module = model.encoder_) -> np.ndarray:
            with torch.no_grad():
                chunks = torch.from_numpy(images).split(CHUNK)
                return torch.cat([net(chunk).code for chunk in chunks]).numpy()

        np.testing.assert_array_equal(bare(), model.transform(images))
        taken = in_turns(
            {
                "bare": lambda bare=bare: seconds(bare),
                "transform": lambda model=model: seconds(lambda: model.transform(images)),
            },
            options.repeats,
        )
        details[encoder] = taken
        what = f"transform against the bare encoder, {encoder}"
        rows.append(Row(what, ratio(taken, "bare", "transform"), 0.95))
    report("transform_speed", rows, details)


if __name__ == "__main__":
    main()
