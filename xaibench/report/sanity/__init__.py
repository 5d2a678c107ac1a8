"""What the sanity checks show: tables, verdicts by a rule, claims looked for, words and charts."""
