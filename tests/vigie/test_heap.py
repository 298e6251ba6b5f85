"""Memory goes back to the system when the process has grown, and only then."""

from vigie.heap import STEP, Heap, give_back, resident


def test_each_step_of_growth_is_asked_for_once() -> None:
    size, asked = [100 << 20], 0

    def act() -> None:
        nonlocal asked
        asked += 1
        size[0] -= STEP // 4

    heap = Heap(lambda: size[0], act)
    for grown, due in ((0, False), (STEP - 1, False), (1, True), (STEP // 8, False), (STEP, True)):
        size[0] += grown
        assert heap.due() is due, grown
        if due:
            heap.give_back()
            assert not heap.due()
    assert asked == 2


def test_gaps_go_back() -> None:
    pieces = [b"%d" % n * 400 for n in range(60_000)]  # 120 MB, in pieces too small to be mapped one by one
    last = pieces.pop()  # at the heap's end: what is below does not go back by itself
    pieces.clear()
    full = resident()
    give_back()
    assert last and 0 < resident() < full - 50 * 2**20
