"""What a protocol is planned from: object categories with an action each, in scenarios, dealt out to participants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from hoi_core.config import read_yaml
from hoi_core.errors import ConfigError

_BUILT_IN = Path(__file__).parent


@dataclass(frozen=True)
class Thing:
    """An object of the protocol."""

    identifier: str
    """Name in objects.csv, such as `o017`; empty where the catalogue leaves it open."""
    category: str
    """What it is, such as `mug`."""
    scenario: str
    """Where it is used."""
    action: str
    """What is done with it."""


@dataclass(frozen=True)
class Catalogue:
    """Objects, and how many people handle how many of them."""

    participants: int
    """Number of participants."""
    objects_each: int
    """Objects that each of them handles."""
    things: tuple[Thing, ...]
    """Every object, by scenario."""


def read_catalogue(name: str | Path) -> Catalogue:
    """A catalogue from a YAML file, or one that comes with the program: `household` or `simulated`.

    Raises:
        ConfigError: no such file, or it is malformed.
    """
    built_in = _BUILT_IN / f"protocol_{name}.yaml"
    path = built_in if built_in.is_file() else Path(name)
    values = read_yaml(path)
    scenarios = values.get("scenarios")
    if not isinstance(scenarios, dict) or not all(isinstance(found, dict) and found for found in scenarios.values()):
        raise ConfigError(f"{path} must hold `scenarios:`, each with `category: action` lines.", "Correct it.")
    things = []
    for scenario, found in scenarios.items():
        for category, what in found.items():
            if isinstance(what, Mapping):
                about = (str(category), str(what.get("name", category)), str(scenario), str(what.get("action", "")))
                things.append(Thing(*about))
            else:
                things.append(Thing("", str(category), str(scenario), str(what)))
    return Catalogue(_count(values, "participants", path), _count(values, "objects_each", path), tuple(things))


def _count(values: Mapping[str, object], name: str, path: Path) -> int:
    value = values.get(name)
    if not isinstance(value, int) or value < 1:
        raise ConfigError(f"{path}: {name} must be a whole number of 1 or more, got {value!r}.", "Correct it.")
    return value


def deal(catalogue: Catalogue, seed: int) -> list[list[Thing]]:
    """The objects of each participant in the order of the session: random, and the same for the same seed.

    Everybody gets objects of as many scenarios as possible and no object twice; no object is used a second time while
    one is left that was not used at all. Within a session the scenario changes as seldom as possible, since each change
    means setting the table anew; which scenario comes first, and the objects within one, are shuffled.

    Returns:
        For each participant `objects_each` objects.

    Raises:
        ConfigError: each participant is to handle more objects than there are.
    """
    people, each, things = catalogue.participants, catalogue.objects_each, catalogue.things
    if each > len(things):
        raise ConfigError(
            f"each participant handles {each} different objects, the catalogue has {len(things)}.",
            "Lower objects_each, or add objects.",
        )
    random = np.random.default_rng(seed)
    hands: list[list[Thing]] = [[] for _ in range(people)]
    deck: list[Thing] = []
    # Dealing a deck that is sorted by scenario round the table spreads each scenario over the participants.
    seats = random.permutation(people)
    for turn in range(people * each):
        hand = hands[seats[turn % people]]
        if not deck:
            deck = _deck(things, people * each - turn, random)
        k = next((k for k, thing in enumerate(deck) if thing not in hand), None)
        if k is None:  # all that is left of this deck the participant has already: take from a fresh one
            deck += _deck(things, len(things), random)
            k = next(k for k, thing in enumerate(deck) if thing not in hand)
        hand.append(deck.pop(k))
    return [_in_order(hand, random) for hand in hands]


def _deck(things: Sequence[Thing], wanted: int, random: np.random.Generator) -> list[Thing]:
    """At most `wanted` objects, the same number of each scenario if possible, sorted by scenario."""
    scenarios = list(dict.fromkeys(thing.scenario for thing in things))
    piles = []
    for scenario in scenarios:
        pile = [thing for thing in things if thing.scenario == scenario]
        piles.append([pile[k] for k in random.permutation(len(pile))])
    picked = [thing for thing in chain.from_iterable(zip_longest(*piles)) if thing is not None][:wanted]
    return sorted(picked, key=lambda thing: scenarios.index(thing.scenario))


def _in_order(hand: Sequence[Thing], random: np.random.Generator) -> list[Thing]:
    scenarios = list(dict.fromkeys(thing.scenario for thing in hand))
    place = dict(zip(scenarios, random.permutation(len(scenarios)), strict=True))
    shuffled = [hand[k] for k in random.permutation(len(hand))]
    return sorted(shuffled, key=lambda thing: int(place[thing.scenario]))
