"""A drag: one joint follows the pointer, the moments around give way, the rest of the sequence stays.

While the pointer moves, the evidence around is a quadratic form in the window's unknowns, made where the hand was; the
dragged and the locked joints enter exactly, as a few rows more (the matrix inversion lemma). Most of its work does not
depend on which joint is dragged and is done by `ready`, before the pointer moves. Once the hand has moved far, the
next move makes anew what the moments near the dragged one say; the others hardly moved.
"""

from __future__ import annotations

import copy
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
from hoi_core import rotation
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
_RENEWED = 6
"""Moments before and after the dragged one whose evidence is looked at again once the hand has moved far."""
_JOINING = ("smooth", "anchor")
"""Terms that join moments or cost next to nothing; all others speak of one moment each."""
_CLICKED = "keypoints2d"


@dataclass(frozen=True)
class _Own:
    """What the evidence says of each moment alone, as quadratic forms about a state. K moments."""

    hands: HandState
    H: F64
    """(K, 51, 51) symmetric."""
    g: F64
    """(K, 51)."""

    def at(self, hands: HandState) -> _Own:
        """The same forms about another state."""
        turned = np.swapaxes(self.hands.rotations, -1, -2) @ hands.rotations
        step = np.concatenate(
            [hands.trans_m - self.hands.trans_m, rotation.log_so3(turned).reshape(len(self.g), -1)], 1
        )
        return _Own(hands, self.H, self.g + (self.H @ step[..., None])[..., 0])


