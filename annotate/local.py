"""A drag: one joint follows the pointer, the moments around give way, the rest of the sequence stays.

While the pointer moves, the evidence around is a quadratic form in the window's unknowns, made where the hand was; the
dragged and the locked joints enter exactly, as a few rows more (the matrix inversion lemma). Once the hand has moved
far from there, the form is made anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

from annotate import equations as normal
from annotate.covariance import joint_slopes
from annotate.evidence import Anchors, Evidence
from annotate.fit import Term, evaluate, prepare
from annotate.hand import DOF, HandState
from annotate.stage import SEQUENCE, WIDE
from annotate.state import FitState
from hoi_core import camera as cameras
from hoi_core.conventions import N_JOINTS
from hoi_core.errors import FitError
from hoi_core.types import F64, I64, Camera

_HELD = 2  # moments at an end: an acceleration spans three, so those across the border stay as they were
_HELD_SIGMA_M = 1e-6
_DRAG_SIGMA_PX = 0.1
_LOCK_SIGMA_M = 5e-5
_YIELDING = 0.1
_NEAR = 2
_DAMPING = 1e-4
_STEPS = 4
_SETTLED = 0.5
_FAR_RAD = 0.35
_ROUNDS = 2


@dataclass(frozen=True)
class _Form:
    """The evidence around a state, as a quadratic form."""

    hands: HandState
    factor: F64
    """Banded Cholesky factor."""
    lowest: F64
    """(K * 51,) step to its minimum."""


class LocalFit:
    """Fits the moments around one while a joint of it is dragged. Touches no file.

    Args:
        evidence: of the sequence or of a part of it.
        state: the hand and the views' corrections at its moments; shape and corrections stay.
        terms: from `fit.load_terms`.
        frame: the moment whose joint is dragged.
        reach: moments before and after that may give way.

    Raises:
        FitError: `frame` is no moment of the evidence.
    """

    def __init__(
        self, evidence: Evidence, state: FitState, terms: Mapping[str, Term], frame: int, *, reach: int = 30
    ) -> None:
        moments = len(evidence.t_s)
        if not 0 <= frame < moments:
            raise FitError(
                f"a drag needs one of the {moments} moments, not {frame}.", "Choose a frame of the sequence."
            )
        first, last = max(frame - reach, 0), min(frame + reach, moments - 1)
        self.window = slice(first, last + 1)
        """Moments that the fit covers."""
        self.centre = frame - first
        """The dragged moment among them."""
        index = np.arange(first, last + 1)
        self._start = state.hands.taken(index)
        self._hands = self._start
        self._views = state.views
        self._terms = terms
        self._stage = (SEQUENCE if evidence.two_views else WIDE)[-1]
        ends = np.concatenate(
            [index[:_HELD] if first else index[:0], index[-_HELD:] if last < moments - 1 else index[:0]]
        )
        part = evidence.taken(index)
        self._held = self._settled(part, np.unique(ends[ends != frame]) - first)
        self._evidence = replace(part, anchors=self._anchors())
        self._form: _Form | None = None
        self._joint: int | None = None

    def _settled(self, part: Evidence, ends: I64) -> I64:
        """Moments of the window that stay, ascending: its ends and what a person settled, but never the dragged one."""
        anchored = np.zeros(0, dtype=np.int64) if part.anchors is None else part.anchors.moment
        held = np.union1d(ends, anchored)
        return held[held != self.centre].astype(np.int64)

    def _anchors(self) -> Anchors:
        sigma_m = np.full(len(self._held), _HELD_SIGMA_M)
        return Anchors(self._held, self._start.taken(self._held), sigma_m)

    def drag(self, joint: int, view: str, pixel_px: F64, *, locked: Collection[int] = ()) -> HandState:
        """Move a joint of the moment under a pixel, as near as hand and locks allow.

        Args:
            joint: of `openpose21`.
            view: where it is dragged.
            pixel_px: `(2,)` px without lens distortion, see `evidence.undistorted_px`.
            locked: joints of the moment that stay where they were when the drag began.

        Returns:
            The hand over the window.

        Raises:
            FitError: no such joint or view, or a pixel that is not finite.
        """
        pixel_px = np.asarray(pixel_px, dtype=np.float64)
        if view not in self._evidence.views or not 0 <= joint < N_JOINTS or not np.isfinite(pixel_px).all():
            raise FitError(
                f"a drag needs a joint from 0 to {N_JOINTS - 1}, one of the views {', '.join(self._evidence.views)} "
                f"and a finite pixel; it met joint {joint}, view {view} and {pixel_px}.",
                "Drag a joint that is drawn in the image.",
            )
        if joint != self._joint:
            self._joint, self._form = joint, None
        target = _Target(
            joint, self._evidence.cameras[self._evidence.views.index(view)], pixel_px, sorted(set(locked) - {joint})
        )
        for _ in range(_ROUNDS):
            form = self._form or self._around(self._hands)
            self._form = form
            step = self._towards(form, target)
            self._hands = self._moved(form.hands, step)
            if np.abs(step.reshape(-1, DOF)[:, 3:]).max() < _FAR_RAD:
                break
            self._form = None
        return self._hands

    def state(self) -> HandState:
        """The hand over the window after the last drag; held moments are as they were, bit for bit."""
        return self._hands

    def _moved(self, hands: HandState, step: F64) -> HandState:
        moved = hands.moved(step.reshape(-1, DOF), np.zeros(len(hands.betas)))
        moved.trans_m[self._held] = self._start.trans_m[self._held]
        moved.rotations[self._held] = self._start.rotations[self._held]
        return moved

    def _around(self, hands: HandState) -> _Form:
        state = FitState(hands, self._views)
        evidence = replace(self._evidence, confidence=self._yielding())
        equations, _ = evaluate(prepare(self._terms, evidence, state, self._stage), evidence, state)
        factor = normal.cholesky(equations, _DAMPING)
        lowest, _ = lapack.dpbtrs(factor, equations.g.reshape(-1, 1), lower=1)
        return _Form(hands, factor, -lowest[:, 0])

    def _yielding(self) -> F64:
        """Confidences, in which keypoints of the dragged joint and its neighbours count little near the moment."""
        confidence = self._evidence.confidence.copy()
        near = slice(max(self.centre - _NEAR, 0), self.centre + _NEAR + 1)
        joint = self._joint if self._joint is not None else 0
        along = [j for j in (joint - 1, joint, joint + 1) if j > 0 and joint > 0 and (j - 1) // 4 == (joint - 1) // 4]
        confidence[near, :, along or [0]] *= _YIELDING
        return confidence

    def _towards(self, form: _Form, target: _Target) -> F64:
        """The step from the form's hand that meets the target."""
        step = form.lowest
        own = slice(DOF * self.centre, DOF * (self.centre + 1))
        locked_m = self._start.taken(np.array([self.centre])).joints_m[0]
        for _ in range(_STEPS):
            now = form.hands.taken(np.array([self.centre])).moved(step[None, own], np.zeros(len(form.hands.betas)))
            residual, slopes, sigma = target.rows(now, locked_m)
            if step is not form.lowest and (np.abs(residual) < _SETTLED * sigma).all():
                break
            columns = np.zeros((len(step), len(residual)))
            columns[own] = slopes.T
            answer, _ = lapack.dpbtrs(form.factor, columns, lower=1)
            miss = residual + slopes @ (form.lowest[own] - step[own])
            step = form.lowest - answer @ np.linalg.solve(np.diag(sigma**2) + slopes @ answer[own], miss)
        return step


