"""CPC: the context sees nothing below its row, predictions are counted by hand, samples do not know each other."""

import math

import pytest
import tiny
import torch

from vicreg.methods.cpc import CPC


def test_the_context_depends_on_its_row_and_those_above() -> None:
    context = tiny.method("cpc").context.double()
    grid = torch.randn(1, 16, 7, 7, dtype=torch.float64)
    with torch.no_grad():
        for block in context:
            block.conv1.bias.add_(1.0)  # so that no unit rests by chance
    jacobian = torch.autograd.functional.jacobian(lambda x: context(x).sum(dim=(0, 1)), grid)[:, :, 0]  # (7,7,C,7,7)
    reach = jacobian.abs().sum(dim=2).amax(dim=(1, 3))  # from row to row
    assert torch.equal(reach > 0, torch.ones(7, 7, dtype=torch.bool).tril())


@pytest.mark.parametrize("steps", [1, 3])
def test_predictions_labels_and_candidates_are_counted(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    method, n = tiny.method("cpc", steps=steps), 4
    seen: dict[str, torch.Tensor] = {}

    def record(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.update(logits=logits, labels=labels)
        return {"loss": logits.sum()}

    monkeypatch.setattr("vicreg.methods.cpc.classify", record)
    method(method.inputs(tiny.batch(n)))
    ahead = range(2, 2 + steps)  # windows of 8 pixels, 4 apart, overlap with the next row
    expected = [b * 49 + (i + k) * 7 + j for k in ahead for b in range(n) for i in range(7 - k) for j in range(7)]
    assert seen["labels"].tolist() == expected
    assert seen["logits"].shape == (sum((7 - k) * 7 * n for k in ahead), n * 49)


def test_scores_are_those_of_one_prediction_by_hand() -> None:
    method = tiny.method("cpc", steps=1, scale=0.5).double()
    patches = method.inputs(tiny.batch(2)).double()
    with torch.no_grad():
        outputs = method(patches)
        y = method.encoder(patches.flatten(0, 1)).view(2, 7, 7, -1)
        targets = method.targets(y).flatten(0, 2)
        context = method.context(y.permute(0, 3, 1, 2))
        losses, hits = [], []
        for b in range(2):
            for i in range(5):
                for j in range(7):
                    prediction = (
                        method.predictors[0].weight[:, :, 0, 0] @ context[b, :, i, j] + method.predictors[0].bias
                    )
                    scores = 0.5 * targets @ prediction
                    own = b * 49 + (i + 2) * 7 + j
                    losses.append(float(scores.logsumexp(0) - scores[own]))
                    hits.append(int(scores.argmax()) == own)
    assert float(outputs["loss"]) == pytest.approx(sum(losses) / 70, rel=1e-9)
    assert float(outputs["accuracy"]) == pytest.approx(sum(hits) / 70)


def test_predictors_of_zero_cost_the_log_of_the_candidates() -> None:
    method = tiny.method("cpc")
    with torch.no_grad():
        for parameter in method.predictors.parameters():
            parameter.zero_()
    for n in (4, 8):
        assert method(method.inputs(tiny.batch(n)))["loss"].item() == pytest.approx(math.log(n * 49), rel=1e-5)


def test_images_do_not_know_each_other() -> None:
    method = tiny.method("cpc").train()
    one = method.inputs(tiny.batch(2))
    other = one.clone()
    other[1] = torch.rand(49, 3, 8, 8)
    y, z = (method.encoder(patches.flatten(0, 1)) for patches in (one, other))
    assert torch.equal(y[:49], z[:49]) and not torch.equal(y[49:], z[49:])
    assert not [m for m in method.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]


def test_what_is_judged_is_the_mean_over_windows_or_the_image() -> None:
    method, images = tiny.method("cpc").eval(), tiny.batch(2).images
    windows = (images.float() / 255).unfold(2, 8, 4).unfold(3, 8, 4)
    patches = torch.stack([windows[:, :, i, j] for i in range(7) for j in range(7)], dim=1)
    expected = method.encoder(patches.flatten(0, 1)).view(2, 49, -1).mean(dim=1)
    torch.testing.assert_close(method.representation(images), expected, atol=1e-5, rtol=1e-5)
    whole = tiny.method("cpc", representation="image")
    assert whole.representation is whole.encoder


def test_images_with_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 x 16 pixels have 3 rows .* row 5 is to be predicted"):
        tiny.method("cpc").inputs(tiny.batch(4, side=16))
    assert CPC.Params(patch=12, stride=4).patch == 12
