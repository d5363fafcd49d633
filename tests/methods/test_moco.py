"""MoCo v2 and v3 against closed forms and NumPy; queue, teacher and shuffled keys of v2."""

import math
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from draws import gaussian, grad, slopes, unit
from torch.nn.functional import normalize

from vicreg.engine.batch_norm import SplitBatchNorm
from vicreg.methods import moco_v2, moco_v3


def info_nce(q: np.ndarray, k: np.ndarray, queue: np.ndarray, temperature: float) -> float:
    """Equation 1 of MoCo, query by query."""
    losses = []
    for i in range(len(q)):
        scores = np.array([q[i] @ k[i], *(q[i] @ row for row in queue)]) / temperature
        losses.append(np.log(np.exp(scores).sum()) - scores[0])
    return float(np.mean(losses))


def test_value_and_gradient_of_v2_equal_a_loop_in_numpy() -> None:
    q, k, queue = (normalize(gaussian(n, 4, seed=n)) for n in (5, 5, 7))
    k[:] = normalize(gaussian(5, 4, seed=9))
    q.requires_grad_()
    loss = moco_v2.contrast(q, k, queue, 0.3)
    loss.backward()
    others = (k.numpy(), queue.numpy(), 0.3)
    assert loss.item() == pytest.approx(info_nce(q.detach().numpy(), *others), rel=1e-12)
    np.testing.assert_allclose(grad(q), slopes(lambda v: info_nce(v, *others), q.detach().numpy()), atol=1e-8)


def test_closed_forms_of_v2() -> None:
    axes = torch.eye(12, dtype=torch.float64)
    loss = moco_v2.contrast(axes[:2], axes[:2], axes[2:], 0.2)  # a queue orthogonal to the queries
    assert float(loss) == pytest.approx(math.log(1 + 10 * math.exp(-5)), rel=1e-12)
    same = axes[:1]
    assert float(moco_v2.contrast(same, same, same.expand(10, -1), 0.2)) == pytest.approx(math.log(11))


def trained(steps: int, **changes: Any) -> tuple[moco_v2.MoCoV2, list[torch.Tensor]]:
    """A method after so many steps, and the keys of each."""
    method, keys = tiny.method("moco_v2", num_images=64, queue=0.625, norm_parts=2, **changes), []
    after_step = method.after_step

    def recorded(outputs: dict, progress: float) -> None:
        keys.append(outputs["keys"].clone())
        after_step(outputs, progress)

    method.after_step = recorded
    tiny.run(tiny.state(method), tiny.loader(tiny.pixels(16 * steps)), tiny.config(1))
    return method, keys


def test_the_queue_holds_the_last_keys_and_the_oldest_make_way() -> None:
    method, keys = trained(steps=4)
    latest = torch.cat(keys)[-40:]  # 40 keys of 64 images; 32 come in a step
    rows = {tuple(row.tolist()) for row in method.queue.rows}
    assert rows == {tuple(row.tolist()) for row in latest}
    assert int(method.queue.pushed) == 128
    torch.testing.assert_close(method.queue.rows.norm(dim=1), torch.ones(40))


def test_the_teacher_of_v2_copies_or_stays() -> None:
    for momentum in (0.0, 1.0):
        method, _ = trained(2, momentum=momentum, momentum_end=momentum)
        start = tiny.method("moco_v2", num_images=64, queue=0.625, norm_parts=2)
        expected = method if momentum == 0 else start
        pairs = zip(
            method.teacher.parameters(), [*expected.encoder.parameters(), *expected.projector.parameters()], strict=True
        )
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("symmetric", [True, False])
def test_queries_meet_the_other_views_keys_in_the_batchs_order(symmetric: bool) -> None:
    method = tiny.method("moco_v2", symmetric=symmetric).eval()  # running statistics: the order of images is no matter
    a, b = torch.rand(6, 3, 32, 32), torch.rand(6, 3, 32, 32)
    q = [normalize(method.embed(x)) for x in (a, b)]
    losses = [
        moco_v2.contrast(q[0], q[1], method.queue.rows, 0.2),
        moco_v2.contrast(q[1], q[0], method.queue.rows, 0.2),
    ]
    outputs = method({"views": torch.cat([a, b]), "order": torch.tensor([3, 1, 0, 5, 2, 4])})
    expected = sum(losses) / 2 if symmetric else losses[0]
    torch.testing.assert_close(outputs["loss"], expected)
    torch.testing.assert_close(outputs["keys"], torch.cat([q[1], q[0]]) if symmetric else q[1])
    assert not outputs["keys"].requires_grad


