"""Terms of the fit: one file each, found by file name.

A term is a module with three names:

- `Config`: frozen dataclass with `weight` (0 switches it off), sigmas in units that its attribute docs name.
- `prepare(config, evidence, state, stage) -> object`: what stays fixed for one iteration (correspondences,
  velocities); None where there is nothing to say.
- `accumulate(prepared, state, equations) -> float`: the cost, `0.5 * sum of squared residuals in sigmas`; where
  `equations` is not None, also adds gradient and Hessian by analytic derivatives.
"""
