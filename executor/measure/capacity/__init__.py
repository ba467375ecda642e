"""What a service can carry, and how it breaks: pure functions over levels of offered load.

Whatever the data do not decide is ``inconclusive``, with the reason and without a number.
"""