def test_a_query_and_its_key_are_normalized_in_other_company() -> None:
    method = tiny.method("moco_v2", norm_parts=2, symmetric=False).train()
    norm = next(m for m in method.teacher.modules() if isinstance(m, SplitBatchNorm))
    images = torch.rand(8, 3, 32, 32)
    seen: list[torch.Tensor] = []
    norm.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    order = torch.tensor([0, 4, 1, 5, 2, 6, 3, 7])
    method({"views": torch.cat([images, images]), "order": order})
    backbone = method.teacher[0].backbone
    expected = backbone.conv1((images[order] - 0.5) / 0.25)
    torch.testing.assert_close(seen[0], expected)


def test_parts_divide_the_batch_and_are_shared_by_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = tiny.batch(12)
    with pytest.raises(ValueError, match=r"moco_v2.norm_parts = 8 must divide the batch of 12 images"):
        tiny.method("moco_v2").inputs(batch)
    monkeypatch.setattr(moco_v2.distributed, "world_size", lambda: 4)
    with pytest.raises(ValueError, match=r"norm_parts = 2 must .* a multiple of the number of processes, 4"):
        tiny.method("moco_v2", norm_parts=2).inputs(batch)


def test_value_and_gradient_of_v3_equal_numpy() -> None:
    q, k = gaussian(4, 6).requires_grad_(), gaussian(8, 6, seed=1)
    loss = moco_v3.contrast(q, k, 0.3, first=2)
    loss.backward()

    def numpy_loss(v: np.ndarray) -> float:
        scores = unit(v) @ unit(k.numpy()).T
        return float(np.mean(-2 * scores[range(4), range(2, 6)] + 0.6 * np.log(np.exp(scores / 0.3).sum(1))))

    assert loss.item() == pytest.approx(numpy_loss(q.detach().numpy()), rel=1e-12)
    np.testing.assert_allclose(grad(q), slopes(numpy_loss, q.detach().numpy()), atol=1e-8)


def test_closed_forms_of_v3() -> None:
    axes, ones = torch.eye(8, 12, dtype=torch.float64), torch.ones(8, 3)
    assert float(moco_v3.contrast(axes, axes, 0.2)) == pytest.approx(0.4 * math.log(1 + 7 * math.exp(-5)), rel=1e-12)
    assert float(moco_v3.contrast(ones, ones, 0.2)) == pytest.approx(0.4 * math.log(8), rel=1e-6)
    assert float(moco_v3.contrast(axes, -axes, 1e6)) / 2e6 == pytest.approx(math.log(8), rel=1e-6)


def test_v3_sums_both_directions_and_its_keys_learn_nothing() -> None:
    method = tiny.method("moco_v3").eval()
    a, b = torch.rand(6, 3, 32, 32), torch.rand(6, 3, 32, 32)
    z = [method.embed(x) for x in (a, b)]  # the teacher begins as a copy
    q = [method.predictor(x) for x in z]
    outputs = method(torch.cat([a, b]))
    torch.testing.assert_close(outputs["loss"], moco_v3.contrast(q[0], z[1], 0.2) + moco_v3.contrast(q[1], z[0], 0.2))
    outputs["loss"].backward()
    assert all(p.grad is None for p in method.teacher.parameters())
