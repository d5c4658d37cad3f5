"""From a user's file to a data set: looked at, told what is wrong with it, given a card."""
