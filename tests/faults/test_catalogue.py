import pytest
from catalogue import ROWS


def test_tests_name_rows_of_the_catalogue(request: pytest.FixtureRequest) -> None:
    rows = {marker.args[0] for item in request.session.items for marker in item.iter_markers("fault")}
    assert rows <= set(ROWS)
