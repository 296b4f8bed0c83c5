"""Python's parser at work for somebody else in the middle of another text."""

import ast
import contextlib
import gc
import sys


@contextlib.contextmanager
def disturbed_parser():
    """While a text is parsed, parse another one at each collection of memory, a few hundred times.

    Other threads come in there by chance. Before Python 3.11.8 the first text fails then, with a SystemError.
    """
    left = 300
    parser = ast.parse.__code__

    def parse_another_text(phase, info):
        nonlocal left
        frame = sys._getframe(1)
        if phase == "stop" and left and (frame.f_code is parser or frame.f_back.f_code is parser):
            left -= 1
            ast.literal_eval("((((1,),),),)")

    threshold = gc.get_threshold()
    gc.callbacks.append(parse_another_text)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(parse_another_text)
