"""The sequence fit beside Adam and L-BFGS: same evidence, same start, same terms; and what a move of a drag costs.

Adam (Kingma and Ba 2015) takes 10,000 steps of 1e-3 over the whole sequence at once, as HO-Cap's annotation does. It
and L-BFGS minimise the same cost written in torch (`fit_peer`): autograd, no Hessian, one or two threads, whichever is
faster here. Every 50 steps the terms find their correspondences anew, and the strictness of the robust terms goes
through the fit's own stages, one for each renewal. All of a solver's work counts as its time, but for the figures:
the final cost, with correspondences of its own end, and the distance from the true joints.

python benchmarks/fit.py [--moments 60] [--adam-steps 10000] [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from fit_peer import Peer
from scipy.optimize import minimize

from annotate import fit as fitting
from annotate import hand as hands
from annotate.evidence import Cloud, Evidence
from annotate.initialise import initialise
from annotate.local import LocalFit
from annotate.stage import SEQUENCE
from annotate.state import FitState
from hoi_core import camera as cameras
from hoi_core.conventions import N_BETAS
from hoi_core.mano import ManoLayer
from hoi_core.scene import motion, objects
from hoi_core.types import F64, Camera

_RATE = 1e-3
_RENEW = 50
_AGREE = 1e-3


def views() -> tuple[Camera, Camera]:
    """Two cameras 75 degrees apart, 0.6 m from the table's centre."""
    out = []
    for angle in np.deg2rad([-37.5, 37.5]):
        eye = 0.6 * np.array([0.9 * np.sin(angle), -0.9 * np.cos(angle), 0.5])
        pose = cameras.look_at(eye, np.array([0.0, 0.0, 0.08]), np.array([0.0, 0.0, 1.0]))
        out.append(Camera(640, 480, 615.0, 615.0, 320.0, 240.0, T_world_cam=pose))
    return out[0], out[1]


def invent(layer: ManoLayer, moments: int) -> tuple[Evidence, F64]:
    """Clicks of 2 px on every fifth frame and 250 depth points a view, and the true joints `(M, 21, 3)` m."""
    rng = np.random.default_rng(0)
    play = motion.random_play(layer, rng.normal(size=10) * 0.6, objects.make("o01"), rng)
    t_s = 1.0 + np.arange(moments) / 30.0
    true = play.at(t_s)
    state = hands.state_from_axis_angle(hands.from_mano(layer.model), true.orient, true.pose, true.betas, true.trans_m)
    pixels, clouds = np.full((moments, 2, 21, 2), np.nan), {}
    for v, camera in enumerate(views()):
        exact = cameras.project(camera, cameras.transform(camera.T_cam_world, state.joints_m))
        pixels[::5, v] = (exact + rng.normal(size=exact.shape) * 2.0)[::5]
        eye_m = camera.T_world_cam[:3, 3]
        facing = ((eye_m - state.vertices_m) * state.normals).sum(-1) > 0
        rows = [rng.choice(np.flatnonzero(seen), 250) for seen in facing]
        moment, vertex = np.repeat(np.arange(moments), 250), np.concatenate(rows)
        points_m = state.vertices_m[moment, vertex] + rng.normal(size=(len(vertex), 3)) * 0.002
        start = np.arange(moments + 1) * 250
        clouds[v] = Cloud(start, points_m, state.normals[moment, vertex], np.zeros(moments), eye_m)
    evidence = Evidence(
        t_s=t_s,
        views=("left", "right"),
        cameras=views(),
        keypoints_px=pixels,
        confidence=np.isfinite(pixels).all(-1).astype(np.float64),
        lag_s=np.zeros((moments, 2)),
        clouds=clouds,
    )
    return evidence, state.joints_m


class Took(NamedTuple):
    """Time of some work: on the wall, and of all threads of this process, which other programs hardly change."""

    wall_s: float
    cpu_s: float

    @staticmethod
    def now() -> Took:
        """The clocks."""
        return Took(time.perf_counter(), time.process_time())

    def __add__(self, other: tuple[float, ...]) -> Took:
        return Took(self.wall_s + other[0], self.cpu_s + other[1])

    def since(self, began: Took) -> Took:
        """What went by between two readings."""
        return Took(self.wall_s - began.wall_s, self.cpu_s - began.cpu_s)


