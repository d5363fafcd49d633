"""An optimizer's step as a CUDA graph, for optimizers that launch many small kernels."""

import torch

WARM = 3  # steps that run as usual first: they allocate the optimizer's state, and choose the kernels


class GraphedStep:
    """`optimizer.step()` and `zero_grad()`: recorded on a GPU when called for the fourth time, then replayed.

    Muon launches a thousand kernels in a step, which takes a CPU longer than they take a GPU; a graph is one launch. It
    reads and writes the same tensors each time: gradients stay allocated, and rates are tensors on the device, which
    `set_lr` fills. Where gradients lie elsewhere than in the step before, it is recorded anew.
    """

    def __init__(self, optimizer: torch.optim.Optimizer):
        self.optimizer = optimizer
        self.parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.graph: torch.cuda.CUDAGraph | None = None
        self.addresses, self.seen = list[int](), 0
        for group in optimizer.param_groups:
            group.setdefault("peak_lr", group["lr"])
            group["lr"] = torch.as_tensor(group["lr"], device=self.parameters[0].device)
            group["capturable"] = True

    @staticmethod
    def helps(optimizer: torch.optim.Optimizer) -> bool:
        """Whether the optimizer can be recorded, and is none that launches one kernel for all parameters anyway."""
        return "capturable" in optimizer.defaults and not optimizer.defaults.get("fused")

    def __call__(self) -> None:
        addresses = [0 if p.grad is None else p.grad.data_ptr() for p in self.parameters]
        if addresses != self.addresses:
            self.addresses, self.graph, self.seen = addresses, None, 0
        self.seen += 1
        if self.seen <= WARM:
            self._run()
            return
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):  # other threads may use the GPU
                self._run()
        self.graph.replay()

    def _run(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)
