"""What the terminal shows can be scanned, and says what a person needs to know."""

import re

import numpy as np
import pytest

from streaming.gateway.invitation import code, invitation, with_key

ADDRESS = "https://192.168.100.107:65535"


def scanned(text: str) -> str:
    """What a camera reads in a code of half blocks: foreground light, background dark."""
    cv2 = pytest.importorskip("cv2")
    lines = re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()
    halves = {"█": (255, 255), "▀": (255, 0), "▄": (0, 255), " ": (0, 0)}
    rows = np.array([[halves[cell] for cell in line] for line in lines], np.uint8)
    modules = rows.transpose(0, 2, 1).reshape(-1, rows.shape[1])
    picture = np.kron(np.pad(modules, 4, constant_values=255), np.ones((8, 8), np.uint8))
    found, *_ = cv2.QRCodeDetector().detectAndDecode(picture)
    return str(found)


def test_the_code_is_the_address_with_its_key() -> None:
    assert scanned(code(with_key(ADDRESS, "a_b-c"))) == f"{ADDRESS}/#key=a_b-c"


def test_any_key_survives_the_address() -> None:
    assert with_key(ADDRESS, "a+b&c d#e/é") == f"{ADDRESS}/#key=a%2Bb%26c%20d%23e%2F%C3%A9"
    assert with_key(ADDRESS, None) == f"{ADDRESS}/"


def test_a_code_fits_a_terminal_of_eighty_by_twenty_four() -> None:
    lines = re.sub(r"\x1b\[[\d;]*m", "", code(with_key(ADDRESS, "x" * 22))).splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80


def test_its_colours_do_not_depend_on_the_terminal() -> None:
    assert all(line.startswith("\x1b[97;40m") and line.endswith("\x1b[0m") for line in code("x").splitlines())


def test_it_says_how_to_call_and_why_the_browser_warns() -> None:
    text = invitation([ADDRESS, "https://10.0.0.1:1"], "k", "AB:CD")
    assert f"{ADDRESS}/#key=k" in text
    assert "https://10.0.0.1:1/#key=k" in text
    assert "AB:CD" in text
    assert "warns" not in invitation([ADDRESS], None, None)
    assert "No other device" in invitation([], "k", None)
