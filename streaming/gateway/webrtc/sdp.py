"""Parts of an SDP offer that cannot be taken, declined as RFC 8829 has it: aiortc would refuse the whole offer."""

import re
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Declined:
    """A section of an offer that the answer says no to."""

    index: int
    """its place among the offer's sections"""
    section: str
    """what the answer has there"""


def decline_video(offer: str, codecs: Collection[str]) -> tuple[str, list[Declined]]:
    """An offer without the video that comes in none of these codecs, and what was left out."""
    head, *sections = _sections(offer)
    kept: list[str] = []
    declined: list[Declined] = []
    known = re.compile(rf"^a=rtpmap:\d+ ({'|'.join(codecs)})/", re.MULTILINE)
    for index, section in enumerate(sections):
        if not section.startswith("m=video ") or known.search(section):
            kept.append(section)
            continue
        _, _, how = section.partition("\n")[0].strip().split(" ", 2)
        mid = re.search(r"^a=mid:(\S+)", section, re.MULTILINE)
        lines = [f"m=video 0 {how}", "c=IN IP4 0.0.0.0", "a=inactive", *([mid[0]] if mid else [])]
        declined.append(Declined(index, "".join(f"{line}\r\n" for line in lines)))
        if mid:  # what is declined shares no transport with the rest
            head = re.sub(rf"^(a=group:BUNDLE.*) {re.escape(mid[1])}(?=\s)", r"\1", head, flags=re.MULTILINE)
    return "".join([head, *kept]), declined


def with_declined(answer: str, declined: Collection[Declined]) -> str:
    """An answer to what was kept of an offer, as the answer to all of it."""
    head, *sections = _sections(answer)
    for one in declined:
        sections.insert(one.index, one.section)
    return "".join([head, *sections])


def _sections(sdp: str) -> list[str]:
    """What stands before the first section, and the sections."""
    return re.split(r"^(?=m=)", sdp, flags=re.MULTILINE)