@dataclass(frozen=True)
class Problem:
    """What all solvers are given."""

    evidence: Evidence
    start: FitState
    terms: dict[str, fitting.Term]
    true_m: F64
    """(M, 21, 3) m."""

    def prepared(self, state: FitState, renewal: int) -> fitting.Prepared:
        """The terms at a state, as strict as the fit's iteration of that number."""
        stage = SEQUENCE[min(renewal, len(SEQUENCE) - 1)]
        return fitting.prepare(self.terms, self.evidence, state, stage)

    def cost(self, state: FitState) -> float:
        """With correspondences found where the state is."""
        return float(fitting.evaluate(self.prepared(state, len(SEQUENCE)), self.evidence, state)[1])

    def error_mm(self, state: FitState) -> float:
        """Mean distance from the true joints."""
        return float(1e3 * np.linalg.norm(state.hands.joints_m - self.true_m, axis=-1).mean())

    def show(self, name: str, took: Took, state: FitState, own: Took) -> None:
        """One line of the table."""
        print(
            f"{name:24s} {took.wall_s:9.2f} s {took.wall_s / own.wall_s:8.1f} x  (CPU {took.cpu_s:9.2f} s "
            f"{took.cpu_s / own.cpu_s:8.1f} x)  cost {self.cost(state):10.1f}  joints {self.error_mm(state):6.2f} mm",
            flush=True,
        )


def ours(problem: Problem, repeats: int) -> tuple[Took, FitState]:
    """Median time of the fit, and where it ends."""
    fitting.fit(problem.evidence, problem.start, problem.terms)  # compiles
    times = []
    for _ in range(repeats):
        began = Took.now()
        result = fitting.fit(problem.evidence, untouched(problem.start), problem.terms)
        times.append(Took.now().since(began))
    return Took(*(statistics.median(column) for column in zip(*times, strict=True))), result.state


def untouched(state: FitState) -> FitState:
    """The same state with nothing computed yet."""
    return replace(state, hands=replace(state.hands))


def agreement(problem: Problem, dtype: torch.dtype) -> float:
    """Relative difference of both costs at the start."""
    peer = Peer(problem.evidence, problem.start, dtype)
    prepared = problem.prepared(problem.start, len(SEQUENCE))
    peer.renew(prepared)
    expected = fitting.evaluate(prepared, problem.evidence, problem.start)[1]
    return abs(peer(peer.start(problem.start)).item() / expected - 1)


