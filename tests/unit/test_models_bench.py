"""The bench times each net in every way, against the plain one, and folding keeps what a net computes."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from models.bench import __main__ as bench
from models.bench import timing
from models.bench.modes import MODES, PLAIN
from models.bench.nets import ENTRIES, Entry, Subject, subject
from models.bench.timing import take_turns
from models.compute.fold import folded
from models.nets.product import ProductNet, ProductNetConfig
from models.nets.trunk import conv_norm


class Small(nn.Module):
    """Two convolutions with norms, one of them per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv_norm(3, 8, 3)
        self.second = conv_norm(8, 8, 3, groups=8, rectify=False)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.second(self.first(pictures))
        return found


def unsettled(net: nn.Module) -> nn.Module:
    """Norms as after training: no mean is 0, no variance 1."""
    torch.manual_seed(3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    return net.eval()


def norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def test_folding_takes_every_norm_and_changes_nothing_else() -> None:
    net, pictures = unsettled(Small()), torch.rand(2, 3, 16, 16)
    quick = folded(net)
    with torch.inference_mode():
        assert quick(pictures).numpy() == pytest.approx(net(pictures).numpy(), abs=1e-4)
    assert (norms(net), norms(quick)) == (2, 0)
    assert not quick.training


def test_a_norm_without_a_convolution_before_it_stays() -> None:
    net = unsettled(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3)))
    assert norms(folded(net)) == 2


def test_the_product_net_folds_whole() -> None:
    net, pictures = unsettled(ProductNet(ProductNetConfig(classes=3))), torch.rand(1, 3, 64, 64)
    quick = folded(net)
    with torch.inference_mode():
        one, other = net(pictures), quick(pictures)
    assert norms(quick) == 0
    scale = float(one.mask.abs().max())
    assert other.mask.numpy() == pytest.approx(one.mask.numpy(), abs=1e-3 * scale)
    assert other.classes.numpy() == pytest.approx(one.classes.numpy(), rel=1e-3, abs=1e-3)


TOY = Entry(
    name="toy",
    architecture="toy",
    goal_ms=5.0,
    make=lambda config: Small(),
    inputs=lambda: (torch.rand(1, 3, 16, 16),),
)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "compiled"])
def test_every_way_computes_the_same(mode: str) -> None:
    net = unsettled(Small())
    timed = Subject(net=net, inputs=TOY.inputs(), trained=True)
    found = MODES[mode](timed, torch.device("cpu"))()
    with torch.inference_mode():
        assert isinstance(found, torch.Tensor)
        assert found.float().numpy() == pytest.approx(net(*timed.inputs).numpy(), abs=0.1 if mode == "bf16" else 1e-4)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_net_takes_its_inputs(entry: Entry) -> None:
    timed = subject(entry)
    assert not timed.net.training
    with torch.inference_mode():
        timed.net(*timed.inputs)


def test_the_ways_take_turns_and_are_held_against_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(
        timing, "time", SimpleNamespace(perf_counter=lambda: clock[0], process_time=lambda: clock[0] / 2)
    )
    order: list[str] = []

    def call(name: str, spans: Iterator[float]) -> Callable[[], None]:
        def run() -> None:
            order.append(name)
            clock[0] += next(spans)

        return run

    # Another process takes half of the machine away in the second round.
    plain, slow = iter([9, 9, 0.010, 0.020, 0.012]), iter([9, 9, 0.030, 0.060, 0.024])
    waits: list[int] = []
    found = take_turns({PLAIN: call(PLAIN, plain), "slow": call("slow", slow)}, 3, lambda: waits.append(1))
    assert order == [PLAIN] * 2 + ["slow"] * 2 + [PLAIN, "slow"] * 3
    assert len(waits) == 1 + 6
    assert (found[PLAIN].share, found["slow"].share) == pytest.approx((1, 3))
    assert (found[PLAIN].wall_ms, found["slow"].wall_ms) == pytest.approx((12, 30))
    assert found["slow"].processor_ms == pytest.approx(15)


def test_the_bench_gives_a_row_for_each_way_and_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "ENTRIES", (TOY,))
    before = torch.get_num_threads()
    assert bench.main(["--only", "toy", "--threads", "1", "2", "--rounds", "2", "--modes", "folded", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    seen = [(row["net"], row["threads"], row["mode"], row["trained"], row["goal_ms"]) for row in rows]
    ways = [(1, PLAIN, 5.0), (1, "folded", 5.0), (2, PLAIN, None), (2, "folded", None)]
    assert seen == [("toy", threads, way, False, goal) for threads, way, goal in ways]
    assert all(row["wall_ms"] > 0 and row["parameters"] == 8 * 27 + 8 * 9 + 32 for row in rows)
    assert torch.get_num_threads() == before


def test_the_table_marks_random_weights(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "ENTRIES", (TOY,))
    assert bench.main(["--rounds", "1"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:4] for line in lines[-4:]] == [
        ["toy", "random", "1", "plain"],
        ["toy", "random", "1", "channels"],
        ["toy", "random", "1", "folded"],
        ["toy", "random", "1", "bf16"],
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_device_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--device", "cuda"]) == 2
    assert "no CUDA device" in capsys.readouterr().err
