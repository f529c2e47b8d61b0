"""The configuration file: what it may say, and how it is told what is wrong."""

from __future__ import annotations

import pytest

from scheduler.config import Config, load_config, parse_config
from scheduler.model import InvalidInput

HEAD = "apiVersion: lockstep.scheduling/v1alpha1\nkind: LockstepConfiguration\n"


def faults(text: str) -> list[tuple[str, str, str, str]]:
    with pytest.raises(InvalidInput) as caught:
        parse_config(text, name="c.yaml")
    return [(f.object, f.field, f.value, f.wanted) for f in caught.value.faults]


def test_nothing_but_its_kind_is_needed() -> None:
    config = parse_config(HEAD, name="c.yaml")
    assert (config.levels, config.service.port) == (None, 8888)


def test_levels_and_partitions() -> None:
    text = HEAD + (
        "topology:\n"
        "  levels:\n"
        "  - {name: spine, label: example.com/spine}\n"
        "  - {name: rack, label: example.com/rack}\n"
        "  partitions:\n"
        "  - {name: rail, label: example.com/rail}\n"
    )
    levels = parse_config(text, name="c.yaml").levels
    assert levels is not None
    assert [level.name for level in levels.levels] == ["spine", "rack"]
    assert {level.name for level in levels.partitions} == {"rail", "nvlink"}


def test_an_unknown_key_names_its_line_and_the_nearest_word() -> None:
    (fault,) = faults(HEAD + "topolgy: {}\n")
    assert fault[:3] == ("c.yaml:3", "topolgy", "topolgy")
    assert "did you mean 'topology'?" in fault[3]


@pytest.mark.parametrize(
    ("line", "field", "wanted"),
    [
        ("service: {port: 99999}", "service.port", "a port, 0 to 65535"),
        ("service: {lease: 60}", "service.lease", "whole seconds with their unit, such as 20s"),
        ("service: {lease: -5s}", "service.lease", "whole seconds with their unit, such as 20s"),
        ("service: {httpTimeout: 20ms}", "service.httpTimeout", "whole seconds with their unit, such as 20s"),
        ("service: {grpc: 9443}", "service.grpc", "host:port, such as 127.0.0.1:9443 or [::1]:9443"),
        ("service: {grpc: 'h:65536'}", "service.grpc", "host:port, such as 127.0.0.1:9443 or [::1]:9443"),
        ("service: {grpc: '::1:9443'}", "service.grpc", "host:port, such as 127.0.0.1:9443 or [::1]:9443"),
        ("service: {grpc: [a:1]}", "service.grpc", "host:port, such as 127.0.0.1:9443 or [::1]:9443"),
        ("topology: {levels: 3}", "topology.levels", "a list of {name, label}, coarse to fine"),
        ("topology: {levels: [{name: a}]}", "topology.levels[0].label", "text, not empty"),
        ("topology: [1]", "topology", "a mapping with the keys levels, partitions, family, sources"),
        (
            "topology: {levels: [{name: a, label: x}, {name: a, label: y}]}",
            "topology",
            "level 'a' is listed twice",
        ),
    ],
)
def test_wrong_values(line: str, field: str, wanted: str) -> None:
    assert [(f, w) for _, f, _, w in faults(HEAD + line + "\n")] == [(field, wanted)]


@pytest.mark.parametrize("address", ["127.0.0.1:9443", "[::1]:0", "lockstep.local:65535"])
def test_the_grpc_api_has_an_address_or_is_off(address: str) -> None:
    assert parse_config(HEAD, name="c.yaml").service.grpc == ""
    assert parse_config(HEAD + f"service: {{grpc: '{address}'}}\n", name="c").service.grpc == address


def test_all_faults_at_once() -> None:
    assert len(faults("kind: X\nservice: {port: x, lease: y}\n")) == 4


def test_text_that_is_no_yaml() -> None:
    ((where, field, _, wanted),) = faults(HEAD + "a: [\n")
    assert (where, field) == ("c.yaml:4", "file")
    assert wanted.startswith("YAML")


def test_an_empty_file_is_not_a_configuration() -> None:
    assert ("c.yaml:1", "kind") in [(w, f) for w, f, _, _ in faults("")]


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        load_config("nowhere.yaml")
    assert load_config(None) == Config()


@pytest.mark.parametrize(
    ("terms", "wanted"),
    [
        ("[domains_rack, domains_nvlink, 'left_ra*']", ""),
        ("[domains_rak]", "did you mean domains_rack?"),
        ("['2*nodes + 1*left_leaf']", "the levels are spine, rack"),
    ],
)
def test_a_policy_names_levels_that_are_there(terms: str, wanted: str) -> None:
    levels = "topology: {levels: [{name: spine, label: e.com/s}, {name: rack, label: e.com/r}]}\n"
    text = f"{HEAD}{levels}policies: {{own: {{first: {terms}}}}}\n"
    if not wanted:
        assert parse_config(text, name="c.yaml").policies["own"].first[0] == "domains_rack"
        return
    ((where, field, _, told),) = faults(text)
    assert (where, field) == ("c.yaml:4", "policies.own.first")
    assert wanted in told
