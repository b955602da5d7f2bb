"""The compiled part of the package, the sparse engine. All else is said in pyproject.toml."""

import os
from pathlib import Path

from pybind11.setup_helpers import Pybind11Extension, build_ext
from setuptools import setup

NATIVE = Path("hoi_core/native")
# Such as `address,undefined`; CONTRIBUTING.md says how to run the tests on such a build.
SANITIZERS = os.environ.get("HOI_SANITIZE", "")
CHECKS = [f"-fsanitize={SANITIZERS}", "-fno-omit-frame-pointer", "-fno-sanitize-recover"] if SANITIZERS else []

# Optional: without a compiler the package installs and runs models in ONNX Runtime.
engine = Pybind11Extension(
    "hoi_core.native._engine",
    sorted(str(source) for source in NATIVE.glob("*.cpp")),
    depends=sorted(str(header) for header in NATIVE.glob("*.h")),
    cxx_std=17,
    extra_compile_args=["-O1" if SANITIZERS else "-O3", "-g0", *CHECKS],
    extra_link_args=CHECKS,
    optional=True,
)

setup(ext_modules=[engine], cmdclass={"build_ext": build_ext})
