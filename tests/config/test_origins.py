"""Where a setting comes from is told of each, whichever way it came."""

from pathlib import Path

from config.masking import masked_values
from config.origins import told_origins
from config.settings import load_settings


def test_of_each_setting_it_is_told_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "server: {port: 3052, max_requests: null}\n"
        "jwt: {issuer: '${WHO}-${UNSET:-x}'}\n"
        "batch_jobs: {jobs: {propagation: {time_zone: Europe/Berlin}}}\n"
    )
    settings = load_settings(
        file,
        {"PORT": "1", "WHO": "us", "HOST": "127.0.0.2"},
        roles="scheduler,api,consumer,projector,publisher",
    )
    told = told_origins(masked_values(settings), settings.origins)
    assert told["service.roles"] == {"from": "command line"}
    assert told["server.host"] == {"from": "environment", "variables": ["HOST"]}
    assert told["jwt.issuer"] == {"from": "environment", "variables": ["WHO"]}
    assert told["server.port"] == {"from": "file"}, "what the file says goes before the variable"
    assert told["server.max_requests"] == {"from": "default"}, "null leaves what is below"
    assert told["batch_jobs.jobs.propagation.time_zone"] == {"from": "file"}
    assert told["batch_jobs.jobs.propagation.cron"] == {"from": "default"}


def test_without_a_file_or_a_variable_all_are_defaults() -> None:
    settings = load_settings(environ={})
    told = told_origins(masked_values(settings), settings.origins)
    assert {each["from"] for each in told.values()} == {"default"}
