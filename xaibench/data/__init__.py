"""Samples with image, labels and masks: shapes, folders, ImageNet. No torch."""
