"""Every projection has the container that the settings name for it."""

from config.projections import Projections
from config.settings import load_settings


def test_every_container_but_that_of_the_positions_is_a_projections() -> None:
    settings = load_settings(environ={})
    projections, containers = Projections.named_by(settings), settings.cosmos_db.containers.model_dump()
    del containers["positions"]
    found = {name: getattr(projections, name).container.name for name in containers}
    assert found == containers
    assert sorted(each.container.name for each in projections.all()) == sorted(containers.values())
