"""Many steps and events in one session: written, drawn, recorded, and judged event by event.

May import verdict and what that may import.
"""
