"""``docs/erasure.md``: its commands do what it says."""

import sys
from pathlib import Path

from tests.harness import TENANT, service_process
from tests.pages import in_order, page, steps

_PROGRAM = f"""workflow-orchestrator() {{
    [ "$1" = erase ] && set -- "$@" --config settings.yaml
    "{sys.executable}" -m config.main "$@"
}}
"""


def test_every_command_of_the_page_prints_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("privacy: {fresh_seconds: 0.2}\n")
    with service_process(tmp_path, overlay={"privacy": {"fresh_seconds": 0.2}}) as process:
        places = {"URL": process.url, "TENANT": TENANT, "DATA_DIR": str(process.data_dir)}
        in_order(steps(page("erasure.md")), tmp_path, program=_PROGRAM, **places)
