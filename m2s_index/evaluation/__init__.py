"""The parts of a retrieval measurement (``m2s_index.evaluate`` puts them together): what is compared, how it is
ranked, the intervals, and the report that comes out.
"""
