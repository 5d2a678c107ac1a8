"""What similarities and orders of randomization are called, for people."""

TITLES = {
    "spearman": "Spearman, signed",
    "spearman_abs": "Spearman, absolute",
    "pearson": "Pearson",
    "ssim": "SSIM",
    "ssim_paper": "SSIM, the paper's code",
    "hog": "HOG correlation",
    "top_10_percent": "Overlap of the top 10 %",
}
SPOKEN = {
    "spearman": "Spearman correlation",
    "spearman_abs": "Spearman correlation of absolute maps",
    "pearson": "Pearson correlation",
    "ssim": "SSIM",
}
ORDERS = {
    "top_down": "randomized last, from the output down (all before it stay randomized)",
    "bottom_up": "randomized last, from the input up (all before it stay randomized)",
    "independent": "randomized alone",
}


def title(similarity: str) -> str:
    """Name a similarity in a heading."""
    return TITLES.get(similarity, similarity)


def spoken_similarity(similarity: str) -> str:
    """Name a similarity in a sentence."""
    return SPOKEN.get(similarity, title(similarity))