@dataclass(frozen=True)
class _Target:
    """Where the dragged joint should be seen, and which joints stay."""

    joint: int
    camera: Camera
    pixel_px: F64
    locked: list[int]

    def rows(self, now: HandState, locked_m: F64) -> tuple[F64, F64, F64]:
        """Residuals `(R,)`, their derivatives by the moment's unknowns `(R, 51)` and their sigmas `(R,)`.

        Two rows are the pixel's; three for each locked joint, which stays at `locked_m (21, 3)`.
        """
        # The derivatives of the joints that count alone: those of all twenty-one would take most of a move's time.
        asked = [self.joint, *self.locked]
        some = replace(now, hand=replace(now.hand, openpose=now.hand.openpose[asked]))
        slopes, _ = joint_slopes(some)
        joints_m = now.joints_m[0]
        T, camera = self.camera.T_cam_world, self.camera
        local = cameras.transform(T, joints_m[self.joint, None])[0]
        pixel = cameras.project(camera, local[None])[0]
        ideal = local[:2] / local[2]
        by_local = (
            np.array([[camera.fx, 0.0, -camera.fx * ideal[0]], [0.0, camera.fy, -camera.fy * ideal[1]]]) / local[2]
        )
        rows = [by_local @ T[:3, :3] @ slopes[0, 0], *slopes[0, 1 : len(asked)]]
        residuals = [pixel - self.pixel_px, *(joints_m[j] - locked_m[j] for j in self.locked)]
        sigma = np.concatenate([np.full(2, _DRAG_SIGMA_PX), np.full(3 * len(self.locked), _LOCK_SIGMA_M)])
        return np.concatenate(residuals), np.concatenate(rows), sigma
