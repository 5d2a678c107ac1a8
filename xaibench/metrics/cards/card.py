"""What a card says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """The facts about one metric.

    Attributes
    ----------
    name : str
        Under which it is recorded and configured.
    family : str
        Which kind of question it belongs to; the name of the module that holds the card.
    title : str
        For a heading or a column.
    measures : str
        What a value says, in a sentence.
    unit : str
        Of a value; "" for a pure number.
    range : str
        In which values lie.
    higher_is_better : bool or None
        None where neither direction is better.
    cost : str
        Images put through the model, per image or map.
    traps : str
        What makes a value misleading or incomparable.
    source : str
        The paper, or where the definition is from.
    """

    name: str
    family: str
    title: str
    measures: str
    unit: str
    range: str
    higher_is_better: bool | None
    cost: str
    traps: str
    source: str