@dataclass(frozen=True)
class _Form:
    """All evidence around a state, as a quadratic form."""

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
        # Where the joints are needs no skin, and is asked several times a move.
        self._bare = state.hands.hand.without_skin()
        self._views = state.views
        self._terms = terms
        self._stage = (SEQUENCE if evidence.two_views else WIDE)[-1]
        ends = np.concatenate(
            [index[:_HELD] if first else index[:0], index[-_HELD:] if last < moments - 1 else index[:0]]
        )
        part = evidence.taken(index)
        self._held = self._settled(part, np.unique(ends[ends != frame]) - first)
        self._evidence = replace(part, anchors=self._anchors())
        self._ready: _Own | None = None
        self._own: _Own | None = None
        self._form: _Form | None = None
        self._target: _Target | None = None
        self._far = False
        self.renewals = 0
        """How often evidence was looked at again since the drag began."""

    def ready(self) -> None:
        """Look at the evidence, all but the dragged joint's own, so that the first move need not wait for it."""
        if self._ready is None:
            blind = self._evidence.confidence.copy()
            blind[self._near(_NEAR)] = 0.0
            self._ready = self._own_of(slice(0, len(blind)), self._start, blind)

    def fresh(self) -> LocalFit:
        """The same fit for another drag, as ready as this one, nothing dragged."""
        out = copy.copy(self)
        out._hands, out._own, out._form, out._target = self._start, None, None, None
        out._far, out.renewals = False, 0
        return out

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
        if self._target is None or joint != self._target.joint:
            self._take_hold(joint)
        elif self._far:
            self._renew(joint)
        self._target = _Target(
            joint, self._evidence.cameras[self._evidence.views.index(view)], pixel_px, sorted(set(locked) - {joint})
        )
        self._solve()
        return self._hands

    def settle(self) -> HandState:
        """Meet the last target once more where the hand has moved far since the evidence was looked at."""
        if self._target is not None and self._far:
            self._renew(self._target.joint)
            self._solve()
        return self._hands

    def _solve(self) -> None:
        if self._form is None or self._target is None:
            raise RuntimeError("nothing is dragged")
        step = self._towards(self._form, self._target)
        self._hands = self._moved(self._form.hands, step)
        self._far = bool(np.abs(step.reshape(-1, DOF)[:, 3:]).max() > _FAR_RAD)

    def state(self) -> HandState:
        """The hand over the window after the last drag; held moments are as they were, bit for bit."""
        return self._hands

    def _moved(self, hands: HandState, step: F64) -> HandState:
        moved = hands.moved(step.reshape(-1, DOF), np.zeros(len(hands.betas)))
        moved.trans_m[self._held] = self._start.trans_m[self._held]
        moved.rotations[self._held] = self._start.rotations[self._held]
        return moved

    def _near(self, reach: int) -> slice:
        """Moments around the dragged one."""
        return slice(max(self.centre - reach, 0), min(self.centre + reach + 1, len(self._start.trans_m)))

    def _take_hold(self, joint: int) -> None:
        """Make the form of a joint; of its keypoints alone where `ready` did the rest."""
        self.ready()
        if self._own is not None or self._ready is None:
            self._renew(joint)
            return
        near = self._near(_NEAR)
        clicked = {name: term for name, term in self._terms.items() if name == _CLICKED}
        said = self._own_of(near, self._start, self._yielding(joint), clicked)
        H, g = self._ready.H.copy(), self._ready.g.copy()
        H[near] += said.H
        g[near] += said.g
        self._put_together(_Own(self._start, H, g))

    def _renew(self, joint: int) -> None:
        """Look again at the evidence near the dragged moment, where the hand is now."""
        if self._own is None:
            raise RuntimeError("nothing is dragged")
        near, own = self._near(_RENEWED), self._own.at(self._hands)
        said = self._own_of(near, self._hands, self._yielding(joint))
        H, g = own.H.copy(), own.g.copy()
        H[near], g[near] = said.H, said.g
        self._put_together(_Own(self._hands, H, g))
        self.renewals += 1

    def _own_of(self, span: slice, hands: HandState, confidence: F64, terms: Mapping[str, Term] | None = None) -> _Own:
        """What the evidence says of some moments alone, by default that of all terms."""
        asked = self._terms if terms is None else terms
        first, last = max(span.start - 1, 0), min(span.stop + 1, len(confidence))  # velocities need neighbours
        rows = np.arange(first, last)
        part = replace(self._evidence, confidence=confidence, anchors=None).taken(rows)
        state = FitState(hands.taken(rows), self._views)
        alone = {name: term for name, term in asked.items() if name not in _JOINING}
        equations, _ = evaluate(prepare(alone, part, state, self._stage), part, state)
        inner = slice(span.start - first, span.stop - first)
        lower = np.tril(equations.H[inner])
        return _Own(hands, lower + np.swapaxes(np.tril(lower, -1), 1, 2), equations.g[inner])

    def _put_together(self, own: _Own) -> None:
        """Make the form of what the moments say and of what joins them."""
        state = FitState(own.hands, self._views)
        joining = {name: term for name, term in self._terms.items() if name in _JOINING}
        equations, _ = evaluate(prepare(joining, self._evidence, state, self._stage), self._evidence, state)
        equations.H[:] += own.H
        equations.g[:] += own.g
        factor = normal.cholesky(equations, _DAMPING)
        lowest, _ = lapack.dpbtrs(factor, equations.g.reshape(-1, 1), lower=1)
        self._own, self._form, self._far = own, _Form(own.hands, factor, -lowest[:, 0]), False

    def _yielding(self, joint: int) -> F64:
        """Confidences, in which keypoints of the dragged joint and its neighbours count little near the moment."""
        confidence = self._evidence.confidence.copy()
        along = [j for j in (joint - 1, joint, joint + 1) if j > 0 and joint > 0 and (j - 1) // 4 == (joint - 1) // 4]
        confidence[self._near(_NEAR), :, along or [0]] *= _YIELDING
        return confidence

    def _joints_at(self, hands: HandState) -> HandState:
        """The dragged moment of a state, without skin."""
        return replace(hands.taken(np.array([self.centre])), hand=self._bare)

    def _towards(self, form: _Form, target: _Target) -> F64:
        """The step from the form's hand that meets the target."""
        step = form.lowest
        own = slice(DOF * self.centre, DOF * (self.centre + 1))
        locked_m, there = self._joints_at(self._start).joints_m[0], self._joints_at(form.hands)
        for _ in range(_STEPS):
            now = there.moved(step[None, own], np.zeros(len(there.betas)))
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
        joints_m = some.joints_m[0]
        T, camera = self.camera.T_cam_world, self.camera
        local = cameras.transform(T, joints_m[:1])[0]
        pixel = cameras.project(camera, local[None])[0]
        ideal = local[:2] / local[2]
        by_local = (
            np.array([[camera.fx, 0.0, -camera.fx * ideal[0]], [0.0, camera.fy, -camera.fy * ideal[1]]]) / local[2]
        )
        rows = [by_local @ T[:3, :3] @ slopes[0, 0], *slopes[0, 1 : len(asked)]]
        residuals = [pixel - self.pixel_px, *(joints_m[1:] - locked_m[self.locked])]
        sigma = np.concatenate([np.full(2, _DRAG_SIGMA_PX), np.full(3 * len(self.locked), _LOCK_SIGMA_M)])
        return np.concatenate(residuals), np.concatenate(rows), sigma
