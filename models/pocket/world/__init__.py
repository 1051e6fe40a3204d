"""The pocket world: a program that draws people, and the captions that describe them.

`identity` is who someone is, `scene` is everything else about one picture (pose, expression,
light, place, clothes, style), `portrait.render` draws both, `captions` puts them into words.
"""
