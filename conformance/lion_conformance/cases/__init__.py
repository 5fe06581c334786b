"""The inputs of one step: fixed, swept and drawn, and the loop that feeds them to a judge.

May import ports.
"""
