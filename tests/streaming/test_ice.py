"""ICE servers as the configuration writes them."""

import pytest

from streaming.config import Config, ConfigError
from streaming.ice import read_ice_servers


def test_servers_are_read_in_their_order() -> None:
    text = (
        '[{"urls": "stun:a:3478"}, {"urls": ["turn:b?transport=tcp", "turns:b"], "username": "u", "credential": "c"}]'
    )
    stun, turn = read_ice_servers(text)
    assert stun.as_json() == {"urls": ["stun:a:3478"]}
    assert turn.as_json() == {"urls": ["turn:b?transport=tcp", "turns:b"], "username": "u", "credential": "c"}
    assert read_ice_servers("") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stun:a", "no JSON"),
        ("{}", "a list"),
        ('["stun:a"]', "server 1 must be an object"),
        ('[{"urls": "stun:a"}, {"url": "stun:b"}]', "server 2"),
        ('[{"urls": "http://a"}]', "such as stun:"),
        ('[{"urls": []}]', "such as stun:"),
        ('[{"urls": "turn:a"}]', "needs username and credential"),
        ('[{"urls": "turn:a", "username": "u", "credential": 7}]', "needs username and credential"),
    ],
)
def test_what_is_wrong_is_said_at_the_door(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"ice_servers: .*{said}"):
        Config(ice_servers=text)


def test_credentials_are_shown_nowhere() -> None:
    config = Config(ice_servers='[{"urls": "turn:a", "username": "u", "credential": "sekret"}]')
    assert "sekret" not in config.as_toml() + repr(read_ice_servers(config.ice_servers))
