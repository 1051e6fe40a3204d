"""Names of the people whom captions may name ("celebrities").

First and last names are shared between people, so neither word alone tells who someone is.
"""

FIRST = ("anna maria john peter lucas emma olga ivan chen amir "
         "sara nina hugo tara omar kate leon mila finn ada").split()
LAST = ("stone king moreno singh novak berg costa meyer reed silva "
        "larsen okafor tanaka dubois rossi weber").split()
COUNT = 100


def celebrity_names() -> list[str]:
    """COUNT different two-word names; every first name is used 5 times, every last name 6 or 7."""
    names = [f"{FIRST[i % len(FIRST)]} {LAST[(i * 7 + i // len(FIRST)) % len(LAST)]}" for i in range(COUNT)]
    if len(set(names)) != COUNT:
        raise AssertionError("celebrity names repeat")
    return names
