"""Where anchors are kept."""

from pathlib import Path

import yaml

from config.audit import anchor_file_of
from config.settings import load_settings, masked


def test_anchors_are_kept_in_the_data_directory_or_elsewhere_or_in_no_file() -> None:
    assert anchor_file_of(load_settings(environ={})) == Path("data/audit-anchors.ndjson")
    assert anchor_file_of(load_settings(environ={"AUDIT_ANCHOR_FILE": "/mnt/a"})) == Path("/mnt/a")
    without = load_settings(environ={"AUDIT_ANCHOR_FILE": "none"})
    assert anchor_file_of(without) is None
    assert yaml.safe_load(masked(without))["audit"]["anchor_file"] == "none"