def adam(problem: Problem, steps: int, on_mark: Callable[[int, Took, FitState], None], marks: set[int]) -> Took:
    """Time of so many steps of Adam; calls `on_mark` (step, time, state) at some of them."""
    peer = Peer(problem.evidence, problem.start, torch.float32)
    spent, began = Took(0.0, 0.0), Took.now()
    peer.renew(problem.prepared(problem.start, 0))
    leaves = peer.start(problem.start)
    solver = torch.optim.Adam(leaves, lr=_RATE, fused=True)
    for k in range(1, steps + 1):
        if k > 1 and (k - 1) % _RENEW == 0:
            peer.renew(problem.prepared(peer.state(leaves), k // _RENEW))
        solver.zero_grad()
        peer(leaves).backward()
        solver.step()
        if k in marks:
            spent += Took.now().since(began)
            on_mark(k, spent, peer.state(leaves))
            began = Took.now()
    return spent + Took.now().since(began)


def lbfgs(problem: Problem, rounds: int) -> tuple[Took, int, FitState]:
    """Time and evaluations of scipy's L-BFGS-B, and where it ends; unknowns scaled by the fit's own Hessian.

    It starts anew after each renewal and ends once a round of the last stage lowers the cost by less than 1e-4.
    """
    began = Took.now()
    peer, state, evaluations = Peer(problem.evidence, problem.start, torch.float64), problem.start, 0
    for k in range(rounds):
        prepared = problem.prepared(state, k)
        peer.renew(prepared)
        leaves = peer.start(state)
        scale = scales(problem, prepared, state)
        free = torch.cat([leaf.detach().reshape(-1) for leaf in leaves]).numpy()

        def scaled(
            x: F64, base: F64 = free, scale: F64 = scale, leaves: list[torch.Tensor] = leaves
        ) -> tuple[float, F64]:
            put(leaves, base + x * scale)
            value = peer(leaves)
            slopes = torch.autograd.grad(value, leaves)
            return value.item(), torch.cat([slope.reshape(-1) for slope in slopes]).numpy() * scale

        found = minimize(
            scaled, np.zeros(len(free)), jac=True, method="L-BFGS-B", options={"maxiter": _RENEW, "maxcor": 20}
        )
        evaluations += found.nfev
        put(leaves, free + found.x * scale)
        before, state = scaled(np.zeros(len(free)))[0], peer.state(put(leaves, free + found.x * scale))
        if k >= len(SEQUENCE) and before - found.fun < 1e-4 * before:
            break
    return Took.now().since(began), evaluations, state


def put(leaves: list[torch.Tensor], flat: F64) -> list[torch.Tensor]:
    """Write one vector into all unknowns."""
    at = 0
    with torch.no_grad():
        for leaf in leaves:
            leaf.copy_(torch.as_tensor(flat[at : at + leaf.numel()]).reshape(leaf.shape))
            at += leaf.numel()
    return leaves


def scales(problem: Problem, prepared: fitting.Prepared, state: FitState) -> F64:
    """One over the root of each unknown's curvature, in the order of the peer's unknowns."""
    equations, _ = fitting.evaluate(prepared, problem.evidence, state)
    own = np.diagonal(equations.H, axis1=1, axis2=2)
    betas = np.diagonal(equations.Hs)[:N_BETAS]
    corrections = np.ones(state.views.size)
    return np.concatenate([*(1 / np.sqrt(a).ravel() for a in (own[:, :3], own[:, 3:], betas)), corrections])


def drags_ms(problem: Problem, state: FitState, drags: int, moves: int) -> F64:
    """(N, 3): wall and CPU time of each move of a joint by a pixel, and whether it was a drag's first."""
    rng, rows = np.random.default_rng(0), []
    for frame in rng.integers(len(problem.evidence.t_s), size=drags).tolist():
        local = LocalFit(problem.evidence, state, problem.terms, frame)
        local.ready()  # as the window does while the pointer comes near
        joint, camera = int(rng.integers(21)), problem.evidence.cameras[0]
        at = cameras.project(camera, cameras.transform(camera.T_cam_world, state.hands.joints_m[frame, joint, None]))[0]
        for k in range(moves):
            began = time.perf_counter(), time.thread_time()
            moved = local.drag(joint, problem.evidence.views[0], at + 2 * k)
            _ = moved.taken(np.array([local.centre])).vertices_m
            rows.append((1e3 * (time.perf_counter() - began[0]), 1e3 * (time.thread_time() - began[1]), k == 0))
    return np.array(rows)


def faster_threads(problem: Problem) -> int:
    """One or two threads of torch: which takes Adam farther."""
    took = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        adam(problem, 5, lambda *_: None, set())
        took[threads] = adam(problem, 20, lambda *_: None, set()).wall_s
    return min(took, key=lambda threads: took[threads])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--moments", type=int, default=60, help="length of the play, 30 moments a second")
    parser.add_argument("--repeats", type=int, default=3, help="of the fit; the median counts")
    parser.add_argument("--adam-steps", type=int, default=10_000, help="steps of Adam")
    parser.add_argument("--drags", type=int, default=8, help="drags of 25 moves each")
    parser.add_argument("--quick", action="store_true", help="few moments, steps and moves: only to see that it works")
    given = parser.parse_args()
    if given.quick:
        given.moments, given.repeats, given.adam_steps, given.drags = 20, 1, 100, 1
    layer, terms = ManoLayer.stand_in("right"), fitting.load_terms()
    evidence, true_m = invent(layer, given.moments)
    start = initialise(hands.from_mano(layer.model), evidence, terms)
    problem = Problem(evidence, start, terms, true_m)
    apart = max(agreement(problem, dtype) for dtype in (torch.float32, torch.float64))
    print(f"{given.moments} moments; costs differ by {apart:.0e} at the start")
    if apart > _AGREE:
        raise SystemExit(f"the torch cost must be ours to {_AGREE}, they differ by {apart:.1e}.")
    own, ended = ours(problem, given.repeats)
    problem.show("start", Took(0.0, 0.0), start, own)
    problem.show("ours", own, ended, own)
    torch.set_num_threads(faster_threads(problem))
    print(f"torch uses {torch.get_num_threads()} threads")
    marks = {n for n in (100, 1000, given.adam_steps) if n <= given.adam_steps}
    adam(problem, given.adam_steps, lambda n, took, state: problem.show(f"Adam, {n} steps", took, state, own), marks)
    took, evaluations, state = lbfgs(problem, 3 if given.quick else 60)
    problem.show(f"L-BFGS, {evaluations} evaluations", took, state, own)
    print(f"ours: {1e3 * own.wall_s / given.moments:.1f} ms a moment")
    moves = drags_ms(problem, ended, given.drags, 25)
    for name, rows in (("all", moves), ("first", moves[moves[:, 2] > 0])):
        wall, cpu = (np.percentile(rows[:, k], [50, 95, 100]) for k in (0, 1))
        print(
            f"drag, {len(rows)} {name} moves: median {wall[0]:.0f} ms, p95 {wall[1]:.0f}, max {wall[2]:.0f} "
            f"(CPU {cpu[0]:.0f}, {cpu[1]:.0f}, {cpu[2]:.0f})"
        )


if __name__ == "__main__":
    main()
