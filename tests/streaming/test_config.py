"""Configuration: the order of its sources, and what it refuses."""

import argparse
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from omni.text.template import Language, Mode
from streaming.config import DATA_DIR, LANGUAGES, MODES, Config, ConfigError, add_flags, load


def parse(*words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_flags(parser, ("server", "data", "engine", "log"))
    return vars(parser.parse_args(words))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "omni.toml"
    path.write_text('port = 1\nhost = "file"\nmax_sessions = 11\n')
    return path


def test_defaults_need_nothing() -> None:
    assert load(parse(), {}) == Config()


def test_flags_beat_environment_beats_file_beats_defaults(file: Path) -> None:
    environment = {"OMNI_CONFIG": str(file), "OMNI_PORT": "2", "OMNI_HOST": "environment", "HOME": "/"}
    config = load(parse("--port", "3"), environment)
    assert (config.port, config.host, config.max_sessions, config.model) == (3, "environment", 11, "nano")


def test_flag_names_the_file_before_the_environment_does(file: Path, tmp_path: Path) -> None:
    assert load(parse("--config", str(file)), {"OMNI_CONFIG": str(tmp_path / "absent.toml")}).port == 1


@pytest.mark.parametrize(
    ("environment", "near"),
    [({"OMNI_PROT": "1"}, "OMNI_PORT"), ({"OMNI_MAX_SESSION": "1"}, "OMNI_MAX_SESSIONS")],
)
def test_unknown_variable_names_the_nearest(environment: dict[str, str], near: str) -> None:
    with pytest.raises(ConfigError, match=near):
        load({}, environment)


def test_unknown_key_in_the_file_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "omni.toml"
    path.write_text("max_sesions = 3\n")
    with pytest.raises(ConfigError, match="max_sessions"):
        load({"config": str(path)}, {})


@pytest.mark.parametrize("content", ["port = ", "\x00", 'port = "x"', "port = 1.5", "port = true", "api_keys = [1]"])
def test_bad_file_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "omni.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"omni\.toml"):
        load({"config": str(path)}, {})


def test_a_variable_that_was_meant_to_hold_keys_opens_no_server() -> None:
    with pytest.raises(ConfigError, match="OMNI_API_KEYS is there but names nothing"):
        load({}, {"OMNI_API_KEYS": ""})
    assert load({}, {}).api_keys == ()


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load({"config": str(tmp_path / "absent.toml")}, {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--port", "70000"), "port"),
        (("--port", "x"), "whole number"),
        (("--max-sessions", "0"), "max_sessions"),
        (("--idle-timeout-s", "0"), "idle_timeout_s"),
        (("--tls-cert", "a.pem"), "tls_cert and tls_key belong together"),
        (("--tls-key", "a.pem"), "tls_cert and tls_key belong together"),
        (("--api-keys", "a:sessions=0"), "sessions of key 1"),
        (("--api-keys", ""), "--api-keys is there but names nothing"),
        (("--api-keys", " ", ","), "--api-keys is there but names nothing"),
        (("--resume-within-s", "-1"), "resume_within_s"),
        (("--model", "nanno"), r"did you mean nano\?"),
        (("--model", "MiniCPM-o-2_6"), "did you mean openbmb/MiniCPM-o-2_6"),
        (("--model", ""), "no folder, and no OWNER/NAME"),
        (("--model", "/no/such/folder"), "there is no folder /no/such/folder"),
        (("--model", __file__), "is a file; name the folder"),
        (("--device", "gpu", "--model", "a/b"), "device.*cuda:N"),
        (("--mode", "roleplay", "--model", "a/b"), "did you mean audio_roleplay"),
        (("--language", "de", "--model", "a/b"), "de.*did you mean en"),
        (("--log-level", "inof"), "did you mean info"),
        (("--llm-url", "ftp://x", "--llm-model", "m"), "llm_url"),
        (("--llm-url", "http://x/v1"), "llm_model"),
        (("--llm-model", "m"), "llm_url"),
        (("--allowed-origins", "https://x/path"), "allowed_origins"),
    ],
)
def test_values_that_cannot_work_are_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(parse(*words), {})


@pytest.mark.parametrize("model", ["nano", "openbmb/MiniCPM-o-2_6", str(Path(__file__).parent)])
def test_a_model_is_nano_a_folder_or_a_name_on_the_hub(model: str) -> None:
    config = load({}, {"OMNI_MODEL": model})
    assert config.model == model
    assert (config.folder is not None) == ("tests" in model)


def test_a_folder_that_is_nearly_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    with pytest.raises(ConfigError, match=rf"did you mean {tmp_path}/tiny\?"):
        Config(model=f"{tmp_path}/tinny")


@pytest.mark.parametrize(
    ("model", "words", "message"),
    [
        ("nano", ("--device", "cpu"), "device is an option of a checkpoint, and model is nano"),
        ("nano", ("--language", "zh"), "language is an option of a checkpoint"),
        ("a/b", ("--whisper", "small"), "whisper is an option of nano, and model is a/b"),
        ("a/b", ("--llm-url", "http://x/v1", "--llm-model", "m"), "llm_url is an option of nano"),
        ("/", ("--revision", "main"), "/ is a folder"),
    ],
)
def test_an_option_that_the_model_would_not_heed_is_refused(model: str, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(parse("--model", model, *words), {})


def test_modes_and_languages_are_those_of_the_template() -> None:
    """They are spelled twice, because the command line reads its options before anything heavy is loaded."""
    assert (get_args(Mode), get_args(Language)) == (MODES, LANGUAGES)


def test_lists_and_switches_from_every_source(tmp_path: Path) -> None:
    path = tmp_path / "omni.toml"
    path.write_text('api_keys = ["a", "b"]\nlog_json = true\n')
    assert load({"config": str(path)}, {}).api_keys == ("a", "b")
    assert load(parse("--api-keys", "a", "b,c"), {}).api_keys == ("a", "b", "c")
    assert load({}, {"OMNI_API_KEYS": "a, b", "OMNI_LOG_JSON": "yes"}).api_keys == ("a", "b")
    assert load({}, {"OMNI_LOG_JSON": "yes"}).log_json
    assert not load(parse("--no-log-json", "--config", str(path)), {}).log_json


def test_what_is_printed_reads_back_and_hides_secrets() -> None:
    config = Config(port=9, api_keys=("sekret",), allowed_origins=("https://a.example",), log_json=True)
    printed = config.as_toml()
    assert "sekret" not in printed
    values = tomllib.loads(printed)
    assert (values["port"], values["allowed_origins"], values["log_json"]) == (9, ["https://a.example"], True)


def test_limits_of_keys_are_written_alike_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "omni.toml"
    path.write_text('api_keys = ["a:sessions=2:minutes=60", "b"]\n')
    written = ("a:sessions=2:minutes=60", "b")
    assert load({"config": str(path)}, {}).api_keys == written
    assert load(parse("--api-keys", *written), {}).api_keys == written
    assert load({}, {"OMNI_API_KEYS": ",".join(written)}).api_keys == written


def test_tls_opens_the_network_unless_an_address_is_chosen() -> None:
    assert (Config().listens_on, Config().secure) == ("127.0.0.1", False)
    assert (Config(tls=True).listens_on, Config(tls=True).secure) == ("0.0.0.0", True)
    assert Config(tls_cert="a", tls_key="b").secure
    assert Config(tls=True, host="127.0.0.1").listens_on == "127.0.0.1"


def test_data_is_kept_where_the_system_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.config.DATA_DIR", DATA_DIR)  # which is another while tests run
    assert load({}, {}).data_folder == Path.home() / ".local" / "share" / "omni-live"
    assert load({}, {"XDG_DATA_HOME": str(tmp_path)}).data_folder == tmp_path / "omni-live"
    assert load({}, {"XDG_DATA_HOME": "relative"}) == Config()
    chosen = load(parse("--data-dir", "/here"), {"XDG_DATA_HOME": str(tmp_path), "OMNI_DATA_DIR": "/there"})
    assert chosen.data_folder == Path("/here")
