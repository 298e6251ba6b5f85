"""The conformance vectors, as they are published, against our own receiver."""

import pytest

from stream.sources.crm.trial import of
from tests.stream.sources.crm.vectors import FOLDER, OWN, folded, vectors, written
from vigie.sources import Trials, check_vector

ALL = [(name, vector) for name in OWN for vector in vectors(name)]


@pytest.mark.parametrize(("name", "vector"), ALL, ids=[f"{name}: {vector['name']}" for name, vector in ALL])
def test_is_answered_as_expected(name, vector):
    assert check_vector(name, folded(vector)) == []
    ids = [event["id"] for event in Trials(name, None).judge(of(vector, 0))["events"]]
    assert len(set(ids)) == len(ids), "each event of a request has an id of its own"


@pytest.mark.parametrize("name", OWN)
def test_is_published_as_it_is_tested(name):
    assert (FOLDER / f"{name}.jsonl").read_text() == written(name), "run: python -m tests.stream.sources.crm.vectors"
    assert len({vector["name"] for vector in vectors(name)}) == len(vectors(name))


def test_a_difference_is_told():
    vector = vectors("hubspot")[0]
    wrong = vector | {"expect": {"accepted": False, "types": []}}
    assert len(check_vector("hubspot", wrong)) == 2
