"""How poses are drawn: checked settings of a task, completed by the model's config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from ..colors import RGB, name_colors, parse_color
from ..errors import ParameterError
from ..pose.reading import pick_names

DEFAULT_DOTSIZE, DEFAULT_ALPHA, DEFAULT_P_CUTOFF = 12, 0.7, 0.6  # those of a new config
DEFAULT_SKELETON_COLOR = "white"
DEFAULT_CRF = 25
_MAX_DENOMINATOR = 1001


@dataclass(frozen=True)
class DrawingStyle:
    """What is drawn, and how. Plain values, so that it can be recorded and compared.

    Attributes:
        body_parts: Body parts to draw.
        individuals: Individuals to draw; one empty name in single-animal projects.
        colors: Per body part and individual, as ``colors[part][individual]``, RGB.
        dotsize: Radius of the dots, px.
        alpha: Opacity of the dots, 0 to 1.
        p_cutoff: Likelihood below which a point is not drawn.
        trailpoints: Number of frames whose points trail behind.
        skeleton: Pairs of indices into ``body_parts``.
        skeleton_color: RGB.
        keypoints_only: Draw on black instead of on the video.
        frame_rate: Frames per second at which the video plays, exact, as a text such as
            ``30000/1001``; None for the video's own.
        crf: Quality of the encoding: x264's constant rate factor, 0 to 51, less is better.
    """

    body_parts: tuple[str, ...]
    individuals: tuple[str, ...]
    colors: tuple[tuple[RGB, ...], ...]
    dotsize: float = DEFAULT_DOTSIZE
    alpha: float = DEFAULT_ALPHA
    p_cutoff: float = DEFAULT_P_CUTOFF
    trailpoints: int = 0
    skeleton: tuple[tuple[int, int], ...] = ()
    skeleton_color: RGB = (255, 255, 255)
    keypoints_only: bool = False
    frame_rate: str | None = None
    crf: int = DEFAULT_CRF

    @property
    def plain(self) -> dict[str, Any]:
        """The style as plain values."""
        return asdict(self)

    def rate_of(self, video_rate: Fraction) -> Fraction:
        """Frames per second at which a labeled video of a video plays."""
        return video_rate if self.frame_rate is None else Fraction(self.frame_rate)


def resolve_style(
    settings: Mapping[str, Any],
    config: Mapping[str, Any],
    body_parts: Sequence[str],
    individuals: Sequence[str] = ("",),
) -> DrawingStyle:
    """Complete the settings of a task by the model's config.

    Args:
        settings: As `params.check_inference_params` returns them, under ``labeled_video``.
        config: The model's config: dotsize, alphavalue, pcutoff, colormap, skeleton and
            skeleton_color are taken from it where the settings do not name them.
        body_parts: All body parts of the model, in its order, which gives them their colours.
        individuals: All individuals of the pose, likewise.

    Raises:
        QueryError: A body part or an individual that is to be drawn is unknown.
        ParameterError: The config holds no such colormap or colour, or draw_skeleton is set and
            there is no skeleton.
    """

    def look_up(name: str, default: Any) -> Any:
        value = settings.get(name, config.get(name))
        return default if value is None else value

    parts = pick_names(settings.get("displayedbodyparts"), body_parts, "body part")
    animals = pick_names(settings.get("displayedindividuals"), individuals, "individual")
    by_individual = settings.get("color_by") == "individual"
    colors = name_colors(individuals if by_individual else body_parts, look_up("colormap", None))
    rate = settings.get("frame_rate")
    return DrawingStyle(
        body_parts=parts,
        individuals=animals,
        colors=tuple(
            tuple(colors[animal if by_individual else part] for animal in animals) for part in parts
        ),
        dotsize=float(look_up("dotsize", DEFAULT_DOTSIZE)),
        alpha=float(look_up("alphavalue", DEFAULT_ALPHA)),
        p_cutoff=float(look_up("pcutoff", DEFAULT_P_CUTOFF)),
        trailpoints=settings.get("trailpoints", 0),
        skeleton=_find_links(settings, config, parts),
        skeleton_color=parse_color(look_up("skeleton_color", DEFAULT_SKELETON_COLOR)),
        keypoints_only=settings.get("keypoints_only", False),
        frame_rate=str(Fraction(rate).limit_denominator(_MAX_DENOMINATOR)) if rate else None,
        crf=settings.get("crf", DEFAULT_CRF),
    )


def _find_links(
    settings: Mapping[str, Any], config: Mapping[str, Any], parts: Sequence[str]
) -> tuple[tuple[int, int], ...]:
    """Find the skeleton's links between displayed body parts.

    A new config of DeepLabCut links parts that it does not have; those are passed over.
    """
    if not settings.get("draw_skeleton", "skeleton" in settings):
        return ()
    links = settings.get("skeleton", config.get("skeleton")) or ()
    pairs = [tuple(str(part) for part in link) for link in links]
    if not pairs:
        raise ParameterError(
            "draw_skeleton is set, and the model's config has no skeleton. Give one in the labeled "
            "video settings: skeleton=[['nose', 'tailbase'], ...]."
        )
    places = {part: place for place, part in enumerate(parts)}
    return tuple(
        (places[pair[0]], places[pair[1]])
        for pair in pairs
        if len(pair) == 2 and all(part in places for part in pair)
    )
