"""Recordings, annotations and truth on disk: the only package that knows the paths inside the HDF5 files."""

from hoi_core.sequence._files import storage_errors
from hoi_core.sequence._revision_io import HandPlaces
from hoi_core.sequence._tables import Mark, Sync
from hoi_core.sequence.annotation import Annotation, Binding, open_annotation, write_revision
from hoi_core.sequence.check import check_sequence
from hoi_core.sequence.clocks import Clock, ClockPiece, Epoch
from hoi_core.sequence.drops import NOT_DELIVERED, QUEUE_FULL, UNPLUGGED, Drop
from hoi_core.sequence.glance import Glance, glance
from hoi_core.sequence.layout import (
    annotation_path,
    capture_path,
    find_sequence,
    list_sequences,
    new_sequence_dir,
    next_name,
    sequence_dir,
    truth_path,
)
from hoi_core.sequence.reader import REFERENCE, Capture, open_capture
from hoi_core.sequence.recover import recover, repair
from hoi_core.sequence.streams import ImageStream, Sensor, View
from hoi_core.sequence.tables import read_table, register_recording, set_row
from hoi_core.sequence.truth import Truth, open_truth, write_truth
from hoi_core.sequence.writer import CaptureHeader, CaptureWriter

__all__ = [
    "NOT_DELIVERED",
    "QUEUE_FULL",
    "REFERENCE",
    "UNPLUGGED",
    "Annotation",
    "Binding",
    "Capture",
    "CaptureHeader",
    "CaptureWriter",
    "Clock",
    "ClockPiece",
    "Drop",
    "Epoch",
    "Glance",
    "HandPlaces",
    "ImageStream",
    "Mark",
    "Sensor",
    "Sync",
    "Truth",
    "View",
    "annotation_path",
    "capture_path",
    "check_sequence",
    "find_sequence",
    "glance",
    "list_sequences",
    "new_sequence_dir",
    "next_name",
    "open_annotation",
    "open_capture",
    "open_truth",
    "read_table",
    "recover",
    "register_recording",
    "repair",
    "sequence_dir",
    "set_row",
    "storage_errors",
    "truth_path",
    "write_revision",
    "write_truth",
]
