"""How well numbers are read, and in what time.

The pictures are made out of the test digits, more of each kind than in a version's report; or out of the holdout, where
something is to be chosen. Times are medians of rounds in which digits and numbers take turns, on one core.
"""
