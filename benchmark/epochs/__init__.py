"""What each way to choose an epoch is worth: a training is kept whole, then every way chooses.

Test errors are here to judge the ways, never to choose by: but for the one that shows what choosing
by them would be worth, no way sees them.
"""
