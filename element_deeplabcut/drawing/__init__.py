"""Drawing poses into videos: from decoder to encoder, without a conversion to RGB in between.

`draw_labeled_video` is the door. The frames stay in the encoder's own format (YUV, colour at half
resolution), so a frame costs its decoding, its encoding, and the few pixels that are drawn.
"""

from .film import draw_labeled_video
from .style import DrawingStyle, resolve_style

__all__ = ["DrawingStyle", "draw_labeled_video", "resolve_style"]
