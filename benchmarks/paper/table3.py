"""The paper's Table 3: SVM, similarity of rebuilt images, information and dependence, CIFAR-10.

    python benchmarks/paper/table3.py --data cifar-10-batches-py

Not the paper's figures by other means, but what they stand for, measured so that it can be
trusted: MS-SSIM of several scales (the paper's code has one); information held out, so that it
cannot exceed what the images can vouch for (the paper's MINE figures do, for all but NAT); total
correlation that no sigmoid changes (the paper's NDM has two columns for one code). Information is
that of the code and the images' first 64 principal components: a lower bound.
"""

from typing import Any

from images import Images
from record import read_options, run
from sklearn.decomposition import PCA

from skdim.information import mutual_information, total_correlation
from skdim.metrics import probe_scores, reconstruction_quality

COLUMNS = ("SVM conv", "SVM hidden", "SVM code", "MS-SSIM", "I(X; code)", "NDM")


def row(*figures: float | None) -> dict[str, float | None]:
    """Name the figures of a line."""
    return dict(zip(COLUMNS, figures, strict=True))


# NDM of DIM without the sigmoid, whose code is the one that is used.
PAPER = {
    "VAE": row(0.5383, 0.4214, 0.3959, 0.72, 93.02, 1.62),
    "AAE": row(0.5522, 0.4334, 0.3776, 0.67, 87.48, 0.03),
    "BiGAN": row(0.5640, 0.3842, 0.4490, 0.46, 37.69, 24.49),
    "NAT": row(0.4862, 0.4263, 0.3959, 0.29, 6.04, 0.02),
    "DIM(G)": row(0.4680, 0.2879, 0.2908, 0.49, 49.63, 9.96),
    "DIM(L+G)": row(0.5755, 0.4556, 0.1863, 0.53, 101.65, 22.89),
    "DIM(L) JSD": row(0.6325, 0.5406, 0.4962, 0.37, 45.09, 9.18),
}


def judge(model: Any, images: Images, seed: int) -> dict[str, float]:
    """Fill all columns."""
    svm = probe_scores(
        model,
        *(images.X, images.y, images.X_test, images.y_test),
        layers=("conv", "hidden", "code"),
        probes=("svm",),
        n_seeds=1,
        random_state=seed,
    )
    codes = model.transform(images.X_test)
    flat = images.X_test.reshape(len(codes), -1).astype("float32")
    components = PCA(64, random_state=seed).fit_transform(flat)
    return {
        **{
            f"SVM {layer}": accuracy
            for layer, accuracy in zip(svm["layer"], svm["accuracy"], strict=True)
        },
        "MS-SSIM": reconstruction_quality(model, images.X, images.X_test, random_state=seed),
        "I(X; code)": mutual_information(components, codes, random_state=seed),
        "NDM": total_correlation(codes, random_state=seed),
    }


if __name__ == "__main__":
    run("table3", PAPER, judge, read_options(__doc__))
