"""A queue keeps the latest rows, as state."""

import pytest
import torch

from vicreg.nn.queue import Queue


@pytest.mark.parametrize("sizes", [[2, 2, 2, 2], [3, 4], [9], [1, 7, 3]])
def test_a_queue_keeps_the_latest_rows(sizes: list[int]) -> None:
    queue, rows = Queue(5, 2), torch.arange(2.0 * sum(sizes)).view(-1, 2)
    for part in rows.split(sizes):
        queue.push(part)
    kept = sorted(map(tuple, queue.rows.tolist()))
    assert kept == sorted(map(tuple, rows[-5:].tolist())) and int(queue.pushed) == sum(min(size, 5) for size in sizes)


def test_a_new_queue_holds_unit_vectors_and_is_all_state() -> None:
    queue = Queue(6, 3)
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(6))
    assert set(queue.state_dict()) == {"rows", "pushed"}
