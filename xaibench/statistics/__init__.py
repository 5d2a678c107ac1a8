"""Intervals, paired tests, best sets and sample sizes: functions of numbers, without torch and without records.

Values come as one column an arm and one row an image. NaN is an undefined value: it is left out and counted, never
averaged in.
"""
