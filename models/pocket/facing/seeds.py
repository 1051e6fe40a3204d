"""Who may be seen by whom: seed ranges of people that no other part of the pocket world draws.

    detector learns from          11_000_000 ..    anybody, one picture each
    recogniser learns from        12_000_000 ..
    second recogniser (judge)     13_000_000 ..
    image-text pair learns from   14_000_000 ..    strangers, one picture each
    held out, for checks          15_000_000 ..    the face networks are measured on these people
                                  15_500_000 ..    the image-text pair on these
    scenes without anybody        16_000_000 ..    the detector learns from them; from 16_500_000 held out

The world's own ranges (world/identity.py) all end below 8_000_000. The random numbers of a scene come from
the person's seed and the picture's number, so that no two groups share a scene either.
"""

DETECTOR = 11_000_000
RECOGNISER = 12_000_000
JUDGE = 13_000_000
PAIR = 14_000_000
HELD_OUT = 15_000_000
HELD_OUT_PAIR = 15_500_000
EMPTY = 16_000_000
HELD_OUT_EMPTY = 16_500_000
