"""Where the cells of a protocol stand, and what becomes of clicks and keys."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui import theme
from gui.lab import Take
from gui.panels.coverage_matrix import CoverageMatrix, arrange
from gui.panels.take_list import level, report_line
from gui.qt import Qt

pytestmark = pytest.mark.gui


def cell(participant, item, scenario, status="planned"):
    return SimpleNamespace(
        participant=participant, objects=(item,), scenario=scenario, action="use", status=status, sequence="", takes=0
    )


cells = st.lists(
    st.builds(
        cell,
        st.sampled_from(["p01", "p02", "p03"]),
        st.integers(0, 60).map(lambda n: f"o{n:03d}"),
        st.sampled_from(["kitchen", "office"]),
    ),
    unique_by=lambda c: (c.participant, c.objects, c.scenario),
    max_size=60,
)


@given(cells)
def test_every_cell_has_a_place_of_its_own_in_its_row_and_block(found):
    layout = arrange(found)
    assert len(layout.placed) == len(found)
    assert len({(p.row, p.column) for p in layout.placed}) == len(found)
    for placed in layout.placed:
        assert layout.participants[placed.row] == placed.cell.participant
        block = next(b for b in layout.blocks if b.first <= placed.column < b.first + len(b.headers))
        assert block.scenario == placed.cell.scenario
    assert layout.columns == sum(len(block.headers) for block in layout.blocks)


def test_few_objects_have_a_column_each_and_many_are_packed():
    few = [cell(p, f"o{n}", "kitchen") for p in ("p01", "p02") for n in range(3) if (p, n) != ("p01", 0)]
    layout = arrange(few)
    assert layout.blocks[0].headers == ("o0", "o1", "o2")
    assert {p.column for p in layout.placed if p.cell.objects == ("o2",)} == {2}
    many = [cell(f"p{n:02d}", f"o{n:03d}", "kitchen") for n in range(40)]
    assert arrange(many).columns == 1


@pytest.fixture
def matrix(qtbot):
    made = CoverageMatrix(theme.DARK)
    qtbot.addWidget(made)
    made.resize(600, 300)
    made.show_cells([cell(p, f"o{n}", "kitchen") for p in ("p01", "p02") for n in (1, 2)], None, {})
    made.show()
    return made


def test_arrows_move_the_choice_and_return_takes_it_up(qtbot, matrix):
    taken = []
    matrix.activated.connect(taken.append)
    for key in (Qt.Key_Right, Qt.Key_Right, Qt.Key_Down, Qt.Key_Left, Qt.Key_Return):
        qtbot.keyClick(matrix, key)
    assert [(c.participant, c.objects) for c in taken] == [("p02", ("o1",))]


def test_the_choice_survives_a_fresh_reading_of_the_tables(qtbot, matrix):
    qtbot.mouseClick(matrix, Qt.LeftButton, pos=matrix.box(matrix._layout.placed[-1]).center().toPoint())
    chosen = matrix.selected
    matrix.show_cells([cell("p02", "o2", "kitchen", "recorded")], None, {})
    assert matrix.selected is not chosen
    assert matrix.selected.status == "recorded"
    matrix.show_cells([], None, {})
    assert matrix.selected is None


def test_colours_of_statuses_differ(qtbot, matrix):
    def fill(status):
        matrix.show_cells([cell("p01", "o1", "kitchen", status)], None, {})
        box = matrix.box(matrix._layout.placed[0])
        return matrix.grab().toImage().pixelColor(int(box.left()) + 6, int(box.bottom()) - 5).name()

    assert len({fill(status) for status in ("planned", "recorded", "incomplete", "rejected")}) == 4


@pytest.mark.parametrize(
    ("status", "drops", "line", "judged"),
    [
        ("recorded", 0, "6.0 s · no drops", "good"),
        ("recorded", 3, "6.0 s · 3 dropped", "warn"),
        ("rejected", 0, "6.0 s · no drops · rejected", "bad"),
        ("incomplete", 9, "6.0 s · 9 dropped · incomplete", "warn"),
    ],
)
def test_the_line_of_a_take(status, drops, line, judged):
    take = Take("seq_001", "p01", ("o01",), "kitchen", "lift", 6.0, drops, status)
    assert report_line(take) == line
    assert level(take) == judged
