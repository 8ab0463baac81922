"""Records for each element of the list or the array that a call is given, or has filled.

Behind the record of the call, in the order of the elements, a copy of it for each that has a number: where the block
is, or which frame. All are written before anything is done to memory, and none of them where an element cannot be told
without Python. What is done for the elements is done in their order (`poisoning`), up to the first that is left to
Python: that one and all behind it are.
"""
