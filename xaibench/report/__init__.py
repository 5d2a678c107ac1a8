"""From records to tables, an answer in words, figures and one page. No torch."""
