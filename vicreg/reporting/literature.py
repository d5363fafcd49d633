"""Published figures, in % as printed, with their sources: they stand beside genuine CIFAR, nothing else."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A publication: what it is called here, what it is, and how its figures were measured."""

    title: str
    reference: str
    protocol: str


@dataclass(frozen=True)
class Figure:
    """One accuracy as printed, in %. `encoder` names the row of our tables that it stands beside, if any."""

    source: str
    dataset: str
    model: str
    top1: float
    top5: float | None
    encoder: str | None = None


SOURCES = {
    "report": Source(
        "student report",
        "Theo Di Piazza, RecViz 2022/2023, project, topic D, ENS Paris-Saclay (MVA), January 2023, tables 1 and 2",
        "ResNet-18 with 512 dimensions, pretrained on 40,000 images of CIFAR-10 for a number of epochs "
        "that is not stated; a linear layer trained for 20 epochs (10 for the ResNet-50) at lr 0.3 on frozen "
        "representations, of 15,000 images and tested on 5,000 for CIFAR-10, 45,000 and 15,000 for "
        "CIFAR-100; no spread given. The gains printed there are not the differences of its columns, so "
        "only accuracies are quoted.",
    ),
    "blog": Source(
        "blog",
        "Self-Supervised Learning of Image Representations With VICReg, March 3, 2023, "
        "<https://sigmoidprime.com/post/vicreg/>",
        "ResNet-18 with 512 dimensions, pretrained on all 50,000 train images for 500 epochs, batch size "
        "256, Adam; linear evaluation on the 10,000 test images; top-5 and spread not given.",
    ),
    "solo-learn": Source(
        "solo-learn",
        "results in the README of <https://github.com/vturrisi/solo-learn>",
        "ResNet-18, pretrained on all 50,000 train images of the very dataset that is tested (so CIFAR-100 "
        "is no transfer) for 1,000 epochs; *online* accuracy, of a linear layer trained along with the "
        "backbone rather than afterwards on frozen representations, on the 10,000 test images; no spread "
        "given.",
    ),
}

FIGURES = (
    Figure("report", "cifar10", "ResNet-18, not pretrained", 29.3, 79.8, "random"),
    Figure("report", "cifar10", "ResNet-18, ImageNet policy", 59.9, 93.9, "imagenet_aug"),
    Figure("report", "cifar10", "ResNet-18, CIFAR policy", 80.2, 99.1, "cifar_aug"),
    Figure("report", "cifar10", "ResNet-50, pretrained on ImageNet", 82.2, 98.8, "resnet50_paper"),
    Figure("report", "cifar100", "ResNet-18, not pretrained", 11.7, 25.4, "random"),
    Figure("report", "cifar100", "ResNet-18, ImageNet policy", 28.2, 54.8, "imagenet_aug"),
    Figure("report", "cifar100", "ResNet-18, CIFAR policy", 45.2, 74.9, "cifar_aug"),
    Figure("report", "cifar100", "ResNet-50, pretrained on ImageNet", 54.6, 81.9, "resnet50_paper"),
    Figure("blog", "cifar10", "ResNet-18, VICReg", 85.5, None),
    Figure("solo-learn", "cifar10", "ResNet-18, VICReg", 92.07, 99.74),
    Figure("solo-learn", "cifar100", "ResNet-18, VICReg", 68.54, 90.83),
)


def figures(dataset: str) -> list[Figure]:
    """Return what is published about the dataset of this key."""
    return [figure for figure in FIGURES if figure.dataset == dataset]


def beside(dataset: str) -> dict[str, Figure]:
    """Return, by encoder, the figures that stand beside rows of our own."""
    return {figure.encoder: figure for figure in figures(dataset) if figure.encoder}
