"""Average precision: how far up a ranking the images are that show a class."""

import numpy as np


def average_precision(scores: np.ndarray, flags: np.ndarray) -> float:
    """Area under precision over recall, at all points, of images ranked by scores (N,), highest first.

    flags: (N,) of 1 (shows the class), -1 (does not) and 0 (left out). The precision at a recall is the highest at that
    recall or above, as in PASCAL VOC from 2010 on (Everingham et al., 2010; VOCdevkit's VOCap): neither the mean at 11
    recalls of VOC2007, nor scikit-learn's step sum without that envelope, which is lower or equal. Of equal scores
    those with -1 come first, so neither ties nor the order of rows can flatter. Raises ValueError without a 1, for NaN.
    """
    positive, scores = flags[flags != 0] > 0, scores[flags != 0]
    if not positive.any() or np.isnan(scores).any():
        raise ValueError("average precision needs an image of the class, and scores that are numbers")
    hits = positive[np.lexsort((positive, -scores))]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].mean())
