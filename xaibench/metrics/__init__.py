"""Metrics: pure functions of tensors, one value per image, and the facts about them.

What holds for all of them:

* Attributions are signed (B, H, W) maps at the images' resolution; a metric that wants them rectified or scaled does
  so itself.
* **Undefined is NaN.** A map with NaN or infinity, a map without positive evidence, an object without pixels: the
  value is NaN, never zero, and the other images of the batch are not touched. Why it is undefined is told by
  `undefined.why_undefined`, or by the metric's own ``why_undefined``, with one text per image, empty where the value
  is defined; curves carry these texts as ``reasons``.
* Batch size, batch composition and the number of maps change no value beyond rounding.
* Settings sit in small frozen dataclasses; `catalogue.METRICS` names them, `cards.CARDS` says what they measure.

This package imports nothing by itself, so that `xaibench.metrics.cards` is readable without torch.
"""
