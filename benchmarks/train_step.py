"""Seconds per training step of a model, float and quantisation-aware, on random edges.

python benchmarks/train_step.py --batch-size 16 --threads 2
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from learning import models, quantize
from learning.bench import random_edges


def seconds_per_step(model: torch.nn.Module, image: torch.Tensor, repeats: int) -> float:
    """Median time of forward, backward and optimiser."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-5)
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        loss = torch.stack([x.square().mean() for x in model(image)]).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def main() -> None:
    """Time both kinds of step and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="splite")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    image = torch.cat([torch.from_numpy(random_edges(128, 0.88, n)) for n in range(given.batch_size)])
    image = image.contiguous(memory_format=torch.channels_last)
    network = models.build(given.model).to(memory_format=torch.channels_last)
    print(f"float {seconds_per_step(network.train(), image, given.repeats):.3f} s/step")
    prepared = quantize.prepare(network.eval(), (image[:1],))
    print(f"qat   {seconds_per_step(prepared, image, given.repeats):.3f} s/step")


if __name__ == "__main__":
    main()
